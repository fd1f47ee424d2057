"""From what is said of a tenant to what it may use: one way for gateway.yaml and the directory. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from headgate.config.zones import reachable, zones_of
from headgate.directory.rows import is_shared
from headgate.limits import GivenLimits
from headgate.prices import TermsRow
from headgate.snapshot import PlanRow, TargetRow, TenantRow, ZonedTarget
from headgate.tenant_limits import NOTHING, limits_of

_DAY_S = 86_400

Chains = Mapping[str, Sequence[ZonedTarget]]  # by model: all its targets, in order of priority


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A tenant as it is declared. `zones` and `terms` None: its plan's. `callers`: the limits of its keys and people,
    by id.
    """

    models: Sequence[str]
    plan: PlanRow | None = None
    zones: Collection[str] | None = None
    limits: GivenLimits = NOTHING
    callers: Mapping[str, GivenLimits] = field(default_factory=dict)
    pins: bool = False
    disabled: bool = False
    usage_retention_days: int | None = None
    terms: TermsRow | None = None


def tenant_row(said: Said, chains: Chains) -> TenantRow:
    """The models of which the tenant may reach a target, with those that it may; and all limits that hold.

    What is called as the platform's adapters are, and is no model of gateway.yaml, may be one of these.
    """
    zones = zones_of(said.plan.zones if said.plan else None, said.zones)
    found = {name: targets_inside(chains[name], zones) for name in said.models if name in chains}
    shared = tuple(name for name in said.models if name not in chains and is_shared(name))
    return TenantRow(
        {name: targets for name, targets in found.items() if targets},
        limits_of(said.plan.limits if said.plan else None, said.limits, said.callers),
        said.pins,
        said.disabled,
        None if said.usage_retention_days is None else said.usage_retention_days * _DAY_S,
        said.terms or (said.plan.terms if said.plan else None),
        shared=shared,
        zones=tuple(sorted(zones)) if shared and zones is not None else None,
    )


def targets_inside(chain: Iterable[ZonedTarget], zones: Collection[str] | None) -> list[TargetRow]:
    """Those of a model's targets that are in one of the zones; None is every zone."""
    return [one.target for one in reachable(chain, zones, lambda one: one.zone)]

"""All tenants of one generation, those of gateway.yaml and those of the directory: whom to ask for a tenant's row.

What gateway.yaml declares wins: of the directory such a tenant only gets its credits, its adapters, and the limits of
its keys and people. Others are made of the directory when they are first asked for, and kept until something of them
changes. One that lacks what it needs, such as its plan, is closed; the log says why.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, Protocol

import msgspec
import structlog
from msgspec.structs import replace

from headgate.aliases import aliases_of
from headgate.directory.directory import Directory
from headgate.directory.rows import TenantEntry
from headgate.limits import GivenLimits, LimitRow, LimitsRow
from headgate.prices import TermsRow
from headgate.snapshot import PlanRow, Snapshot, TargetRow, TenantRow
from headgate.tenant_limits import NOTHING, with_callers
from headgate.tenant_rows import Said, tenant_row
from headgate.written_limits import written_limits
from headgate.written_terms import written_terms

MOST_KEPT = 20_000  # tenants; some 1 kB each, where they have no limits of their own

log = structlog.get_logger()

# Of a key, or a person, whose limits can't be read: nothing passes.
_NOTHING_PASSES = GivenLimits({"rpm": LimitRow("rpm", 0)})


class MisconfiguredError(ValueError):
    """A tenant can't be made; the text says why, to the operator."""


class Followed(Protocol):
    """The directory as far as it was read."""

    @property
    def directory(self) -> Directory:
        """Ask for it anew each time."""


@dataclass(slots=True)
class _Kept:
    """A tenant as it was made. `row` None: it could not be made, or is not there."""

    row: TenantRow | None
    version: int  # of the tenant
    seen: int = -1  # the directory's, when that was still so
    is_misconfigured: bool = False


class Tenants:
    """Of one snapshot; with a directory that goes on changing."""

    def __init__(self, snapshot: Snapshot, following: Followed) -> None:
        self._snapshot = snapshot
        self._following = following
        self._directory = following.directory
        self._kept: dict[str, _Kept] = {}
        self._models: dict[tuple[Any, ...], dict[str, list[TargetRow]]] = {}  # those of many tenants are the same
        self._limits: dict[str, LimitsRow] = {}  # by plan

    def find(self, name: str) -> TenantRow | None:
        """A tenant whose requests may go on."""
        row = self.known(name)
        return None if row is None or row.disabled else row

    def known(self, name: str) -> TenantRow | None:
        """A tenant, also one that is disabled: for what is settled and shown."""
        directory = self._following.directory
        kept = self._kept.get(name)
        if kept is not None and kept.seen == directory.version and directory is self._directory:
            return kept.row
        return self._look(name, directory).row

    def is_misconfigured(self, name: str) -> bool:
        """Whether there is such a tenant, and lacks what it needs."""
        return self._look(name, self._following.directory).is_misconfigured

    def names(self) -> list[str]:
        """All that there are: gateway.yaml's first."""
        return list(dict.fromkeys((*self._snapshot.tenants, *self._following.directory.tenants())))

    def granted(self, alias: str) -> list[str]:
        """Tenants that may use an adapter of the platform's."""
        declared, directory = self._snapshot.tenants, self._following.directory
        others = [name for name in directory.tenants() if name not in declared and alias in directory.models(name)]
        return [*(name for name, row in declared.items() if alias in row.shared), *others]

    def providers(self) -> set[str]:
        """Those that some tenant may reach, of gateway.yaml's or the directory's."""
        of_models = [one.target for chain in self._snapshot.chains.values() for one in chain]
        own = [one for row in self._snapshot.tenants.values() for some in row.models.values() for one in some]
        return {target.provider for target in (*of_models, *own)}

    def _look(self, name: str, directory: Directory) -> _Kept:
        if directory is not self._directory:
            self._directory = directory
            for old in self._kept.values():
                old.seen = -1
        version = directory.tenant_version(name)
        kept = self._kept.get(name)
        if kept is None or kept.version != version:
            kept = self._make(name, directory, version)
            if kept.row is None and not kept.is_misconfigured:  # anybody's name is nothing to remember
                return kept
            self._kept.pop(name, None)
            self._kept[name] = kept
            for oldest in list(islice(self._kept, max(0, len(self._kept) - MOST_KEPT))):
                del self._kept[oldest]
        kept.seen = directory.version
        return kept

    def _make(self, name: str, directory: Directory, version: int) -> _Kept:
        kept = _Kept(None, version)
        declared, entry = self._snapshot.tenants.get(name), directory.tenant(name)
        try:
            if declared is not None:
                kept.row = self._extended(name, declared, directory)
            elif entry is not None:
                kept.row = self._made(entry, directory)
        except MisconfiguredError as problem:
            kept.is_misconfigured = True
            log.error("tenant is misconfigured: nothing goes through", tenant=name, problem=str(problem))  # noqa: TRY400
        return kept

    def _extended(self, name: str, declared: TenantRow, directory: Directory) -> TenantRow:
        callers, account = _callers(name, directory), directory.credits(name)
        aliases = aliases_of(name, declared, directory, self._snapshot.chains)
        if not callers and account is None and not aliases:
            return declared
        limits = with_callers(declared.limits, callers) if callers else declared.limits
        return replace(declared, limits=limits, credits=account, aliases=aliases)

    def _made(self, entry: TenantEntry, directory: Directory) -> TenantRow:
        name, own = entry.id, directory.limits(entry.id)
        said = Said(
            models=directory.models(name),
            plan=self._plan(entry.plan, directory) if entry.plan is not None else None,
            zones=entry.zones,
            limits=_read(own.limits, "its limits") if own else NOTHING,
            callers=_callers(name, directory),
            pins=entry.pin_targets,
            disabled=entry.disabled or entry.deleting,
            usage_retention_days=entry.usage_retention_days,
            terms=_terms(entry.pricing, "its pricing"),
        )
        row = tenant_row(said, self._snapshot.chains)
        if lacking := [model for model in said.models if model not in row.models and model not in row.shared]:
            log.warning("tenant has models without a target that it may reach", tenant=name, models=lacking)
        aliases = aliases_of(name, row, directory, self._snapshot.chains)
        return replace(self._shared(row, said, entry.plan), credits=directory.credits(name), aliases=aliases)

    def _plan(self, name: str, directory: Directory) -> PlanRow:
        declared, entry = self._snapshot.plans.get(name), directory.plan(name)
        if declared is not None:
            return declared
        if entry is None:
            raise MisconfiguredError(f'neither gateway.yaml nor the database has its plan "{name}"')
        limits = _read(entry.limits, f'the limits of its plan "{name}"')
        return PlanRow(limits, entry.zones, _terms(entry.pricing, f'the pricing of its plan "{name}"'))

    def _shared(self, row: TenantRow, said: Said, plan: str | None) -> TenantRow:
        """The same row, with what other tenants have as well in memory once."""
        of_plan = said.plan.zones if said.plan else None
        zones = [None if some is None else tuple(sorted(some)) for some in (of_plan, said.zones)]
        models = self._models.setdefault((tuple(row.models), *zones), row.models)
        limits = row.limits
        if limits is not None and plan is not None and said.limits == NOTHING and not said.callers:
            if self._limits.get(plan) != limits:
                self._limits[plan] = limits
            limits = self._limits[plan]
        return replace(row, models=models, limits=limits)


def _callers(tenant: str, directory: Directory) -> dict[str, GivenLimits]:
    """Limits of a tenant's keys and people, by id."""
    found: dict[str, GivenLimits] = {}
    for caller, written in {**directory.limited_keys(tenant), **directory.user_limits(tenant)}.items():
        try:
            found[caller] = _same(msgspec.json.encode(written))
        except ValueError as error:
            log.error("limits can't be read: nothing passes", tenant=tenant, caller=caller, problem=str(error))  # noqa: TRY400
            found[caller] = _NOTHING_PASSES
    return found


@lru_cache(maxsize=4096)
def _same(written: bytes) -> GivenLimits:
    """What many keys have alike is read once, and in memory once."""
    return written_limits(msgspec.json.decode(written))


def _read(written: Mapping[str, Any], whose: str) -> GivenLimits:
    try:
        return written_limits(written)
    except ValueError as error:
        raise MisconfiguredError(f"{whose} can't be read: {error}") from error


def _terms(written: Mapping[str, Any] | None, whose: str) -> TermsRow | None:
    try:
        return None if written is None else written_terms(written)
    except ValueError as error:
        raise MisconfiguredError(f"{whose} can't be read: {error}") from error

"""The accepted configuration as the ledger follows it: snapshot.json, read when it was replaced."""

import msgspec
import structlog

from headgate.contract import SNAPSHOT
from headgate.counters.limits import TenantLimits, lease_ms
from headgate.limits import LimitsRow
from headgate.snapshot import Snapshot, SpoolRow, read_snapshot

log = structlog.get_logger()

_NO_LIMITS = LimitsRow()


class Tables:
    """Call `look` now and then; the rest answers by what it found last."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._time: int | None = None
        self._limits: dict[str, TenantLimits] = {}

    def snapshot(self) -> Snapshot | None:
        """All of it; None while there is none."""
        return self._snapshot

    @property
    def spool(self) -> SpoolRow:
        """How the spool is to be kept."""
        return self._snapshot.spool if self._snapshot else SpoolRow()

    def loads(self) -> dict[str, str]:
        """The clusters whose load some model's strategy goes by, by provider."""
        return self._snapshot.loads if self._snapshot else {}

    def look(self) -> frozenset[str]:
        """Read what is new; the tenants whose limits are others now, or gone."""
        try:
            changed = SNAPSHOT.stat().st_mtime_ns
            if changed == self._time:
                return frozenset()
            snapshot = read_snapshot(SNAPSHOT)
        except FileNotFoundError:
            return frozenset()
        except (OSError, msgspec.DecodeError) as error:
            log.warning("snapshot can't be read", error=str(error))
            return frozenset()
        before = _limits_of(self._snapshot)
        self._snapshot, self._time = snapshot, changed
        now = _limits_of(snapshot)
        others = frozenset(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
        self._limits = {name: limits for name, limits in self._limits.items() if name in now and name not in others}
        return others

    def limits_of(self, tenant: str) -> TenantLimits:
        """A tenant's limits; none of one that the tables don't know."""
        found = self._limits.get(tenant)
        if found is None:
            row = self._snapshot.tenants.get(tenant) if self._snapshot else None
            limits = row.limits if row else None
            found = TenantLimits(tenant, limits or _NO_LIMITS)
            if limits is not None:
                self._limits[tenant] = found
        return found

    def limited(self) -> list[str]:
        """All tenants that have limits."""
        return list(_limits_of(self._snapshot))

    def lease_ms(self, model: str) -> int:
        """How long a request for this model holds what it has reserved, when nobody settles it."""
        row = self._snapshot.models.get(model) if self._snapshot else None
        return lease_ms(row.total_ms if row else None)


def _limits_of(snapshot: Snapshot | None) -> dict[str, LimitsRow]:
    tenants = snapshot.tenants if snapshot else {}
    return {name: row.limits for name, row in tenants.items() if row.limits is not None}

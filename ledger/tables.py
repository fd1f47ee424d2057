"""The accepted configuration as the ledger follows it: snapshot.json, read when it was replaced."""

import msgspec
import structlog

from headgate.contract import SNAPSHOT
from headgate.counters.limits import TenantLimits
from headgate.limits import LimitsRow
from headgate.snapshot import Snapshot, SpoolRow, read_snapshot

log = structlog.get_logger()

_NO_LIMITS = LimitsRow()
_UNKNOWN_MODEL_MS = 600_000


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

    def look(self) -> frozenset[str]:
        """Read what is new; the tenants whose limits are others now."""
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
        before = self._snapshot.tenants if self._snapshot else {}
        self._snapshot, self._time = snapshot, changed
        others = frozenset(
            name
            for name, row in snapshot.tenants.items()
            if row.limits is not None and (name not in before or before[name].limits != row.limits)
        )
        kept = snapshot.tenants.keys() - others
        self._limits = {name: limits for name, limits in self._limits.items() if name in kept}
        return others

    def limits_of(self, tenant: str) -> TenantLimits:
        """A tenant's limits; none of one that the tables don't know."""
        found = self._limits.get(tenant)
        if found is None:
            row = self._snapshot.tenants.get(tenant) if self._snapshot else None
            found = TenantLimits(tenant, (row and row.limits) or _NO_LIMITS)
            if row is not None:
                self._limits[tenant] = found
        return found

    def limited(self) -> list[str]:
        """All tenants that have limits."""
        tenants = self._snapshot.tenants if self._snapshot else {}
        return [name for name, row in tenants.items() if row.limits is not None]

    def longest_ms(self, model: str) -> int:
        """How long a request for this model may last."""
        row = self._snapshot.models.get(model) if self._snapshot else None
        return row.total_ms if row else _UNKNOWN_MODEL_MS

"""The accepted configuration and the directory as the ledger follows them: read when they were replaced, or went on.

All that is new is taken in `look` and nowhere else: what it names is all that has changed.
"""

import msgspec
import structlog

from headgate.contract import SNAPSHOT
from headgate.counters.limits import TenantLimits, lease_ms
from headgate.credits import CreditsRow
from headgate.directory.directory import Directory
from headgate.directory.following import Following
from headgate.limits import LimitsRow
from headgate.purses import Purse, is_purse
from headgate.snapshot import Snapshot, SpoolRow, TenantRow, read_snapshot
from headgate.tenants import Tenants
from ledger.spool.lines import Line

log = structlog.get_logger()

_NO_LIMITS = LimitsRow()


class Tables:
    """Call `look` now and then; the rest answers by what it found last."""

    def __init__(self, following: Following | None = None) -> None:
        self._following = following or Following()
        self._snapshot: Snapshot | None = None
        self._tenants: Tenants | None = None
        self._time: int | None = None
        self._seen = 0  # of the directory
        self._limits: dict[str, TenantLimits] = {}

    def snapshot(self) -> Snapshot | None:
        """All of it; None while there is none."""
        return self._snapshot

    def tenants(self) -> Tenants | None:
        """All tenants; None while there is no snapshot."""
        return self._tenants

    @property
    def directory(self) -> Directory:
        """As far as it was read."""
        return self._following.directory

    def tenant(self, name: str) -> TenantRow | None:
        """What a tenant may use, disabled or not; None for one that the tables don't know."""
        return self._tenants.known(name) if self._tenants else None

    def kept_for_s(self, tenant: str) -> int | None:
        """How long the usage store keeps a tenant's requests; None for as long as everybody's."""
        row = self.tenant(tenant)
        return row.usage_retention_s if row else None

    @property
    def spool(self) -> SpoolRow:
        """How the spool is to be kept."""
        return self._snapshot.spool if self._snapshot else SpoolRow()

    def loads(self) -> dict[str, str]:
        """The clusters whose load some model's strategy goes by, by provider."""
        return self._snapshot.loads if self._snapshot else {}

    def look(self) -> frozenset[str]:
        """Read what is new; the tenants whose limits are others now, or gone."""
        self._following.catch_up()
        return self.take(self._read())

    def take(self, snapshot: Snapshot | None) -> frozenset[str]:
        """The same, of a snapshot that was read; None is the one that was there."""
        if snapshot is None and self.directory.highest == self._seen:
            return frozenset()
        before = _declared(self._snapshot)
        maybe = self._changed_by_directory() if snapshot is None else self._changed_by(snapshot)
        if snapshot is not None:
            self._snapshot, self._tenants = snapshot, Tenants(snapshot, self._following)
        self._seen = self.directory.highest
        others = frozenset(name for name in maybe if self._is_other(name, before.get(name)))
        for name in others:
            self._limits.pop(name, None)
        return others

    def limits_of(self, tenant: str) -> TenantLimits:
        """A tenant's limits; none of one that the tables don't know."""
        found = self._limits.get(tenant)
        if found is None:
            limits, account = self._held_by(tenant)
            found = TenantLimits(tenant, limits or _NO_LIMITS, account)
            if limits is not None:
                self._limits[tenant] = found
        return found

    def may_have_account(self, name: str) -> bool:
        """Whether what a tenant was charged has to be known for longer than any window.

        So it is of one with an account of credits, and of one of whom nobody knows (now) whether it has one.
        """
        row = self.tenant(name) if self.directory.version else None
        return not is_purse(name) and (row is None or row.credits is not None)

    def purse_of(self, line: Line) -> Purse | None:
        """Whose budget a request counts against, by who answered it."""
        budgets = self._budgets
        if not budgets:
            return None
        purse = Purse(line.target or "", line.provider_key or "")
        row = budgets.get(purse.name)
        return purse if row and (row.limits or purse.key in row.keys) else None

    @property
    def _budgets(self) -> dict[str, LimitsRow]:
        return self._snapshot.budgets if self._snapshot else {}

    def limited(self) -> list[str]:
        """All tenants that have limits, and purses."""
        names = self._tenants.names() if self._tenants else []
        return [name for name in (*names, *self._budgets) if self._held_by(name)[0] is not None]

    def lease_ms(self, model: str) -> int:
        """How long a request for this model holds what it has reserved, when nobody settles it."""
        row = self._snapshot.models.get(model) if self._snapshot else None
        return lease_ms(row.longest_ms if row else None)

    def _read(self) -> Snapshot | None:
        try:
            changed = SNAPSHOT.stat().st_mtime_ns
            if changed == self._time:
                return None
            snapshot = read_snapshot(SNAPSHOT)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            log.warning("snapshot can't be read", error=str(error))
            return None
        self._time = changed
        return snapshot

    def _held_by(self, name: str) -> tuple[LimitsRow | None, CreditsRow | None]:
        """The limits of a tenant or a purse, and the account that its credits are of."""
        row = self.tenant(name)
        return (row.limits, row.credits) if row else (self._budgets.get(name), None)

    def _changed_by(self, snapshot: Snapshot) -> set[str]:
        """Whose limits may be others with the next snapshot."""
        before = self._snapshot
        if before is None or before.plans != snapshot.plans:
            return {*self._known(), *_declared(snapshot)}
        others = before.tenants.keys() ^ snapshot.tenants.keys()
        return {*self._changed_by_directory(), *others, *_declared(before), *_declared(snapshot)}

    def _changed_by_directory(self) -> set[str]:
        if self.directory.highest == self._seen:
            return set()
        return {name for name in self._known() if self.directory.tenant_version(name) > self._seen}

    def _known(self) -> set[str]:
        """All of the directory and of gateway.yaml, and those that there were."""
        declared = self._snapshot.tenants if self._snapshot else ()
        return {*self._limits, *declared, *_declared(self._snapshot), *self.directory.tenants()}

    def _is_other(self, name: str, declared: LimitsRow | None) -> bool:
        """`declared`: what gateway.yaml said before, which may not have been asked for yet."""
        known = self._limits.get(name)
        limits, account = self._held_by(name)
        if known is None:
            return limits != declared or (limits is not None and account is not None)
        return limits is None or not known.is_of(limits, account)


def _declared(snapshot: Snapshot | None) -> dict[str, LimitsRow]:
    """Of tenants and purses, by gateway.yaml alone."""
    tenants = snapshot.tenants if snapshot else {}
    budgets = snapshot.budgets if snapshot else {}
    return {name: row.limits for name, row in tenants.items() if row.limits is not None} | budgets

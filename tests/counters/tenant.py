"""One tenant's calls, on one Valkey and any clock."""

from collections.abc import Sequence
from typing import Any

from redis import Redis

from headgate.counters.limits import Applying, TenantLimits
from headgate.counters.reservation import Verdict, Wish, read_verdict, reserve_call
from headgate.counters.scripts import MOST_USERS, Call, Script
from headgate.counters.settlement import Settled, SettledReply, Sum, read_settled, settle_call
from headgate.counters.standing import StandingNow, read_standing, standing_call
from headgate.credits import CreditsRow
from headgate.limits import LimitRow, LimitsRow

START = 1_800_000_000_000
LEASE_MS = 600_000
EPOCH = "e1"


def limits_of(*limits: LimitRow, anniversary: int = 1, **simple: int) -> LimitsRow:
    """Limits with nothing but a cap by their kind; others as rows."""
    rows = tuple(LimitRow(kind, cap) for kind, cap in simple.items())
    return LimitsRow((*rows, *limits), anniversary=anniversary)


class Tenant:
    """`valkey` must not decode what it answers."""

    def __init__(
        self,
        valkey: Redis,
        row: LimitsRow,
        name: str = "acme",
        *,
        account: CreditsRow | None = None,
        base: bool = True,
        most_users: int = MOST_USERS,
    ) -> None:
        self.valkey, self.limits, self.name = valkey, TenantLimits(name, row, account), name
        self.told: dict[str, tuple[bytes, ...]] = {}  # alerts, by gateway
        self.most_users = most_users
        if base:
            self.settle(base=True)

    def run(self, call: Call) -> Any:
        script, keys, arguments = call
        return self.valkey.eval(self.text_of(script), len(keys), *keys, *arguments)

    def text_of(self, script: Script) -> str:
        return script.text

    def applying(self, key_id: str = "", model: str = "", user: str = "") -> Applying:
        return self.limits.applying(key_id, model, user)

    def reserve(
        self,
        wish: Wish | str,
        now: int | str = START,
        lease_ms: int = LEASE_MS,
        applying: Applying | None = None,
        passed_ms: int = 0,
    ) -> Verdict:
        wish = Wish(wish, EPOCH) if isinstance(wish, str) else wish
        applying = applying or self.applying()
        call = reserve_call(applying, wish, lease_ms, now, most_users=self.most_users, passed_ms=passed_ms)
        return read_verdict(applying, self.run(call))

    def settle(
        self,
        *settled: Settled | str,
        sums: Sequence[Sum] = (),
        gateway: str = "g1",
        base: bool = False,
        now: int | str = START,
    ) -> SettledReply:
        some = [Settled(one, EPOCH, START, self.applying()) if isinstance(one, str) else one for one in settled]
        told, known = self.told.get(gateway, ()), self.limits.base_key if base else ""
        most = self.most_users
        call = settle_call(self.name, some, sums, gateway, base=known, told=told, now_ms=now, most_users=most)
        reply = read_settled(self.run(call))
        self.told[gateway] = reply.packed
        return reply

    def standing(self, applying: Applying | None = None, now: int | str = START) -> dict[str, StandingNow]:
        limits = (applying or self.applying()).limits
        return {one.limit.name: one for one in read_standing(limits, self.run(standing_call(self.name, limits, now)))}


class TimelessTenant(Tenant):
    """Its keys never expire: Valkey's own clock knows nothing of the test's."""

    def text_of(self, script: Script) -> str:
        head = "local call, floor"
        assert head in script.text
        instead = (
            "local function call(name, ...) return name == 'PEXPIRE' or redis.call(name, ...) end local _, floor"
        )
        return script.text.replace(head, instead)

"""Limits of tenants, keys and people of the database: which hold, from when on, and for whom."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from redis import Redis

from headgate.contract import COUNTERS_URL_ENV
from headgate.directory.rows import GrantEntry, KeyRow, LimitsEntry, PlanEntry, Row, TenantEntry, change_to
from headgate.grpc_server import CallFailed, Status
from headgate.limiting import Ask
from headgate.limits import LimitRow, LimitsRow
from headgate.snapshot import ModelRow, Snapshot, TargetRow, TenantRow, ZonedTarget
from headgate.tables import Holder
from headgate.wire.ratelimit_pb2 import RateLimitRequest, RateLimitResponse
from ratelimit import codec, service
from ratelimit.rules import Rules
from ratelimit.service import Limiter
from tests.counters.valkey_server import ValkeyServer
from tests.tenants.still import Late, Still, directory_of

TARGET = TargetRow("a", "openai", "provider/a@0", "m", "final", 0, 1, 1)
SNAPSHOT = Snapshot(
    1,
    0,
    1,
    keys=[],
    tenants={"yaml": TenantRow({"chat": [TARGET]}, LimitsRow((LimitRow("rpm", 3),)))},
    models={"chat": ModelRow("s", "w", 1, 1000, total_ms=5000)},
    chains={"chat": [ZonedTarget("eu", TARGET)]},
)


def key(name: str, tenant: str = "t", limits: dict[str, Any] | None = None) -> KeyRow:
    return KeyRow(name, tenant, name.encode().ljust(32), "p", "developer", limits=limits)


class Call:
    def header(self, _name: str) -> str | None:
        return None


class Asking:
    """A limiter of this process's, and its directory."""

    def __init__(self, *rows: Row) -> None:
        granted = [TenantEntry("t", plan="p"), GrantEntry("t", "chat"), PlanEntry("p", {})]
        self.directory = directory_of(*granted, *rows)
        self.holder = Holder(SNAPSHOT, Still(self.directory))
        self._limiter = Limiter(self.holder, 1)
        self._number = 0

    def change(self, *rows: Row) -> None:
        self.directory.take(self.directory.version + 1, [change_to(row) for row in rows])

    async def __call__(self, key_id: str = "key_a", *, tenant: str = "t", directory: int = 1) -> RateLimitResponse:
        self._number += 1
        ask = Ask("e", tenant, key_id, "chat", "", f"r{self._number}", "chat", directory=directory)
        answer = self._limiter.should_rate_limit(ask, Call())  # type: ignore[arg-type]
        return RateLimitResponse.FromString(await answer if isinstance(answer, Awaitable) else answer)

    async def passing(self, *key_ids: str, **more: Any) -> list[bool]:
        answers = [await self(key_id, **more) for key_id in key_ids]
        return [answer.overall_code == RateLimitResponse.OK for answer in answers]

    async def close(self) -> None:
        await self._limiter._counters.close()


@pytest.fixture
def _counters(server: ValkeyServer, valkey: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    valkey.flushall()
    monkeypatch.setenv(COUNTERS_URL_ENV, f"unix://{server.socket}")
    monkeypatch.setattr(service, "COUNTERS_TIMEOUT_S", 30.0)  # a slow machine decides nothing here


@asynccontextmanager
async def asking(*rows: Row) -> AsyncIterator[Asking]:
    asked = Asking(*rows)
    try:
        yield asked
    finally:
        await asked.close()


def test_the_descriptors_say_the_version() -> None:
    request = RateLimitRequest(domain="e")
    for name, value in {"tenant": "t", "request_id": "r", "directory": "77"}.items():
        request.descriptors.add().entries.add(key=name, value=value)
    assert codec.decode(request.SerializeToString()).directory == 77


@pytest.mark.parametrize(("said", "factor"), [(None, "1"), ("0.90", "0.9"), ("11.000000", "11"), ("0.00", "0")])
def test_the_descriptors_say_what_the_tenant_pays(said: str | None, factor: str) -> None:
    request = RateLimitRequest(domain="e")
    if said is not None:
        request.descriptors.add().entries.add(key="price_factor", value=said)
    assert codec.decode(request.SerializeToString()).price_factor == Decimal(factor)


@pytest.mark.parametrize("said", ["NaN", "-1", "1e9", "0.1234567", "100", "½"])
def test_a_factor_that_is_none_is_an_error(said: str) -> None:
    request = RateLimitRequest(domain="e")
    request.descriptors.add().entries.add(key="price_factor", value=said)
    with pytest.raises(ValueError, match="factor"):
        codec.decode(request.SerializeToString())


@pytest.mark.usefixtures("_counters")
async def test_a_tenants_limits_hold_and_change_with_the_directory() -> None:
    async with asking() as asked:
        assert (await asked()).response_headers_to_add == []
        asked.change(PlanEntry("p", {"rpm": 2}))
        assert await asked.passing("key_a", "key_b", "key_a") == [True, True, False]
        asked.change(LimitsEntry("t", "tenant", "", {"rpm": 3}))
        assert await asked.passing("key_a", "key_a") == [True, False]


@pytest.mark.usefixtures("_counters")
@pytest.mark.parametrize("tenant", ["t", "yaml"])
async def test_keys_and_people_have_limits_of_their_own(tenant: str) -> None:
    """A person is known by an id of its own, as a key is."""
    rows = [key("key_a", tenant, {"rpm": 1}), LimitsEntry(tenant, "user", "user_a", {"rpm": 1}), key("key_b", tenant)]
    async with asking(*rows) as asked:
        callers = ("key_a", "key_a", "user_a", "user_a", "key_b")
        assert await asked.passing(*callers, tenant=tenant) == [True, False, True, False, True]
        assert await asked.passing("key_b", tenant=tenant) == [tenant == "t"]  # the file's limit is for all of them


@pytest.mark.usefixtures("_counters")
async def test_nothing_passes_by_a_key_whose_limits_cannot_be_read() -> None:
    async with asking(key("key_a", limits={"rpn": 5})) as asked:
        assert await asked.passing("key_a", "key_b") == [False, True]


@pytest.mark.usefixtures("_counters")
@pytest.mark.parametrize("tenant", [TenantEntry("t", disabled=True), TenantEntry("t", plan="gone")])
async def test_a_tenant_that_is_closed_since_it_was_planned_for_gets_an_error(tenant: TenantEntry) -> None:
    async with asking() as asked:
        asked.change(tenant)
        for name in ("t", "nobody"):
            with pytest.raises(CallFailed) as failed:
                await asked(tenant=name)
            assert failed.value.status is Status.UNAVAILABLE


@pytest.mark.usefixtures("_counters")
async def test_what_authz_knew_is_read_before_it_is_decided_on() -> None:
    async with asking() as asked:
        rows = (TenantEntry("t"), GrantEntry("t", "chat"), LimitsEntry("t", "tenant", "", {"rpm": 1}))
        asked.holder.following = Late(*rows)
        asked.holder.swap(SNAPSHOT)
        assert await asked.passing("key_a", "key_a", directory=4) == [True, False]


def test_what_is_prepared_stays_while_the_limits_are_the_same() -> None:
    rules, row = Rules(SNAPSHOT), LimitsRow((LimitRow("rpm", 3),), {"a": (LimitRow("rpm", 1, by=("key",)),)})
    first = rules.limits("t", row)
    assert rules.limits("t", LimitsRow(row.limits, dict(row.keys))) is first
    other = rules.limits("t", LimitsRow(row.limits))
    assert other is not first

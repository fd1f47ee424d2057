"""Tenants of the database in the ledger: whose limits are others, what is shown of them, and what is settled."""

import datetime as dt
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis import Redis

from headgate.counters.address import parsed
from headgate.counters.client import Counters
from headgate.counters.limits import TenantLimits
from headgate.directory.rows import (
    GrantEntry,
    KeyRow,
    LimitsEntry,
    Mark,
    PlanEntry,
    Row,
    TenantEntry,
    change_to,
    gone,
)
from headgate.directory.writer import Writer
from headgate.limits import GivenLimits, LimitRow, LimitsRow
from headgate.snapshot import Key, ModelRow, PlanRow, Snapshot, TargetRow, TenantRow, ZonedTarget, write_snapshot
from ledger.showing.queries import Queries
from ledger.spool.lines import parsed as parsed_line
from ledger.tables import Tables
from ledger.telling.corrections import sample_of
from tests.counters.valkey_server import ValkeyServer
from tests.ledger.in_memory import tables_of
from tests.ledger.ledger_process import Ledger, end_line, reserve, stands, wait_until
from tests.ledger.spending import E1
from tests.tenants.still import Still, directory_of

TARGET = TargetRow("local", "openai", "provider/local@0", "llama", "request", 0, 1, 1)
RPM, OTHER = LimitRow("rpm", 60), LimitRow("rpm", 7)
PLANS = {"file": PlanRow(GivenLimits({"rpm": RPM}))}


def snapshot(generation: int = 1, **more: Any) -> Snapshot:
    tenants = {"yaml": TenantRow({"chat": [TARGET]}), "limited": TenantRow({}, LimitsRow((RPM,)))}
    return Snapshot(
        generation,
        0,
        1,
        [Key(b"1" * 32, "ci", "yaml")],
        models={"chat": ModelRow("s", "w", 1, 1000)},
        chains={"chat": [ZonedTarget("eu", TARGET)]},
        plans=more.pop("plans", PLANS),
        **{"tenants": tenants, **more},
    )


def key(name: str, tenant: str = "t", limits: dict[str, Any] | None = None) -> KeyRow:
    return KeyRow(name, tenant, name.encode().ljust(32), "p", "developer", limits=limits)


ROWS: tuple[Row, ...] = (
    TenantEntry("t", plan="p"),
    GrantEntry("t", "chat"),
    PlanEntry("p", {"rpm": 5, "daily_tokens": 100, "per": [{"by": ["key"], "tpm": 50}]}),
    key("key_a", limits={"rpm": 1}),
    key("key_b"),
    LimitsEntry("t", "user", "user_a", {"daily_usd": 3}),
    TenantEntry("free"),
    TenantEntry("filed", plan="file"),
)


class Changing:
    """Tables, and a directory that changes."""

    def __init__(self) -> None:
        self.directory = directory_of(*ROWS)
        self.tables = Tables(Still(self.directory))

    def take(self, *rows: Row, snapshot: Snapshot | None = None) -> frozenset[str]:
        if rows:
            self.directory.take(self.directory.version + 1, [change_to(row) for row in rows])
        return self.tables.take(snapshot)


def test_whose_limits_have_changed() -> None:
    known = Changing()
    assert known.take(snapshot=snapshot()) == {"limited", "t", "filed"}
    assert sorted(known.tables.limited()) == ["filed", "limited", "t"]
    assert known.take() == known.take(snapshot=snapshot(2)) == frozenset()
    for name in ("t", "free", "filed", "yaml", "limited"):  # what was asked for is kept
        known.tables.limits_of(name)
    assert known.take(GrantEntry("t", "big"), key("key_b"), TenantEntry("new")) == frozenset()
    assert known.take(PlanEntry("p", {"rpm": 6})) == {"t"}
    assert known.tables.limits_of("t").row.limits == (LimitRow("rpm", 6),)
    assert known.take(LimitsEntry("free", "tenant", "", {"rpm": 1}), key("key_y", "yaml", {"rpm": 1})) == {
        "free",
        "yaml",
    }
    assert known.tables.limits_of("yaml").row.keys == {"key_y": (LimitRow("rpm", 1, by=("key",)),)}
    assert known.take(TenantEntry("filed")) == {"filed"}
    assert known.tables.limits_of("filed").row == LimitsRow()


def test_a_plan_of_the_file_changes_tenants_of_the_database() -> None:
    known = Changing()
    known.take(snapshot=snapshot())
    for name in ("t", "filed"):
        known.tables.limits_of(name)
    assert known.take(snapshot=snapshot(2, plans={"file": PlanRow(GivenLimits({"rpm": OTHER}))})) == {"filed"}
    known.tables.limits_of("filed")
    assert known.take(snapshot=snapshot(3, plans={})) == {"filed"}  # nothing is let through: none is counted


def test_the_file_takes_a_tenants_place_and_gives_it_back() -> None:
    known = Changing()
    known.take(snapshot=snapshot())
    known.tables.limits_of("t")
    assert known.take(snapshot=snapshot(2, tenants={"t": TenantRow({})})) == {"t", "limited"}
    assert known.tables.limits_of("t").row.limits == ()
    assert known.take(snapshot=snapshot(3)) == {"t", "limited"}
    assert len(known.tables.limits_of("t").row.limits) == 3


def test_a_tenant_that_is_gone_has_other_limits() -> None:
    known = Changing()
    known.take(snapshot=snapshot())
    known.tables.limits_of("t")
    known.directory.take(
        2, [gone(TenantEntry, ("t",)), gone(KeyRow, ("key_a",)), gone(LimitsEntry, ("t", "user", "user_a"))]
    )
    assert known.tables.take(None) == {"t"}
    assert known.tables.limits_of("t").row == LimitsRow()


def test_what_is_said_before_it_is_looked_at_stays() -> None:
    """Else a change would be missed, and the counters would have no sums for it."""
    known = Changing()
    known.take(snapshot=snapshot())
    known.tables.limits_of("t")
    known.directory.take(2, [change_to(PlanEntry("p", {"rpm": 9}))])
    assert known.tables.limits_of("t").row.limits[0] == LimitRow("rpm", 5)
    assert known.tables.take(None) == {"t"}


def test_what_is_learned_is_the_targets_of_the_database_too() -> None:
    told = {"target": "local", "upstream_model": "llama", "status": 200, "attempts": 1, "surface": "chat"}
    line = parsed_line(
        end_line("a", **{**told, "tenant": "t", "model": "chat", "counted_tokens": 5, "prompt_tokens": 6})
    )
    assert line
    assert sample_of(line, tables_of(snapshot(), directory_of(*ROWS)).tenant)
    assert not sample_of(line, tables_of(snapshot()).tenant)


@asynccontextmanager
async def asking(server: ValkeyServer, tables: Tables) -> AsyncIterator[Queries]:
    counters = Counters(parsed(f"unix://{server.socket}"), 5.0)
    counters.start()
    try:
        yield Queries(tables, counters)
    finally:
        await counters.close()


async def test_how_their_limits_stand(server: ValkeyServer, valkey: Redis) -> None:
    valkey.flushall()
    tables = tables_of(snapshot(), directory_of(*ROWS, TenantEntry("broken", plan="gone")))
    async with asking(server, tables) as queries:

        async def ask(**question: Any) -> dict[str, Any]:
            answer: dict[str, Any] = json.loads(await queries.answer(json.dumps(question).encode()))
            return answer

        async def names(**question: Any) -> list[str]:
            return [row["name"] for row in (await ask(**question))["limits"]]

        general = ["rpm", "daily_tokens"]
        own = ["rpm:key=key_a", "daily_usd:key=user_a"]
        assert await names(tenant="t") == [*general, "tpm:key=key_a", "tpm:key=user_a", *own]
        assert await names(tenant="t", key="key_b") == [*general, "tpm:key=key_b"]
        assert await names(tenant="t", key="user_a") == [*general, "tpm:key=user_a", own[1]]
        assert await ask(tenant="t", key="key_c") == {"unknown": "key", "name": "key_c", "known": ["key_a", "user_a"]}
        assert (await ask(tenant="free"))["limits"] == []
        known = ["yaml", "limited", "t", "free", "filed", "broken"]
        assert await ask(tenant="T") == {"unknown": "tenant", "name": "T", "known": known}
        assert "incomplete" in (await ask(tenant="broken"))["error"]
        assert (await ask(provider="local"))["limits"] == []


DAILY = LimitRow("daily_tokens", 100)


def limits(*rows: LimitRow, **keys: LimitRow) -> LimitsRow:
    return LimitsRow(rows, {name: (row,) for name, row in keys.items()})


def knows(valkey: Redis, row: LimitsRow) -> bool:
    """Whether the counters have been told what was used of these limits."""
    return bool(valkey.exists(TenantLimits("t", row).base_key))


def test_what_they_use_is_settled_and_new_limits_get_their_sums(ledger: Ledger, valkey: Redis) -> None:
    writer = Writer(ledger.state / "directory")
    ledger.alive(E1)
    write_snapshot(snapshot(), ledger.state / "snapshot.json")
    ledger.start()  # before there is a directory
    assert writer.open()
    rows = (TenantEntry("t", plan="p"), GrantEntry("t", "chat"), PlanEntry("p", {"daily_tokens": 100}))
    try:
        writer.replace(Mark(1, 0, b""), [[change_to(row) for row in rows]])
        wait_until(lambda: knows(valkey, limits(DAILY)))
        reserve(valkey, E1, "a", tenant="t", limits=limits(DAILY), key_id="key_a", input=20)
        used = {"prompt_tokens": 10, "completion_tokens": 5, "status": 200, "attempts": 1, "key_id": "key_a"}
        ledger.append(E1, end_line("a", "t", time=moment(), **used))
        wait_until(lambda: stands(valkey, limits(DAILY), "t", "key_a") == {"daily_tokens": (15, 0)})
        own = limits(DAILY, key_a=LimitRow("daily_tokens", 50, by=("key",)))
        writer.append(Mark(2, 0, b""), [change_to(key("key_a", limits={"daily_tokens": 50}))])
        wait_until(lambda: knows(valkey, own))
        now = {"daily_tokens": (15, 0), "daily_tokens:key=key_a": (15, 0)}
        wait_until(lambda: stands(valkey, own, "t", "key_a") == now)
        # What still runs when the tenant is disabled is settled as well.
        reserve(valkey, E1, "b", tenant="t", limits=own, key_id="key_a", input=20)
        writer.append(Mark(3, 0, b""), [change_to(TenantEntry("t", plan="p", disabled=True))])
        ledger.append(E1, end_line("b", "t", time=moment(), **used))
        wait_until(lambda: stands(valkey, own, "t", "key_a")["daily_tokens"] == (30, 0))
    finally:
        writer.close()


def moment() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")

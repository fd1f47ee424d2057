"""Questions about limits, asked of the tables and a real server: which rows there are, and what they cost."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis import Redis

from headgate.counters.address import parsed
from headgate.counters.client import Counters
from headgate.counters.limits import TenantLimits
from headgate.limits import LimitRow, LimitsRow, user_name
from headgate.snapshot import Key, Snapshot, TargetRow, TenantRow
from ledger.showing.queries import MOST_LIMITS, Queries
from ledger.tables import Tables
from tests.counters.valkey_server import ValkeyServer
from tests.ledger.ledger_process import reserve

TARGET = TargetRow("local", "openai", "provider/local@0", "llama", "request", 0, 1, 1)


class Asked:
    """The tables, and how to ask about them."""

    def __init__(self, counters: Counters) -> None:
        self.known = Tables()
        self.queries = Queries(self.known, counters)

    def tables(self, limits: LimitsRow | None, keys: int = 2, models: int = 2) -> None:
        """Keys k0 …, models m0 …"""
        rows = [Key(at.to_bytes(32), f"k{at}", "acme") for at in range(keys)]
        tenant = TenantRow({f"m{at}": [TARGET] for at in range(models)}, limits)
        self.known.take(Snapshot(1, 0, 1, rows, {"acme": tenant}, {}))

    async def ask(self, **question: Any) -> dict[str, Any]:
        line = json.dumps({"tenant": "acme", **question}).encode()
        answer: dict[str, Any] = json.loads(await self.queries.answer(line))
        return answer

    async def names(self, **question: Any) -> list[str]:
        return [row["name"] for row in (await self.ask(**question))["limits"]]


@asynccontextmanager
async def asking(server: ValkeyServer) -> AsyncIterator[Asked]:
    counters = Counters(parsed(f"unix://{server.socket}"), 5.0)
    counters.start()
    try:
        yield Asked(counters)
    finally:
        await counters.close()


def limit(kind: str = "rpm", *by: Any, models: tuple[str, ...] | None = None, cap: int = 9) -> LimitRow:
    return LimitRow(kind, cap, by=by, models=models)


ROWS = {
    "nothing": (LimitsRow(), {}, []),
    "the tenant": (LimitsRow((limit(),)), {}, ["rpm"]),
    "keys": (LimitsRow((limit("rpm", "key"),)), {}, ["rpm:key=k0", "rpm:key=k1"]),
    "a key": (LimitsRow((limit("rpm", "key"),)), {"key": "k1"}, ["rpm:key=k1"]),
    "models": (LimitsRow((limit("rpm", "model"),)), {"key": "k1"}, ["rpm:model=m0", "rpm:model=m1"]),
    "both": (
        LimitsRow((limit("rpm", "key", "model"),)),
        {"model": "m1"},
        ["rpm:key=k0,model=m1", "rpm:key=k1,model=m1"],
    ),
    "some models": (LimitsRow((limit("rpm", "model", models=("m1", "gone")),)), {}, None),
    "another model": (LimitsRow((limit("rpm", models=("m1",)),)), {"model": "m0"}, []),
    "users": (LimitsRow((limit("rpm", "user"),)), {}, []),
    "a user": (LimitsRow((limit("rpm", "user"),)), {"user": "jo"}, [f"rpm:user={user_name('jo')}"]),
    "no user": (LimitsRow((limit("rpm", "key", "user"),)), {"user": "", "key": "k0"}, ["rpm:key=k0,user="]),
    "a key's own": (LimitsRow((limit("rpm", "key"),), {"k1": (limit("rpm", "key", cap=1),)}), {"key": "k1"}, None),
}


@pytest.mark.parametrize(("limits", "question", "names"), ROWS.values(), ids=ROWS)
async def test_rows(
    server: ValkeyServer, valkey: Redis, limits: LimitsRow, question: dict[str, str], names: list[str] | None
) -> None:
    async with asking(server) as asked:
        asked.tables(limits)
        found = await asked.names(**question)
        if names is not None:
            assert found == names
        elif limits.keys:
            (row,) = (await asked.ask(**question))["limits"]
            assert (row["name"], row["cap"]) == ("rpm:key=k1", 1)
        else:
            assert [name.rpartition("model=")[2] for name in found] == ["m1"]
        assert valkey.dbsize() == valkey.exists("hg:probe")  # the client's own; asking leaves nothing


async def test_a_tenant_without_keys_or_models(server: ValkeyServer, valkey: Redis) -> None:
    limits = LimitsRow((limit(), limit("tpm", "key"), limit("daily_requests", "model"), limit("rps", models=("m0",))))
    async with asking(server) as asked:
        asked.tables(limits, keys=0, models=0)
        assert await asked.names() == ["rpm"]


async def test_it_says_when_what_was_used_is_not_known_yet(server: ValkeyServer, valkey: Redis) -> None:
    async with asking(server) as asked:
        limits = LimitsRow((limit("daily_requests"),))
        asked.tables(limits)
        assert (await asked.ask())["complete"] is False
        valkey.hset(TenantLimits("acme", limits).base_key, "gateway", "1")
        assert (await asked.ask())["complete"] is True
        asked.tables(LimitsRow((limit("rpm"),)))
        valkey.flushall()
        assert (await asked.ask())["complete"] is True


async def test_of_many_the_first(server: ValkeyServer, valkey: Redis) -> None:
    limits = LimitsRow((limit("rpm", "key", "model"), limit("tpm", cap=99)))
    async with asking(server) as asked:
        asked.tables(limits, keys=200, models=30)
        reserve(valkey, "e", "a", limits=limits, key_id="k0", model="m1", input=3, output=20)
        answer = await asked.ask()
        assert (len(answer["limits"]), answer["cut"]) == (MOST_LIMITS, True)
        assert [row["used"] for row in answer["limits"][:3]] == [0, 1, 0]
        one = await asked.ask(key="k7")
        assert (len(one["limits"]), one["cut"]) == (31, False)


async def test_what_is_no_question(server: ValkeyServer, valkey: Redis) -> None:
    async with asking(server) as asked:
        for line in (b"", b"\n", b"{}", b"[" * 100_000, b"\xff", b'{"tenant": 1}', b'{"tenant": "acme", "k": "x"}'):
            assert json.loads(await asked.queries.answer(line)) == {"error": "not a question"}
        assert await asked.ask() == {"error": "the gateway has no tables yet"}


async def test_clients_that_say_nothing_or_too_much(server: ValkeyServer, valkey: Redis, tmp_path: Any) -> None:
    path = f"{tmp_path}/q"
    async with asking(server) as asked:
        asked.tables(LimitsRow((limit(),)))
        listener = await asyncio.start_unix_server(asked.queries.connected, path)
        for text, told in (
            (b"x" * 200_000 + b"\n", b""),
            (b'{"tenant": "acme"}\n', b'{"tenant"'),
            (b"", b'{"error"'),
        ):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(text)
            writer.write_eof()
            assert (await reader.read()).startswith(told)
            writer.close()
        listener.close()

"""Sixty-four connections at once: never one unit above a limit, and nobody refused while there is room."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from redis import Redis

from headgate.counters.address import CountersAddress
from headgate.counters.client import Counters
from headgate.counters.limits import Applying, TenantLimits
from headgate.counters.reservation import Verdict, Wish, estimate_nano, read_verdict, reserve_call
from headgate.counters.settlement import Settled, Sum, settle_call
from headgate.counters.standing import StandingNow, read_standing, standing_call
from headgate.limits import NANO, LimitsRow
from tests.counters.tenant import EPOCH, LEASE_MS, limits_of
from tests.counters.valkey_server import ValkeyServer

CLIENTS = 64

Work = Callable[[Counters, str], Coroutine[Any, Any, None]]


@asynccontextmanager
async def clients(server: ValkeyServer, count: int, base: str = "") -> AsyncIterator[list[Counters]]:
    some = [Counters(CountersAddress(path=str(server.socket)), 10) for _ in range(count)]
    for one in some:
        one.start()
    try:
        await some[0].run(*settle_call("acme", [], base=base))
        yield some
    finally:
        await asyncio.gather(*(one.close() for one in some))


def applying_to(row: LimitsRow) -> Applying:
    return TenantLimits("acme", row).applying("", "", "")


async def reserve(client: Counters, applying: Applying, wish: Wish) -> Verdict:
    return read_verdict(applying, await client.run(*reserve_call(applying, wish, LEASE_MS)))


async def stands(client: Counters, applying: Applying) -> dict[str, StandingNow]:
    reply = await client.run(*standing_call("acme", applying.limits))
    return {one.limit.name: one for one in read_standing(applying.limits, reply)}


async def everybody(server: ValkeyServer, work: Work, base: str = "") -> None:
    async with clients(server, CLIENTS, base) as some:
        await asyncio.gather(*(work(client, f"c{number}") for number, client in enumerate(some)))


async def test_requests_and_tokens_are_given_out_to_the_last_one(shared_valkey: ValkeyServer, valkey: Redis) -> None:
    applying = applying_to(limits_of(rpm=1000, tpm=5000, daily_tokens=4000, monthly_usd=NANO))
    generator, taken, refused = random.Random(7), [0, 0], set[str]()  # noqa: S311 - to be repeated
    began = time.monotonic()

    async def work(client: Counters, name: str) -> None:
        for number in range(20):
            wish = Wish(f"{name}-{number}", EPOCH, generator.randint(0, 30), generator.randint(0, 60), 1, 10, "3.5")
            # Twice at once, as when Envoy repeats a call: it counts once.
            verdict, again = await asyncio.gather(reserve(client, applying, wish), reserve(client, applying, wish))
            if verdict.refused and again.refused:
                refused.add(verdict.refused.limit.name)
                needed = wish.input + min(16, wish.output)
                assert verdict.refused.used + needed > (verdict.refused.limit.row.cap or 0)
                continue
            assert verdict.refused is None
            assert verdict.grant == again.grant
            taken[0] += wish.input + verdict.grant
            taken[1] += estimate_nano(wish, verdict.grant)
            assert taken[0] <= 4000
        for number in range(16):  # what is left is given out one by one
            verdict = await reserve(client, applying, Wish(f"{name}+{number}", EPOCH, 1))
            taken[0] += not verdict.refused

    await everybody(shared_valkey, work, applying.keys[2])
    assert time.monotonic() - began < 60
    assert refused == {"daily_tokens"}
    assert taken[0] == 4000
    async with clients(shared_valkey, 1) as (client,):
        now = await stands(client, applying)
    assert (now["daily_tokens"].reserved, now["tpm"].reserved, now["monthly_usd"].reserved) == (4000, 4000, taken[1])


async def test_exactly_as_many_requests_as_the_limit_allows(shared_valkey: ValkeyServer, valkey: Redis) -> None:
    applying = applying_to(limits_of(rpm=100, rps=1000))
    let_in = []

    async def work(client: Counters, name: str) -> None:
        for number in range(5):
            verdict = await reserve(client, applying, Wish(f"{name}-{number}", EPOCH))
            if not verdict.refused:
                let_in.append(verdict.standings[0].left)

    await everybody(shared_valkey, work)
    assert sorted(let_in) == list(range(100))


async def test_slots_and_money_while_requests_come_and_end(shared_valkey: ValkeyServer, valkey: Redis) -> None:
    """A ledger settles meanwhile. A refusal had four others in its way, and the sum of all is the limit's at most."""
    cap = 200_000
    applying = applying_to(limits_of(concurrency=4, monthly_usd=cap))
    generator, ticks = random.Random(3), iter(range(10**9))  # noqa: S311 - to be repeated
    held: list[list[float]] = []  # from the call to the end of its settlement
    refused: list[tuple[int, int]] = []
    active, charged, sequence = set[str](), 0, 0

    async def settle(client: Counters, name: str, cost: int) -> None:
        nonlocal charged, sequence
        active.discard(name)
        charged, sequence = charged + cost, sequence + 1
        money = applying.limits[1]
        month = money.window_ms(time.time_ns() // 1_000_000)[0]
        settled = Settled(name, EPOCH, 0, applying, usd_nano=cost, missed=False)
        await client.run(*settle_call("acme", [settled], [Sum(money, month, charged, sequence)], "g1"))

    async def work(client: Counters, name: str) -> None:
        for number in range(15):
            wish = Wish(f"{name}-{number}", EPOCH, 0, 100, 1, generator.randint(0, 500), "7.5")
            began = next(ticks)
            verdict = await reserve(client, applying, wish)
            if verdict.refused:
                if verdict.refused.limit.name == "concurrency":
                    refused.append((began, next(ticks)))
                continue
            active.add(wish.request_id)
            assert len(active) <= 4
            held.append([began, float("inf")])
            mine = held[-1]
            for _ in range(generator.randint(0, 3)):
                await client.command("PING")
            estimate = estimate_nano(wish, verdict.grant)
            await settle(client, wish.request_id, generator.randint(0, estimate))
            assert charged <= cap
            mine[1] = next(ticks)

    await everybody(shared_valkey, work, applying.keys[2])
    assert refused
    for began, ended in refused:
        assert sum(start < ended and end > began for start, end in held) >= 4
    async with clients(shared_valkey, 1) as (client,):
        now = await stands(client, applying)
    assert (now["monthly_usd"].used, now["monthly_usd"].reserved, now["concurrency"].reserved) == (charged, 0, 0)

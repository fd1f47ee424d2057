"""Strategies and splits on two real gateways that share their counters: what the feed makes of plans."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import httpx2
import pytest
from running_gateway import RunningGateway, running_gateway
from tenants import CHAT, chat
from upstreams import simulator

from extproc.steps.split import variant_of
from headgate.snapshot import SplitRow
from tests.counters.valkey_server import valkey_server
from tests.feed.ends import figures_of, until

KEY = f"hg-{token_urlsafe(32)}"
WITHIN_S = 40.0
HELD = 40  # at once: more than seven choices, of which each counts for two workers of two gateways


@dataclass(frozen=True)
class Gateways:
    one: RunningGateway
    other: RunningGateway
    counters: Path

    async def ask(self, model: str, gateway: RunningGateway | None = None, **more: Any) -> httpx2.Response:
        headers = {"authorization": f"Bearer {KEY}"}
        async with httpx2.AsyncClient(timeout=60) as client:
            reply = await client.post((gateway or self.one).url + CHAT, json=chat(model, **more), headers=headers)
        assert reply.status_code == 200, reply.text
        return reply

    async def targets(self, model: str, number: int, **more: Any) -> "Counter[str]":
        """Who answered so many requests, ten at a time."""
        found: Counter[str] = Counter()
        for _ in range(number // 10):
            replies = await asyncio.gather(*(self.ask(model, **more) for _ in range(10)))
            found.update(reply.headers["x-headgate-target"] for reply in replies)
        return found


def configuration(slow: str, fast: str, counters: str) -> dict[str, Any]:
    """`slow` comes first wherever nothing better is known."""
    providers = {"slow": slow, "fast": fast}
    both: list[dict[str, Any]] = [{"provider": name, "model": "m"} for name in providers]
    cheap = [{**target, "price": price} for target, price in
             zip(both, ({"input": 9, "output": 1}, {"input": 1, "output": 9}), strict=True)]  # fmt: skip
    split = [{**target, "variant": variant} for target, variant in zip(both, ("old", "new"), strict=True)]
    models = {
        "fastest": {"strategy": "fastest", "targets": both},
        "busy": {"strategy": "least_busy", "targets": both},
        "cheap": {"strategy": "cheapest", "targets": cheap},
        "weighted": {"strategy": "weighted", "targets": [both[0], {**both[1], "weight": 3}]},
        "split": {"split": {"variants": {"old": 3, "new": 1}}, "targets": split},
        "on-slow": {"targets": both[:1]},
    }
    return {
        "providers": {name: {"api": "openai", "endpoints": [f"http://{at}"]} for name, at in providers.items()},
        "models": models,
        "tenants": {
            "acme": {
                "models": list(models),
                "keys": [{"name": "only", "sha256": sha256(KEY.encode()).hexdigest()}],
            }
        },
        "services": {"counters": counters},
    }


@contextmanager
def running(folder: Path) -> Iterator[Gateways]:
    for name in ("counters", "one", "other"):
        (folder / name).mkdir()
    with (
        simulator(folder, "slow", ttft="400ms") as slow,
        simulator(folder, "fast") as fast,
        valkey_server(folder / "counters") as counters,
    ):
        config = configuration(slow.address, fast.address, f"unix://{counters.socket}")
        with (
            running_gateway(folder / "one", config, {}) as one,
            running_gateway(folder / "other", config, {}) as other,
        ):
            yield Gateways(one, other, counters.socket)


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    with running(tmp_path_factory.mktemp("order")) as found:
        yield found


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not await condition():
            pass


async def test_the_faster_one_is_found_by_trying(gateways: Gateways) -> None:
    """A twentieth of requests is spent on what is unknown or slower; the figures come by the feed."""

    async def mostly_fast() -> bool:
        found = await gateways.targets("fastest", 30, stream=True, simulate={"tokens": 3})
        return found["fast"] > 20

    await eventually(mostly_fast)
    found = await gateways.targets("fastest", 100, stream=True, simulate={"tokens": 3})
    assert found["fast"] > 75, found  # 95 expected


@asynccontextmanager
async def busy(gateways: Gateways) -> AsyncIterator[None]:
    """Streams that run for a minute at `slow`, through the first gateway."""
    long = {"tokens": 10, "token_s": 6}
    holding = [asyncio.create_task(gateways.ask("on-slow", stream=True, simulate=long)) for _ in range(HELD)]
    try:
        yield
    finally:
        for task in holding:
            task.cancel()
        for task in holding:
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest.mark.parametrize("through", ["one", "other"])
async def test_the_less_busy_one_is_asked_whichever_gateway_is_busy_there(gateways: Gateways, through: str) -> None:
    gateway: RunningGateway = getattr(gateways, through)
    async with busy(gateways):
        async with figures_of(f"unix://{gateways.counters}", None) as figures:
            slow = gateway.cluster("slow")
            await until(lambda: figures.load(slow) == HELD)
        for _ in range(5):
            reply = await gateways.ask("busy", gateway, simulate={"tokens": 1})
            assert reply.headers["x-headgate-target"] == "fast"


async def test_how_long_answers_are_decides_what_is_cheapest(gateways: Gateways) -> None:
    """By default 4096 tokens are expected, which `slow` takes less for; answers turn out to have one."""
    assert (await gateways.ask("cheap", simulate={"tokens": 1})).headers["x-headgate-target"] == "slow"
    long = (await gateways.ask("cheap", simulate={"tokens": 1}, max_tokens=1)).headers["x-headgate-target"]
    assert long == "fast"

    async def learned() -> bool:
        reply = await gateways.ask("cheap", simulate={"tokens": 1})
        return reply.headers["x-headgate-target"] == "fast"

    await eventually(learned)


async def test_weights_count_across_priorities(gateways: Gateways) -> None:
    found = await gateways.targets("weighted", 200, simulate={"tokens": 1})
    assert abs(found["fast"] - 150) < 6.5 * (200 * 0.75 * 0.25) ** 0.5


async def test_a_split_is_in_the_records_and_the_metrics(gateways: Gateways) -> None:
    split, users = SplitRow("user", {"old": 3, "new": 1}), [f"user-{number}" for number in range(40)]
    expected = {user: variant_of(split, "split", "acme", user) for user in users}
    found: Counter[str] = Counter()
    for gateway in (gateways.one, gateways.other):
        for user in users:
            reply = await gateways.ask("split", gateway, user=user, simulate={"tokens": 1})
            assert "x-headgate-variant" not in reply.headers
            line = await asyncio.to_thread(gateway.end_line, reply.headers["x-request-id"])
            assert (line["variant"], line["user"]) == (expected[user], user)
            assert line["target"] == {"old": "slow", "new": "fast"}[expected[user]]
            found[expected[user]] += gateway is gateways.one

    async def counted() -> bool:
        text = httpx2.get(f"http://{gateways.one.admin_address}/metrics").text
        series = 'headgate_variant_requests_total{{model="split",status="200",variant="{}"}} {}.0'
        return all(series.format(variant, found[variant]) in text for variant in ("old", "new"))

    await eventually(counted)
    assert found["old"] > found["new"] > 0


async def test_lines_of_other_models_have_no_variant(gateways: Gateways) -> None:
    for streams in (True, False):
        reply = await gateways.ask("on-slow", stream=streams, simulate={"tokens": 1})
        line = await asyncio.to_thread(gateways.one.end_line, reply.headers["x-request-id"])
        assert (line["variant"], line["streamed"]) == (None, streams or None)

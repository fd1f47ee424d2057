"""What docs/limits.md shows, run: every limit of its blocks, as it stands there, in a tenant of its own."""

import asyncio
import datetime as dt
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from limit_examples import ANSWER, EXAMPLES, PRICES, SMALL_ANSWER, SMALLER, Example, configured
from limited import counters_of, until
from quotas import Quotas, Used, asked, quotas, used
from redis import Redis
from running_gateway import RunningGateway, running_gateway
from tenants import CHAT
from upstreams import Engine

from headgate.limits import KINDS_OF_PARTS

OTHER_KEY = "other"


def such(wanted: str) -> pytest.MarkDecorator:
    """The examples that a test is for."""
    names = [name for name, example in EXAMPLES.items() if way_of(example) == wanted]
    return pytest.mark.parametrize("name", names)


def way_of(example: Example) -> str:
    """How it is tested: the name of a test of this file."""
    if example.cap is None:
        return "warns"
    if example.kind in ("rps", "concurrency"):
        return example.kind
    return "requests" if example.dimension == "requests" else "amounts"


@dataclass
class Running:
    """The gateway of all examples."""

    gateway: RunningGateway
    setup: Quotas
    others: Mapping[str, str]  # the tenants' second keys
    counters: Redis

    def ask(self, name: str, body: dict[str, Any], *, other_key: bool = False) -> httpx2.Response:
        return self.gateway.post(CHAT, body, (self.others if other_key else self.setup.keys)[name])

    async def settle(self, name: str) -> Used:
        """Once nothing is reserved any more: what the spool says."""
        await until(lambda: not self.counters.zcard(f"hg:{{{name}}}:open"))
        return used([self.gateway], name)


@pytest.fixture(scope="module")
def running(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A plan and a tenant for each example, which has two keys."""
    made = {name: configured(example) for name, example in EXAMPLES.items()}
    setup = quotas(engine, {name: plan for name, (plan, _) in made.items()})
    second = quotas(engine, {name: {} for name in made})
    for name, tenant in setup.config["tenants"].items():
        (key,) = tenant["keys"]
        if EXAMPLES[name].where == "key":
            key["limits"] = {EXAMPLES[name].kind: EXAMPLES[name].limit}
        (other,) = second.config["tenants"][name]["keys"]
        tenant["keys"] = [key, {**other, "name": OTHER_KEY}]
        tenant |= made[name][1]
    for model, price in PRICES.items():
        setup.config["models"][model]["price"] = price
    folder = tmp_path_factory.mktemp("kinds")
    with running_gateway(folder, setup.config, {}) as gateway, counters_of(gateway) as counters:
        yield Running(gateway, setup, second.keys, counters)


def amount(example: Example, total: Used) -> Decimal:
    """Of what the limit counts."""
    price = PRICES[example.model]
    usd = total.input * Decimal(price["input"]) + total.output * Decimal(price["output"])
    counted: dict[str, Decimal | int] = {
        "requests": total.requests,
        "input": total.input,
        "output": total.output,
        "tokens": total.tokens,
        "usd": usd / 10**6,
    }
    return Decimal(counted[example.dimension])


def body_of(example: Example) -> dict[str, Any]:
    """What an example's limit is used up with."""
    model, tokens = ANSWER.get(example.name, SMALL_ANSWER)
    return {**asked(tokens, tokens=tokens, model=model), "user": "ann"}


def whose(example: Example) -> str:
    """As messages name it."""
    values = {"key": "ci", "model": example.model, "user": "ann"}
    named = [f"{scope} '{values[scope]}'" for scope in example.by]
    named += [f"model '{model}'" for model in example.models or ()]
    return ", ".join((f"tenant '{example.name}'", *named))


def in_words(example: Example) -> str:
    """The limit as messages say it."""
    more = ""
    if "overage" in example.said:
        more = f", {example.most} with overage"
    elif "burst" in example.said:
        more = f", {example.said['burst']} more in a burst"
    kind = KINDS_OF_PARTS[example.kind]
    assert example.cap is not None
    return f"limit {written(example.cap)} {kind.text}{more} ({kind.name})"


def written(number: Decimal) -> str:
    """Without zeros at the end of a fraction."""
    return f"{number:f}".rstrip("0").rstrip(".") if "." in f"{number:f}" else f"{number:f}"


def assert_refused(example: Example, reply: httpx2.Response, used_up: Decimal) -> None:
    """429 in the words of the page, with what it says of headers."""
    assert reply.status_code == 429, reply.text
    error, calendar = reply.json()["error"], KINDS_OF_PARTS[example.kind].shape in ("day", "month")
    about = f" for {whose(example)}: {in_words(example)}, used "
    begins, code = (
        ("Quota used up", "insufficient_quota") if calendar else ("Rate limit reached", "rate_limit_exceeded")
    )
    assert error["message"].startswith(begins + about), error
    said = re.match(r"[\d.]*\d", error["message"].removeprefix(begins + about))
    assert said, error
    assert Decimal(said[0]) == used_up
    assert error["code"] == code
    wait_s = int(reply.headers["retry-after"])
    if calendar:
        assert reply.headers["x-should-retry"] == "false"
        now = dt.datetime.now(dt.UTC)
        resets = dt.datetime.fromisoformat(error["message"].rpartition("It resets at ")[2].rstrip("."))
        assert abs((resets - now).total_seconds() - wait_s) < 30
        assert (resets.hour, resets.minute, resets.second) == (0, 0, 0)
        if KINDS_OF_PARTS[example.kind].shape == "month":
            assert resets.day == example.anniversary
            assert resets - now <= dt.timedelta(days=31)
        else:
            assert resets - now <= dt.timedelta(days=1)
    else:
        assert "x-should-retry" not in reply.headers
        assert error["message"].endswith(f" Retry in {wait_s} s.")
        assert 1 <= wait_s <= 61
    assert reply.headers["x-headgate-error-source"] == "gateway"


def family(example: Example) -> str | None:
    """Which of the known headers speak of the limit."""
    names = {"requests": "requests", "input": "tokens", "output": "tokens", "tokens": "tokens"}
    return names.get(example.dimension)


def assert_shown(example: Example, reply: httpx2.Response, left: int | None) -> None:
    """`left` None: as much as is said."""
    name = family(example)
    shown = {key for key in reply.headers if key.startswith("x-ratelimit-")}
    if name is None:
        assert not shown
        return
    wanted = {f"x-ratelimit-{what}-{name}" for what in ("limit", "remaining", "reset")}
    assert shown == wanted if example.where in ("plan", "per") else shown >= wanted
    assert reply.headers[f"x-ratelimit-limit-{name}"] == str(example.most)
    assert re.fullmatch(r"(\d+h)?(\d+m)?\d+s", reply.headers[f"x-ratelimit-reset-{name}"])
    if left is not None:
        assert int(reply.headers[f"x-ratelimit-remaining-{name}"]) == left


@such("requests")
async def test_so_many_requests_pass(running: Running, name: str) -> None:
    example = EXAMPLES[name]
    assert example.cap is not None
    cap, began = int(example.cap), time.monotonic()
    for number in range(cap):
        reply = running.ask(name, body_of(example))
        assert reply.status_code == 200, reply.text
        assert_shown(example, reply, cap - number - 1)
    refused = running.ask(name, body_of(example))
    assert time.monotonic() - began < 55, "a minute has passed: the window has moved"
    assert_refused(example, refused, example.cap)
    assert_shown(example, refused, 0)
    await until(lambda: used([running.gateway], name).requests == cap)
    assert_beside(running, example)


@such("rps")
async def test_so_many_requests_pass_within_a_second(running: Running, name: str) -> None:
    """All at once, and once more where that took longer than a second."""
    example, key = EXAMPLES[name], running.setup.keys[name]
    assert example.cap is not None
    async with (
        httpx2.AsyncClient(timeout=30, headers={"authorization": f"Bearer {key}"}) as session,
        asyncio.timeout(50),
    ):
        while True:
            began = time.monotonic()
            calls = (
                session.post(running.gateway.url + CHAT, json=body_of(example)) for _ in range(int(example.cap) + 3)
            )
            replies = await asyncio.gather(*calls)
            if time.monotonic() - began < 0.9:
                break
            await asyncio.sleep(1.1)
    refused = [reply for reply in replies if reply.status_code != 200]
    assert len(refused) == 3
    for reply in refused:
        assert_refused(example, reply, example.cap)
        assert_shown(example, reply, 0)
        assert reply.headers["retry-after"] in ("1", "2")
    left = [int(reply.headers["x-ratelimit-remaining-requests"]) for reply in replies if reply.status_code == 200]
    assert sorted(left) == list(range(int(example.cap)))


@such("concurrency")
async def test_so_many_requests_run_at_the_same_time(running: Running, name: str) -> None:
    example, key = EXAMPLES[name], running.setup.keys[name]
    assert example.cap is not None
    long = json.dumps(asked(5, tokens=5, silence=2)).encode()
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    async with httpx2.AsyncClient(timeout=30, headers=headers) as session, AsyncExitStack() as open_streams:
        for _ in range(int(example.cap)):
            stream = session.stream("POST", running.gateway.url + CHAT, content=long)
            assert (await open_streams.enter_async_context(stream)).status_code == 200
        refused = await asyncio.to_thread(running.ask, name, body_of(example))
        assert_refused(example, refused, example.cap)
        assert_shown(example, refused, None)
    await running.settle(name)
    assert running.ask(name, body_of(example)).status_code == 200


@such("amounts")
async def test_so_much_passes(running: Running, name: str) -> None:
    """The last answer is as long as there is room for, and then nothing useful is left."""
    example = EXAMPLES[name]
    assert example.cap is not None
    assert example.most is not None
    body, total, began = body_of(example), Used(), time.monotonic()
    notices: list[tuple[Decimal, Decimal, httpx2.Response]] = []
    while (reply := running.ask(name, body)).status_code == 200:
        before, total = amount(example, total), await running.settle(name)
        line = running.gateway.end_line(reply.headers["x-request-id"])
        granted = int(reply.headers.get("x-headgate-max-tokens", body["max_tokens"]))
        assert line["completion_tokens"] == granted
        reserved = amount(example, Used(1, line["estimated_tokens"], granted))
        assert_shown(example, reply, None if "burst" in example.said else int(example.most - before - reserved))
        notices.append((before, reserved, reply))
        assert total.requests < 30, total
    assert time.monotonic() - began < 50, "a minute has passed: the window has moved"
    assert_refused(example, reply, amount(example, total))
    assert_shown(example, reply, None)
    estimate = running.gateway.end_line(reply.headers["x-request-id"])["estimated_tokens"]
    requested = amount(example, Used(1, estimate, body["max_tokens"]))
    assert f", requested {written(requested)}. " in reply.json()["error"]["message"]
    least = amount(example, Used(1, estimate, 16))
    if "burst" in example.said:
        assert example.cap < amount(example, total) <= example.most
    else:
        assert example.most - least < amount(example, total) <= example.most
    assert len(notices) > 1
    for before, reserved, passed in notices:
        assert_notices(example, passed, before, reserved)
    assert_beside(running, example)


@such("warns")
async def test_what_only_warns_lets_all_pass(running: Running, name: str) -> None:
    example, total, warned = EXAMPLES[name], Used(), []
    for _ in range(6):
        reply = running.ask(name, body_of(example))
        assert reply.status_code == 200
        before, total = amount(example, total), await running.settle(name)
        line = running.gateway.end_line(reply.headers["x-request-id"])
        assert_notices(example, reply, before, amount(example, Used(1, line["estimated_tokens"], 20)))
        warned.append("x-headgate-warning" in reply.headers)
        assert not [key for key in reply.headers if key.startswith("x-ratelimit-")]
    assert (warned[0], warned[-1]) == (False, True)
    assert amount(example, total) > example.said["soft"]


def assert_notices(example: Example, reply: httpx2.Response, before: Decimal, reserved: Decimal) -> None:
    """Exactly those of a limit of which so much was used: warnings by that, overages with this one's reservation."""
    soft, at = example.said.get("soft"), before + reserved
    warning = [f"{example.kind}; used={before}; soft={soft}"] if soft is not None and before > soft else []
    assert reply.headers.get_list("x-headgate-warning") == warning
    over = "overage" in example.said and example.cap is not None and at > example.cap
    assert reply.headers.get_list("x-headgate-overage") == ([example.kind] if over else [])


def assert_beside(running: Running, example: Example) -> None:
    """A limit within the tenant lets others pass that have not used it; all share another one."""
    body = body_of(example)
    others: dict[str, tuple[dict[str, Any], bool]] = {
        "key": (body, True),
        "user": ({**body, "user": "bob"}, False),
        "model": ({**body, "model": "chat" if example.model == "big" else "big"}, False),
    }
    if example.dimension == "usd" and not example.models:
        del others["model"]  # there is always room for what costs less
    free = {*example.by, *(["model"] if example.models else [])}
    # Reported prompts correct the estimates of later ones: one that is longer by far never fits where ours did not.
    long = {"messages": [{"role": "user", "content": 100 * "Why is water wet? "}]}
    for scope, (other, other_key) in others.items():
        passes = scope in free
        reply = running.ask(example.name, other if passes else {**other, **long}, other_key=other_key)
        assert reply.status_code == (200 if passes else 429), (scope, reply.text)


def test_every_kind_and_way_is_shown_and_run() -> None:
    assert {example.kind for example in EXAMPLES.values()} == KINDS_OF_PARTS.keys()
    ways = set().union(*(example.features for example in EXAMPLES.values()))
    wanted = {"burst", "soft", "overage", "models", "of plan", "of per", "of tenant", "of key"}
    assert wanted | {"by ('key',)", "by ('model', 'user')"} <= ways
    assert SMALLER.keys() <= EXAMPLES.keys()

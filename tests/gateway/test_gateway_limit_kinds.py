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
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from limited import counters_of, until
from quotas import Quotas, Used, asked, quotas, used
from redis import Redis
from running_gateway import RunningGateway, running_gateway
from tenants import CHAT
from upstreams import Engine

from headgate.limits import KINDS, SCOPES

PAGE = Path(__file__).parents[2] / "docs/limits.md"
# What a test cannot reach is replaced by what it can, and all else of the example stays: the name of the example, and
# number by number.
SMALLER: Mapping[str, Mapping[int, int]] = {
    "small-daily-requests": {2000: 4},
    "small-daily-tokens": {500_000: 150},
    "large-input-tpm": {400_000: 70},
    "large-output-tpm": {100_000: 70},
    "large-tpm": {450_000: 130},
    "large-monthly-requests": {1_000_000: 3},
    "large-monthly-tokens": {50_000_000: 140},
    "more-tpm": {40_000: 100, 10_000: 80},
    "more-daily-tokens": {500_000: 90},
    "more-monthly-tokens": {50_000_000: 150, 40_000_000: 70},
    "parts-rpm": {600: 30},
    "parts-per-0-rpm": {60: 12},
    "parts-per-1-daily-tokens": {100_000: 120},
    "acme-rpm": {600: 3, 1200: 7},
    "acme-tpm": {600: 50, 80_000: 120},
}
# USD per million tokens: a token of an answer costs 0.002 dollars, of `big` 0.05, so that a hundred are soon spent.
PRICES = {"chat": {"input": "1000", "output": "2000"}, "big": {"input": "10000", "output": "50000"}}
# Which model is asked for how many tokens, so that it takes several requests to use a limit up.
ANSWER = {
    "small-daily-usd": ("chat", 400),
    "large-monthly-usd": ("big", 700),
    "more-monthly-usd": ("big", 700),
    "parts-per-2-monthly-usd": ("big", 150),
}
SMALL_ANSWER = ("chat", 20)
OTHER_KEY = "other"


@dataclass(frozen=True)
class Example:
    """One limit of the page. `where` is plan, per, tenant or key; `limit` its value there, with SMALLER's numbers."""

    name: str
    where: str
    plan: str
    kind: str
    limit: Any
    by: tuple[str, ...] = ()
    models: tuple[str, ...] | None = None
    anniversary: int = 1

    @property
    def said(self) -> dict[str, Any]:
        return self.limit if isinstance(self.limit, dict) else {"limit": self.limit}

    @property
    def cap(self) -> Decimal | None:
        """None where the limit only warns."""
        return Decimal(str(self.said["limit"])) if "limit" in self.said else None

    @property
    def most(self) -> Decimal | None:
        """With what may be used on top."""
        if self.cap is None:
            return None
        ceiling = self.said.get("overage", {}).get("ceiling")
        return Decimal(str(ceiling)) if ceiling else self.cap + self.said.get("burst", 0)

    @property
    def dimension(self) -> str:
        return KINDS[self.kind].dimension

    @property
    def model(self) -> str:
        return ANSWER.get(self.name, SMALL_ANSWER)[0]

    @property
    def features(self) -> set[str]:
        more = {name for name in ("burst", "soft", "overage") if name in self.said}
        return more | {f"by {self.by}" if self.by else ""} | {"models" if self.models else ""} | {f"of {self.where}"}


def smaller(name: str, value: Any) -> Any:
    """The value with the numbers of SMALLER in place of the page's."""
    if isinstance(value, dict):
        return {key: smaller(name, one) for key, one in value.items()}
    return value if isinstance(value, bool | str) else SMALLER.get(name, {}).get(value, value)


def of_the_page() -> dict[str, Any]:
    """All blocks as one document."""
    document: dict[str, Any] = {"plans": {}, "tenants": {}}
    for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL):
        for section, entries in yaml.safe_load(block).items():
            document[section].update(entries)
    return document


def examples(document: Mapping[str, Any]) -> Iterator[Example]:
    """Every limit that the page shows."""

    def example(name: str, where: str, plan: str, kind: str, value: Any, **more: Any) -> Example:
        name = f"{name}-{kind}".replace("_", "-")
        return Example(name, where, plan, kind, smaller(name, value), **more)

    for plan, entries in document["plans"].items():
        kept = {"anniversary": entries.get("anniversary", 1)}
        for kind in sorted(entries.keys() & KINDS.keys()):
            yield example(plan, "plan", plan, kind, entries[kind], **kept)
        for number, rule in enumerate(entries.get("per", ())):
            by = tuple(scope for scope in SCOPES if scope in rule.get("by", ()))
            scope = {"by": by, "models": tuple(rule["models"]) if "models" in rule else None}
            for kind in sorted(rule.keys() & KINDS.keys()):
                yield example(f"{plan}-per-{number}", "per", plan, kind, rule[kind], **kept, **scope)
    for tenant, entries in document["tenants"].items():
        for kind, value in entries["limits"].items():
            yield example(tenant, "tenant", entries["plan"], kind, value)
        for key in entries["keys"]:
            for kind, value in key["limits"].items():
                name = f"{tenant}-key-{key['name']}"
                yield example(name, "key", entries["plan"], kind, value, by=("key",))


DOCUMENT = of_the_page()
EXAMPLES = {example.name: example for example in examples(DOCUMENT)}


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


def configured(example: Example) -> tuple[dict[str, Any], dict[str, Any]]:
    """The plan and the tenant of an example: what the page says, less what other examples are for."""
    page = DOCUMENT["plans"][example.plan]
    plan: dict[str, Any] = {"anniversary": page["anniversary"]} if "anniversary" in page else {}
    tenant: dict[str, Any] = {}
    if example.where == "plan":
        plan[example.kind] = example.limit
    elif example.where == "per":
        rule = {name: value for name, value in page["per"][_place(example)].items() if name not in KINDS}
        plan["per"] = [{**rule, example.kind: example.limit}]
    else:  # what it takes the place of, and what it comes beside
        plan |= {kind: smaller(example.name, value) for kind, value in page.items() if kind in KINDS}
        plan["per"] = page["per"]
    if example.where == "tenant":
        tenant["limits"] = {example.kind: example.limit}
    return plan, tenant


def _place(example: Example) -> int:
    return int(re.findall(r"-per-(\d)-", example.name)[0])


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
    kind = KINDS[example.kind]
    assert example.cap is not None
    return f"limit {written(example.cap)} {kind.text}{more} ({kind.name})"


def written(number: Decimal) -> str:
    """Without zeros at the end of a fraction."""
    return f"{number:f}".rstrip("0").rstrip(".") if "." in f"{number:f}" else f"{number:f}"


def assert_refused(example: Example, reply: httpx2.Response, used_up: Decimal) -> None:
    """429 in the words of the page, with what it says of headers."""
    assert reply.status_code == 429, reply.text
    error, calendar = reply.json()["error"], KINDS[example.kind].shape in ("day", "month")
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
        if KINDS[example.kind].shape == "month":
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
    notices: list[tuple[Decimal, httpx2.Response]] = []
    while (reply := running.ask(name, body)).status_code == 200:
        before, total = amount(example, total), await running.settle(name)
        line = running.gateway.end_line(reply.headers["x-request-id"])
        granted = int(reply.headers.get("x-headgate-max-tokens", body["max_tokens"]))
        assert line["completion_tokens"] == granted
        reserved = amount(example, Used(1, line["estimated_tokens"], granted))
        assert_shown(example, reply, None if "burst" in example.said else int(example.most - before - reserved))
        notices.append((before + reserved, reply))
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
    for at, passed in notices:
        assert_notices(example, passed, at)
    assert_beside(running, example)


@such("warns")
async def test_what_only_warns_lets_all_pass(running: Running, name: str) -> None:
    example, total, warned = EXAMPLES[name], Used(), []
    for _ in range(6):
        reply = running.ask(name, body_of(example))
        assert reply.status_code == 200
        before, total = amount(example, total), await running.settle(name)
        line = running.gateway.end_line(reply.headers["x-request-id"])
        assert_notices(example, reply, before + amount(example, Used(1, line["estimated_tokens"], 20)))
        warned.append("x-headgate-warning" in reply.headers)
        assert not [key for key in reply.headers if key.startswith("x-ratelimit-")]
    assert (warned[0], warned[-1]) == (False, True)
    assert amount(example, total) > example.said["soft"]


def assert_notices(example: Example, reply: httpx2.Response, at: Decimal) -> None:
    """Exactly the warnings and overages of a limit of which so much was used, this request's reservation included."""
    soft = example.said.get("soft")
    warning = [f"{example.kind}; used={at}; soft={soft}"] if soft is not None and at > soft else []
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
    assert {example.kind for example in EXAMPLES.values()} == KINDS.keys()
    ways = set().union(*(example.features for example in EXAMPLES.values()))
    wanted = {"burst", "soft", "overage", "models", "of plan", "of per", "of tenant", "of key"}
    assert wanted | {"by ('key',)", "by ('model', 'user')"} <= ways
    assert SMALLER.keys() <= EXAMPLES.keys()

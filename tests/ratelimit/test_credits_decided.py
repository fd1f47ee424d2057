"""Requests of tenants with credits: what is reserved of their account, what is refused, and what the answer says."""

import json
from collections.abc import AsyncIterator, Awaitable
from decimal import Decimal
from typing import Any

import pytest
from redis import Redis

from headgate.contract import COUNTERS_URL_ENV
from headgate.counters.limits import TenantLimits
from headgate.counters.settlement import Sum, settle_call
from headgate.credits import CreditsRow
from headgate.limiting import Ask
from headgate.limits import NANO, LimitRow, LimitsRow
from headgate.prices import PriceRow
from headgate.snapshot import ModelRow, Snapshot, TargetRow, TenantRow
from headgate.tables import Holder
from headgate.wire.ratelimit_pb2 import RateLimitResponse
from ratelimit import service
from ratelimit.service import Limiter
from tests.counters.valkey_server import ValkeyServer
from tests.tenants.still import Still

TARGET = TargetRow("a", "openai", "provider/a@0", "m", "final", 0, 1, 1)
PRICE = PriceRow(Decimal("2.5"), Decimal("0.25"), Decimal("3.125"), Decimal(10))
NO_PRICE = PriceRow(*[Decimal(0)] * 4)
ROW = LimitsRow((LimitRow("credits", None, floor=-NANO, low=NANO),))
SINCE = 20_000


class Call:
    def header(self, _name: str) -> str | None:
        return None


def snapshot(booked: int | None) -> Snapshot:
    account = None if booked is None else CreditsRow(SINCE, booked)
    models = {name: ModelRow("s", "w", 1, 1000, price=price) for name, price in (("chat", PRICE), ("free", NO_PRICE))}
    tenant = TenantRow({name: [TARGET] for name in models}, ROW, credits=account)
    return Snapshot(1, 0, 1, keys=[], tenants={"acme": tenant}, models=models)


class Asking:
    """A limiter of this process's. `booked` on acme's account, which `used` is charged to; None is no account."""

    def __init__(self, server: ValkeyServer, booked: int | None, used: int = 0) -> None:
        if booked is not None:
            limits = self.limits(booked)
            (limit,) = limits.applying("", "", "").limits
            sums = [Sum(limit, limit.window_ms(0)[0], used, 1)]
            script, keys, arguments = settle_call("acme", (), sums, "g", base=limits.base_key)
            with server.raw_client() as client:
                client.eval(script.text, len(keys), *keys, *arguments)  # type: ignore[arg-type]
        self.holder = Holder(snapshot(booked), Still())
        self.limiter = Limiter(self.holder, 2)
        self._number = 0

    def limits(self, booked: int) -> TenantLimits:
        return TenantLimits("acme", ROW, CreditsRow(SINCE, booked))

    async def __call__(self, prompt: int, answer: int, model: str = "chat", surface: str = "chat") -> "Answer":
        self._number += 1
        ask = Ask("e", "acme", "ci", model, "", f"r{self._number}", surface, prompt, answer)
        answered = self.limiter.should_rate_limit(ask, Call())  # type: ignore[arg-type]
        return Answer(RateLimitResponse.FromString(await answered if isinstance(answered, Awaitable) else answered))


class Answer:
    def __init__(self, response: RateLimitResponse) -> None:
        self.passes = response.overall_code == RateLimitResponse.OK
        self.headers = {entry.key: entry.value for entry in response.response_headers_to_add}
        self.cut_to = {entry.key: entry.value for entry in response.request_headers_to_add}
        self.error: dict[str, Any] = json.loads(response.raw_body)["error"] if response.raw_body else {}


@pytest.fixture
async def asking(server: ValkeyServer, valkey: Redis, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """Makes an `Asking`, once."""
    valkey.flushall()
    monkeypatch.setenv(COUNTERS_URL_ENV, f"unix://{server.socket}")
    monkeypatch.setattr(service, "COUNTERS_TIMEOUT_S", 30.0)  # a slow machine decides nothing here
    made: list[Asking] = []

    def make(booked: int | None, used: int = 0) -> Asking:
        made.append(Asking(server, booked, used))
        return made[0]

    yield make
    await made[0].limiter._counters.close()


async def test_a_prompt_is_reserved_at_its_dearest_price(asking: Any, valkey: Redis) -> None:
    asked = asking(5 * NANO)
    assert (await asked(1000, 500)).passes
    (held,) = [
        value
        for name, value in valkey.hgetall(f"hg:{{acme}}:{SINCE}:credits").items()  # type: ignore[union-attr]
        if name.startswith("r:")
    ]
    assert held == str(1000 * 3125 + 500 * 10_000)


async def test_a_refusal_says_what_is_there_and_what_is_needed(asking: Any) -> None:
    asked = asking(5 * NANO, 6 * NANO - 12_500)
    refused = await asked(10_000, 5)
    assert not refused.passes
    assert refused.error["message"] == (
        "Not enough credits for tenant 'acme': balance -0.9999875 US dollars, floor -1, "
        "the request needs at least 0.0313 (credits)."
    )
    assert (refused.error["type"], refused.error["code"]) == ("insufficient_quota", "insufficient_quota")
    assert refused.headers["x-should-retry"] == "false"
    assert "retry-after" not in refused.headers


async def test_anthropics_clients_are_refused_in_their_shape(asking: Any) -> None:
    refused = await asking(NANO, 2 * NANO)(1000, 500, surface="messages")
    assert refused.error["type"] == "rate_limit_error"
    assert "balance -1 US dollars, floor -1" in refused.error["message"]


async def test_what_running_requests_hold_is_worth_coming_back_for(asking: Any) -> None:
    asked = asking(0)
    assert (await asked(0, 100_000)).passes
    refused = await asked(1000, 5)
    assert refused.error["code"] == "rate_limit_exceeded"
    assert "Running requests hold some of them. Retry in 1 s." in refused.error["message"]
    assert refused.headers["retry-after"] == "1"


async def test_an_answer_is_cut_down_and_free_models_go_on(asking: Any) -> None:
    asked = asking(NANO, 2 * NANO - 500_000)
    answer = await asked(0, 4096)
    assert answer.cut_to["x-headgate-max-tokens"] == "50"
    assert answer.headers["x-headgate-warning"] == "credits; balance=-0.9995; low=1"
    assert not (await asked(10, 20)).passes
    assert (await asked(10_000, 4096, "free")).passes


async def test_without_an_account_only_what_is_free_passes(asking: Any) -> None:
    asked = asking(None)
    refused = await asked(10, 20)
    assert refused.error["code"] == "insufficient_quota"
    assert "balance 0 US dollars" in refused.error["message"]
    assert (await asked(10, 20, "free")).passes


async def test_what_is_booked_is_there_with_the_next_tables(asking: Any) -> None:
    asked = asking(NANO, 2 * NANO)
    assert not (await asked(10, 20)).passes
    asked.holder.swap(snapshot(3 * NANO))
    answer = await asked(10, 20)
    assert answer.passes
    assert "x-headgate-warning" not in answer.headers


async def test_counters_that_lost_the_sum_let_a_part_of_what_was_left_pass(asking: Any, valkey: Redis) -> None:
    """Two workers, an hour: a 48th. What costs more than that is refused, what costs nothing passes."""
    asked = asking(NANO, NANO)
    assert (await asked(0, 0)).passes
    valkey.flushall()
    answer = await asked(0, 100_000)
    assert answer.passes
    assert answer.cut_to["x-headgate-max-tokens"] == str(NANO // 48 // 10_000)
    refused = await asked(0, 100)
    assert refused.error["code"] == "rate_limit_exceeded"
    assert "lets 0.020833333 US dollars of credits pass in an hour" in refused.error["message"]
    assert (await asked(0, 100, "free")).passes


async def test_a_worker_that_never_asked_lets_nothing_pass_that_costs(asking: Any, valkey: Redis) -> None:
    asked = asking(50 * NANO)
    valkey.flushall()
    assert not (await asked(0, 16)).passes
    assert (await asked(0, 16, "free")).passes

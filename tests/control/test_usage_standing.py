"""`GET /v1/usage`: the ledger's limits and the store's periods, each without the other."""

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from usage_asking import DAY_S, LIMIT, NOW_S, TODAY_S, Api, Caller, error_of
from usage_rows import RowStore, row

from control import traffic
from control.tools import LedgerAway
from control.usage_api import standing
from control.usage_api.standing import current_periods
from headgate.usage_questions import Failure, Sums, SumsAnswer

MONTH_S = TODAY_S - 14 * DAY_S  # 2023-11-01


async def test_limits_and_periods() -> None:
    counts = {"prompt_tokens": 5, "cached_tokens": 2, "completion_tokens": 3, "reasoning_tokens": 1}
    rows = [
        row(NOW_S, **counts, price_nano=1_500_000_000, estimated=True),
        row(MONTH_S, **counts, price_nano=2),
        row(MONTH_S - 1, **counts),
        row(NOW_S, tenant="other", prompt_tokens=1000, price_nano=10**12),
    ]
    answer = await Caller(Api(RowStore(rows))).get("/v1/usage")
    sums = {
        "num_model_requests": 1,
        "num_estimated_requests": 1,
        "input_tokens": 5,
        "input_cached_tokens": 2,
        "input_cache_write_tokens": 0,
        "output_tokens": 3,
        "output_reasoning_tokens": 1,
        "cost_usd": "1.5",
    }
    twice = {name: 2 * value for name, value in sums.items() if isinstance(value, int)}
    assert answer.json() == {
        "object": "usage",
        "tenant_id": "acme",
        "limits": [LIMIT],
        "complete": True,
        "cut": False,
        "by_user": False,
        "periods": {
            "day": {"start_time": TODAY_S, "end_time": TODAY_S + DAY_S, **sums},
            "month": {
                "start_time": MONTH_S,
                "end_time": MONTH_S + 30 * DAY_S,
                **twice,
                "num_estimated_requests": 1,
                "cost_usd": "1.500000002",
            },
        },
        "usage_until": "2030-01-01T00:00:00.000Z",
        "credits": None,
    }


def test_months_of_every_length() -> None:
    for at_s, days in ((1_706_745_600, 29), (1_675_209_600, 28), (1_703_980_800, 31)):  # February, and New Year's Eve
        day, month = current_periods(at_s + 5).values()
        assert (day[1] - day[0], month[1] - month[0]) == (DAY_S, days * DAY_S)
        assert month[0] <= day[0] < day[1] <= month[1]


async def test_the_store_is_away_and_the_limits_are_not() -> None:
    api = Api(RowStore())
    api.rows.failure = Failure(kind="away", error="x")
    said = (await Caller(api).get("/v1/usage")).json()
    assert (said["limits"], said["periods"], said["usage_until"]) == ([LIMIT], None, None)


async def test_a_store_that_is_slow_takes_the_periods_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are asked for at once, and not for longer than the whole answer may take."""
    api, asked = Api(RowStore()), list[Sums]()

    async def never(question: Sums) -> SumsAnswer:
        asked.append(question)
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(standing, "PERIODS_WITHIN_S", 0.2)
    monkeypatch.setattr(api, "ask", never)
    said = (await Caller(api).get("/v1/usage")).json()
    assert (said["limits"], said["periods"], said["usage_until"]) == ([LIMIT], None, None)
    assert len(asked) == 2


@pytest.mark.parametrize("answer", [LedgerAway("the ledger does not answer"), {"error": "the counters are away"}])
async def test_without_the_ledger_there_is_no_answer(answer: Any) -> None:
    def ledger(_: Mapping[str, Any]) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    refused = await Caller(Api(RowStore(), ledger)).get("/v1/usage")
    assert (refused.status_code, error_of(refused)["code"]) == (503, "ledger_away")
    assert "retry-after" in refused.headers


async def test_of_one_key_model_or_user() -> None:
    rows = [
        row(NOW_S, key_id=key, model=model, user=user, prompt_tokens=1)
        for key in ("ci", "k2")
        for model in ("chat", "big")
        for user in ("ann", "bob")
    ]
    api = Api(RowStore(rows))
    for query, left in (
        ([("api_key_id", "k2")], 4),
        ([("model", "big")], 4),
        ([("user_id", "ann")], 4),
        ([("api_key_id", "k2"), ("model", "big"), ("user_id", "ann")], 1),
    ):
        said = (await Caller(api).get("/v1/usage", *query)).json()
        assert said["periods"]["day"]["input_tokens"] == left
    assert api.asked_ledger[-1] == {"tenant": "acme", "key": "k2", "model": "big", "user": "ann"}


@pytest.mark.parametrize("name", ["api_key_id", "model", "user_id"])
async def test_wrong_parameters(name: str) -> None:
    caller = Caller(Api(RowStore()))
    for query in (
        [(name, "")],
        [(name, "n" * 1025)],
        [(name, "a"), (name, "a")],
        [(f"{name}s", "a")],
        [(f"{name}[]", "a")],
    ):
        answer = await caller.get("/v1/usage", *query)
        assert (answer.status_code, error_of(answer)["param"]) == (400, query[0][0])


@pytest.mark.parametrize(("what", "param"), [("key", "api_key_id"), ("model", "model"), ("tenant", None)])
async def test_what_the_tenant_does_not_have(what: str, param: str | None) -> None:
    api = Api(RowStore(), lambda _: {"unknown": what, "name": "x", "known": ["secret"]})
    answer = await Caller(api).get("/v1/usage", *([(param, "x")] if param else []))
    assert (answer.status_code, error_of(answer)["param"]) == (404, param)
    assert "secret" not in answer.text


async def test_an_admin_names_the_tenant() -> None:
    api = Api(RowStore())
    answer = await Caller(api, tenant=None, role="admin").get("/v1/usage")
    assert (answer.status_code, error_of(answer)["code"]) == (400, "tenant_required")
    assert (await Caller(api, role="read-only").get("/tenants/acme/v1/usage")).status_code == 200
    assert (await Caller(api).get("/tenants/other/v1/usage")).status_code == 403


async def test_a_confined_key_sees_what_holds_for_its_models() -> None:
    scopes = [{}, {"model": "chat"}, {"model": "big"}, {"models": ["chat"]}, {"models": ["chat", "big"]}]

    def ledger(question: Mapping[str, Any]) -> Mapping[str, Any]:
        limits = [{**LIMIT, "scope": scope} for scope in scopes]
        return {"tenant": question["tenant"], "limits": limits, "complete": True, "cut": False, "by_user": False}

    rows = [row(NOW_S, model="chat", prompt_tokens=1000), row(NOW_S, model="big", prompt_tokens=1)]
    caller = Caller(Api(RowStore(rows), ledger), models=("big",))
    said = (await caller.get("/v1/usage")).json()
    assert [limit["scope"] for limit in said["limits"]] == [{}, {"model": "big"}, {"models": ["big"]}]
    assert said["periods"]["month"]["input_tokens"] == 1
    assert (await caller.get("/v1/usage", ("model", "chat"))).status_code == 404
    said = (await Caller(caller.api, models=()).get("/v1/usage")).json()
    assert [limit["scope"] for limit in said["limits"]] == [{}]
    assert said["periods"]["month"]["input_tokens"] == 0


async def test_who_has_to_wait_is_told_for_whom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "WAIT_S", 0.2)
    release, asked = threading.Event(), threading.Semaphore(0)

    def hangs(question: Mapping[str, Any]) -> Mapping[str, Any]:
        asked.release()
        release.wait(30)
        return {"tenant": question["tenant"], "limits": [], "complete": True, "cut": False, "by_user": False}

    api = Api(RowStore([]), hangs)
    tenants = ("acme", *(f"t{number}" for number in range(traffic.WORKING - 1)))
    hanging = [asyncio.create_task(Caller(api, tenant).get("/v1/usage")) for tenant in tenants]
    try:
        for _ in tenants:
            assert await asyncio.to_thread(asked.acquire, timeout=30)
        for tenant, whose in (("acme", "requests of this tenant"), ("late", "requests of others")):
            busy = await Caller(api, tenant).get("/v1/usage")
            assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
            assert error_of(busy)["code"] == "store_busy"
            assert error_of(busy)["message"].startswith(whose)
    finally:
        release.set()
    assert [answer.status_code for answer in await asyncio.gather(*hanging)] == [200] * len(tenants)

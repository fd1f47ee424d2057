"""Who sees what: each tenant its own and nothing else, on every endpoint, whatever it asks for; admins everything."""

import asyncio
from typing import Any

import pytest
from usage_asking import NOW_S, TODAY_S, Api, Caller, error_of
from usage_rows import RowStore, row

from control.traffic import AT_ONCE
from control.usage_api.kinds import KINDS
from extproc.surfaces import BY_NAME

SINCE = ("start_time", TODAY_S)
ENDPOINTS = [f"/v1/organization/{kind}" for kind in KINDS]
FILTERS = {"project_ids": "p", "user_ids": "ann", "api_key_ids": "ci", "models": "chat"}


def two_tenants() -> Api:
    """With the same models, keys, users and projects; `other` has used a thousand times as much."""
    same = {"key_id": "ci", "model": "chat", "user": "ann", "project": "p"}
    counts = ("prompt_tokens", "completion_tokens", "units", "price_nano")
    return Api(
        RowStore(
            [
                row(NOW_S, tenant=tenant, surface=surface, **same, **dict.fromkeys(counts, much))
                for tenant, much in (("acme", 1), ("other", 1000))
                for surface in BY_NAME
            ]
        )
    )


def numbers(said: Any) -> set[Any]:
    """Everything that is one, but for times."""
    if isinstance(said, dict):
        return {n for name, one in said.items() if not name.endswith(("_time", "_ms")) for n in numbers(one)}
    if isinstance(said, list):
        return {n for one in said for n in numbers(one)}
    return {float(said)} if isinstance(said, int | float) and not isinstance(said, bool) else set()


@pytest.mark.parametrize("prefix", ["", "/tenants/acme"])
@pytest.mark.parametrize("path", ENDPOINTS)
async def test_a_tenant_sees_its_own_whatever_it_asks_for(path: str, prefix: str) -> None:
    api = two_tenants()
    kind = KINDS[path.removeprefix("/v1/organization/")]
    for role in ("owner", "developer", "analyst", "read-only"):
        queries = [[], *([("group_by", group)] for group in (*kind.groups, "tenant_id"))]
        queries += [[(name, FILTERS[name])] for name in kind.filters]
        queries += [[("tenant_ids", "acme")], [("group_by", "tenant_id"), ("tenant_ids[]", "acme")]]
        for query in queries:
            answer = await Caller(api, role=role).get(prefix + path, SINCE, *query)
            assert answer.status_code == 200
            assert numbers(answer.json()), query
            assert max(numbers(answer.json())) < 100, query
            assert "other" not in answer.text
    assert {question.tenant for question in api.rows.questions} == {"acme"}


@pytest.mark.parametrize("path", ENDPOINTS)
async def test_another_tenant_can_t_be_named(path: str) -> None:
    api = two_tenants()
    for query in (
        [("tenant_ids", "other")],
        [("tenant_ids", "acme"), ("tenant_ids", "other")],
        [("tenant_ids", "x")],
    ):
        answer = await Caller(api).get(path, SINCE, *query)
        assert (answer.status_code, error_of(answer)["param"]) == (403, "tenant_ids")
    answer = await Caller(api).get(f"/tenants/other{path}", SINCE)
    assert (answer.status_code, error_of(answer)["code"]) == (403, "tenant_mismatch")
    assert not api.rows.questions


async def test_another_tenant_s_cursor_shows_nothing_of_it() -> None:
    api = two_tenants()
    api.rows.most = 1
    query = (SINCE, ("group_by", "model"), ("group_by", "api_key_id"))
    api.rows.rows.append(row(NOW_S, tenant="other", model="secret"))
    api.rows.rows.append(row(NOW_S, tenant="acme", model="mine"))
    theirs = (await Caller(api, tenant="other").get("/v1/organization/usage/completions", *query)).json()["next_page"]
    mine = await Caller(api).get("/v1/organization/usage/completions", *query, ("page", theirs))
    assert "secret" not in mine.text
    assert max(numbers(mine.json())) < 100


@pytest.mark.parametrize("path", ["/v1/usage", *ENDPOINTS])
async def test_nobody_gets_in_without_an_identity(path: str) -> None:
    api = two_tenants()
    answer = await Caller(api).get(path, SINCE, signed=False)
    assert (answer.status_code, error_of(answer)["code"]) == (401, "unauthenticated")
    nobody = await Caller(api, tenant=None, role="developer", kind="user").get(path, SINCE)
    assert (nobody.status_code, error_of(nobody)["code"]) == (403, "role_not_allowed")
    assert not api.rows.questions


async def test_an_admin_sees_all_and_can_tell_them_apart() -> None:
    caller = Caller(two_tenants(), tenant=None, role="admin")

    async def told(*query: tuple[str, str]) -> dict[Any, int]:
        (bucket,) = await caller.buckets("usage/embeddings", SINCE, *query)
        return {one.get("tenant_id"): one["input_tokens"] for one in bucket["results"]}

    by_tenant = ("group_by", "tenant_id")
    assert await told() == {None: 1001}
    assert await told(by_tenant) == {"acme": 1, "other": 1000}
    assert await told(("tenant_ids", "other")) == {None: 1000}
    assert await told(("tenant_ids", "other"), by_tenant) == {"other": 1000}
    assert await told(("tenant_ids", "acme"), ("tenant_ids", "other"), by_tenant) == {"acme": 1, "other": 1000}
    assert await told(("tenant_ids", "nobody")) == {}


async def test_a_confined_key_sees_its_models_alone() -> None:
    api = two_tenants()
    api.rows.rows.append(row(NOW_S, model="big", prompt_tokens=7))
    caller = Caller(api, models=("big", "none"))
    by_model = ("group_by", "model")
    (bucket,) = await caller.buckets("usage/completions", SINCE, by_model)
    assert [(one["model"], one["input_tokens"]) for one in bucket["results"]] == [("big", 7)]
    for query in ([("models", "chat")], [("models", "chat"), ("models", "none")]):
        assert [one["results"] for one in await caller.buckets("usage/completions", SINCE, *query)] == [[]]
    (costs,) = await caller.buckets("costs", SINCE, ("group_by", "line_item"))
    assert [one["line_item"] for one in costs["results"]] == ["big, chat, tokens"]
    assert (await Caller(api, models=()).buckets("costs", SINCE))[0]["results"] == []


async def test_one_tenant_can_t_take_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    api = two_tenants()
    held = asyncio.Event()
    answered = api.ask

    async def slow(question: Any) -> Any:
        await held.wait()
        return await answered(question)

    monkeypatch.setattr(api, "ask", slow)
    asking = [asyncio.create_task(Caller(api).get(ENDPOINTS[0], SINCE)) for _ in range(AT_ONCE)]
    for _ in range(1000):  # turns of the loop: all of it is in this process, so that they are on their way then
        await asyncio.sleep(0)
    assert not any(one.done() for one in asking)
    refused = await Caller(api).get(ENDPOINTS[0], SINCE)
    assert (refused.status_code, error_of(refused)["code"]) == (429, "too_many_requests")
    assert refused.headers["retry-after"] == "1"
    held.set()
    assert {one.status_code for one in await asyncio.gather(*asking)} == {200}


async def test_one_tenant_s_slow_questions_leave_the_store_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    api = two_tenants()
    held, waiting = asyncio.Event(), list[Any]()
    answered = api.ask

    async def slow(question: Any) -> Any:
        if question.tenant == "acme":
            waiting.append(question)
            await held.wait()
        return await answered(question)

    monkeypatch.setattr(api, "ask", slow)
    asking = [asyncio.create_task(Caller(api).get(ENDPOINTS[0], SINCE)) for _ in range(AT_ONCE)]
    for _ in range(1000):  # turns of the loop, as above
        await asyncio.sleep(0)
    other = await Caller(api, tenant="other").get(ENDPOINTS[0], SINCE)
    assert (other.status_code, len(waiting)) == (200, 1)
    held.set()
    assert {one.status_code for one in await asyncio.gather(*asking)} == {200}

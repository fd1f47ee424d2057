"""Tenants of the database, and keys that are confined to some models: what they may ask for, on every surface."""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from ext_proc_client import Reply, ask, chat, snapshot_of
from test_responses import Knows as KnowsResponses
from test_stored import Knows as KnowsCompletions

from extproc.kept import KeptResponses
from extproc.stored_answer import Owner, _own
from headgate.directory.rows import GrantEntry, LimitsEntry, PlanEntry, Row, TenantEntry
from tests.tenants.still import Late, Still, directory_of

SNAPSHOT = snapshot_of("""\
providers:
  a: {api: openai, base_url: "http://a.test/v1", zone: eu}
  b: {api: openai, base_url: "http://b.test/v1"}
  claude: {api: anthropic, base_url: "http://claude.test"}
  cohere: {api: cohere, base_url: "http://cohere.test"}
models:
  one: {targets: [{provider: a, model: up}, {provider: b, model: over}]}
  two: {targets: [{provider: a, model: up}]}
  claude: {targets: [{provider: claude, model: c}], price: {input: 1, output: 2}}
  rank: {targets: [{provider: cohere, model: r}]}
plans: {small: {tpm: 50}, cheap: {pricing: {discount: 12.5%}}}
tenants:
  acme: {models: [one, two, claude, rank], pin_targets: true}
""")
MADE = {("acme", name): (model, "a", "up") for name, model in (("x_1", "one"), ("x_2", "two"))}


def in_database(*rows: Row, **tenant: Any) -> Still:
    granted = [GrantEntry("t", model) for model in ("one", "claude")]
    return Still(directory_of(TenantEntry("t", **tenant), *granted, *rows, version=5))


def send(following: Still, path: str = "/v1/chat/completions", body: bytes | None = None, **caller: Any) -> Reply:
    body = chat(model="one") if body is None else body
    return ask(path, body, tenant="t", snapshot=SNAPSHOT, following=following, caller=caller)


def test_a_tenant_of_the_database_goes_to_its_targets() -> None:
    assert send(in_database()).clusters[:2] == ["provider/a", "provider/b"]
    reply = send(in_database(zones=("eu",)), directory=5)
    assert reply.clusters == ["provider/a"] * len(reply.clusters)
    assert reply.ask.directory == 5


def test_its_limits_are_counted_by() -> None:
    assert send(in_database()).ask.input == 0
    for following in (in_database(plan="small"), in_database(LimitsEntry("t", "tenant", "", {"daily_usd": "1"}))):
        assert send(following).ask.input > 0


@pytest.mark.parametrize(
    ("tenant", "rows", "factor"),
    [
        ({}, (), None),
        ({"plan": "cheap"}, (), "0.875"),
        ({"plan": "cheap", "pricing": {"markup": "20%"}}, (), "1.20"),
        ({"plan": "cheap", "pricing": {"models": {"two": {"markup": "20%"}}}}, (), None),
        ({"pricing": {"markup": "20%", "models": {"one": {"discount": "66.6667%"}}}}, (), "0.333333"),
        ({"pricing": {"discount": "100%"}}, (), "0.00"),
        ({"pricing": {"discount": "0%"}}, (), None),
        ({"plan": "own"}, (PlanEntry("own", {}, pricing={"discount": "5%"}),), "0.95"),
    ],
)
def test_what_it_pays_goes_with_the_plan(tenant: dict[str, Any], rows: tuple[Row, ...], factor: str | None) -> None:
    said = send(in_database(*rows, **tenant)).metadata["hg.request"]
    assert said.get("price_factor") == factor
    assert said["generation"] == SNAPSHOT.generation


def test_a_model_that_was_not_granted_is_unknown() -> None:
    reply = send(in_database(), body=chat(model="two"))
    assert (reply.status, reply.error["code"]) == (404, "model_not_found")
    listed = ask("/v1/models", None, method="GET", tenant="t", snapshot=SNAPSHOT, following=in_database())
    assert [one["id"] for one in json.loads(listed.body)["data"]] == ["claude", "one"]


@pytest.mark.parametrize(
    ("closed", "status", "code"),
    [
        ({"disabled": True}, 401, "invalid_api_key"),
        ({"deleting": True}, 401, "invalid_api_key"),
        ({"plan": "gone"}, 403, "tenant_misconfigured"),
    ],
)
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/chat/completions", chat(model="one")),
        ("POST", "/v1/messages", chat(model="claude", max_tokens=5)),
        ("GET", "/v1/models", None),
        ("GET", "/v1/responses/resp_1", None),
        ("GET", "/v1/chat/completions", None),
    ],
)
def test_nothing_goes_through_a_tenant_that_is_closed(
    closed: dict[str, Any], status: int, code: str, method: str, path: str, body: bytes | None
) -> None:
    reply = ask(
        path,
        body,
        method=method,
        tenant="t",
        snapshot=SNAPSHOT,
        following=in_database(**closed),
        kept=KeptResponses(KnowsResponses({})),  # type: ignore[arg-type]
    )
    assert (reply.status, reply.error["code"]) == (status, code)
    assert "gone" not in reply.error["message"]  # the plan's name is the operator's business


def test_what_authz_knew_is_read_before_it_is_decided_on() -> None:
    late = Late(TenantEntry("t"), GrantEntry("t", "one"))
    assert send(late).status == 401
    assert late.asked == 0
    assert send(late, directory=7).status is None
    assert send(late, directory=7).status is None
    assert send(late, directory=6).status is None
    assert late.asked == 1


CONFINED = {"directory": 1, "key_models": ["two", "claude", "gone"]}


def confined(path: str, body: bytes | None, method: str = "POST", **more: Any) -> Reply:
    more = {"caller": CONFINED, **more}
    return ask(path, body, method=method, snapshot=SNAPSHOT, **more)


def form(model: str) -> bytes:
    part = '--x\r\ncontent-disposition: form-data; name="{}"{}\r\n\r\n{}\r\n'
    return (part.format("model", "", model) + part.format("file", '; filename="a.wav"', "x") + "--x--\r\n").encode()


BODIES = [
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}),
    ("/v1/completions", {"prompt": "x"}),
    ("/v1/embeddings", {"input": "x"}),
    ("/v1/responses", {"input": "x"}),
    ("/v1/responses/input_tokens", {"input": "x"}),
    ("/v1/messages", {"messages": [{"role": "user", "content": "x"}], "max_tokens": 5}),
    ("/v1/messages/count_tokens", {"messages": [{"role": "user", "content": "x"}]}),
    ("/v1/images/generations", {"prompt": "x"}),
    ("/v1/audio/speech", {"input": "x", "voice": "y"}),
    ("/v1/moderations", {"input": "x"}),
    ("/v1/rerank", {"query": "x", "documents": ["y"]}),
]


@pytest.mark.parametrize(("path", "members"), BODIES, ids=[path for path, _ in BODIES])
def test_a_model_that_the_key_may_not_use_is_unknown(path: str, members: dict[str, Any]) -> None:
    """In the words for a model that there is not at all."""
    asked = [json.dumps({"model": model, **members}).encode() for model in ("one", "rank", "gone", "never")]
    errors = [confined(path, body).error for body in asked]
    assert {error["code"] for error in errors} == {"model_not_found"}
    shapes = {
        error["message"].replace(model, "*")
        for error, model in zip(errors, ("one", "rank", "gone", "never"), strict=True)
    }
    assert len(shapes) == 1
    allowed = confined(path, json.dumps({"model": "two", **members}).encode())
    assert allowed.status != 404
    assert confined(path, asked[0], caller={**CONFINED, "key_models": []}).status == 404


def test_a_form_likewise() -> None:
    found = [
        confined("/v1/audio/transcriptions", form(model), content_type="multipart/form-data; boundary=x").status
        for model in ("one", "two")
    ]
    assert found == [404, None]


@pytest.mark.parametrize("more", [{}, {"anthropic_version": "2023-06-01"}])
def test_models_are_those_that_both_may_use(more: dict[str, str]) -> None:
    listed = json.loads(confined("/v1/models", None, "GET", **more).body)
    assert [one["id"] for one in listed["data"]] == ["two", "claude"]
    assert confined("/v1/models/two", None, "GET", **more).status == 200
    for name in ("one", "gone", "never"):
        assert (
            confined(f"/v1/models/{name}", None, "GET", **more).error["code"] == (None if more else "model_not_found")
            or confined(f"/v1/models/{name}", None, "GET", **more).status == 404
        )


def test_responses_of_other_models_are_nobodys() -> None:
    kept = KeptResponses(KnowsResponses(MADE))  # type: ignore[arg-type]
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")):
        replies = [confined(f"/v1/responses/{name}{path}", None, method, kept=kept) for name in ("x_1", "x_2", "x_3")]
        assert [reply.status for reply in replies] == [404, None, 404]
        assert replies[0].error["message"].replace("x_1", "x_3") == replies[2].error["message"]


def test_a_response_of_another_model_cannot_be_gone_on_from() -> None:
    kept = KeptResponses(KnowsResponses(MADE))  # type: ignore[arg-type]
    body = {"model": "two", "input": "x"}
    replies = [
        confined("/v1/responses", json.dumps({**body, "previous_response_id": name}).encode(), kept=kept)
        for name in ("x_1", "x_2", "x_3")
    ]
    assert [reply.status for reply in replies] == [400, None, 400]
    assert {reply.error["code"] for reply in (replies[0], replies[2])} == {"previous_response_not_found"}


def test_stored_completions_of_other_models_are_nobodys() -> None:
    kept = KeptResponses(KnowsCompletions(MADE))  # type: ignore[arg-type]
    url = "/v1/chat/completions"
    for method, path, body in (
        ("GET", "", None),
        ("GET", "/messages", None),
        ("DELETE", "", None),
        ("POST", "", b'{"metadata": {"a": "b"}}'),
    ):
        replies = [confined(f"{url}/{name}{path}", body, method, kept=kept) for name in ("x_1", "x_2")]
        assert [reply.status for reply in replies] == [404, None], (method, path)
    lists = [
        confined(f"{url}{query}", None, "GET", kept=kept) for query in ("?model=one", "?model=two", "?after=x_1", "")
    ]
    assert [reply.status for reply in lists] == [404, None, 404, None]
    assert json.loads(lists[3].metadata["hg.request"]["key_models"]) == ["claude", "gone", "two"]
    assert "key_models" not in confined(url, None, "GET", kept=kept, caller={}).metadata["hg.request"]


def test_a_list_has_what_the_key_may_see() -> None:
    page = json.dumps({"object": "list", "data": [{"id": "x_1"}, {"id": "x_2"}], "has_more": False}).encode()
    kept = KeptResponses(KnowsCompletions(MADE))  # type: ignore[arg-type]

    def ids(models: frozenset[str] | None) -> list[str]:
        found = asyncio.run(_own(page, Owner("acme", "a", kept, models)))
        return [one["id"] for one in msgspec.json.decode(found)["data"]]

    assert ids(None) == ["x_1", "x_2"]
    assert ids(frozenset({"two"})) == ["x_2"]
    assert ids(frozenset()) == []

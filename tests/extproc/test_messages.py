"""What clients of Anthropic's API send and are refused with: their messages, their errors, their list of models."""

import json
from typing import Any

import pytest
from ext_proc_client import Reply, ask, snapshot_of

from extproc.surface import Surface
from extproc.surfaces import BY_PATH, CHAT, COUNT_TOKENS, MESSAGES, MODELS
from headgate.error_shapes import api_of_surface

URL = "/v1/messages"
VERSION = "2023-06-01"
HI = [{"role": "user", "content": "hi"}]


def message(**members: Any) -> bytes:
    """A body; a member that is `...` is left out."""
    body = {"model": "claude", "messages": HI, "max_tokens": 9, **members}
    return json.dumps({name: value for name, value in body.items() if value is not ...}).encode()


def test_what_a_refusal_looks_like() -> None:
    reply = ask(URL, message(max_tokens=...))
    assert (reply.status, reply.metadata) == (400, {"hg.request": {"surface": "messages", "answered": True}})
    assert json.loads(reply.body) == {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "Missing required parameter: 'max_tokens'.",
            "details": {"error_code": "missing_required_parameter", "param": "max_tokens"},
        },
        "request_id": "r-1",
    }


@pytest.mark.parametrize(
    ("members", "code", "param"),
    [
        ({"model": ""}, "invalid_value", "model"),
        ({"messages": []}, "invalid_value", "messages"),
        ({"messages": ["hi"]}, "invalid_type", "messages[0]"),
        ({"messages": [*HI, {"content": "hi"}]}, "missing_required_parameter", "messages[1].role"),
        ({"messages": [{"role": 1, "content": "hi"}]}, "invalid_type", "messages[0].role"),
        ({"messages": [{"role": "tool", "content": "hi"}]}, "invalid_value", "messages[0].role"),
        ({"messages": [{"role": "developer", "content": "hi"}]}, "invalid_value", "messages[0].role"),
        ({"messages": [*HI, {"role": "assistant"}]}, "missing_required_parameter", "messages[1].content"),
        ({"messages": [{"role": "user", "content": None}]}, "invalid_type", "messages[0].content"),
        ({"messages": [{"role": "user", "content": {}}]}, "invalid_type", "messages[0].content"),
        ({"max_tokens": -1}, "invalid_value", "max_tokens"),
        ({"max_tokens": None}, "invalid_type", "max_tokens"),
        ({"rag": {}}, "unsupported_parameter", "rag"),
        ({"headgate": None}, "unsupported_parameter", "headgate"),
        ({"Max_Tokens": 1}, "unknown_parameter", "Max_Tokens"),
    ],
)
def test_bad_bodies_name_what_is_wrong(members: dict[str, Any], code: str, param: str) -> None:
    for path in (URL, f"{URL}/count_tokens"):
        if path != URL and set(members) & {"max_tokens", "Max_Tokens"}:
            continue  # a parameter of the other one
        reply = ask(path, message(**members))
        assert reply.status == 400
        assert (reply.error["type"], reply.error["code"]) == ("invalid_request_error", code)
        assert reply.error["param"] == param
        assert param in reply.error["message"]


def test_a_role_is_answered_with_those_that_there_are() -> None:
    error = ask(URL, message(messages=[{"role": "tool" * 50, "content": ""}])).error
    assert "expected 'user' or 'assistant' or 'system'" in error["message"]
    assert len(error["message"]) < 200


ODD_VALUES = [None, True, 0, -1, 1e300, 10**400, "", "x", [], {}, [[1], [None]], {"type": 1}, [{"type": "x"}]]


@pytest.mark.parametrize("model", ["claude", "chat"])  # as it is, and translated
@pytest.mark.parametrize("surface", [MESSAGES, COUNT_TOKENS], ids=lambda surface: surface.name)
def test_odd_values_are_taken_or_refused(surface: Surface, model: str) -> None:
    """Never stumbled over, at the top, in a message or in its content."""
    for value in ODD_VALUES:
        bodies = [message(model=model, **{name: value}) for name in MESSAGES.parameters if name != "model"]
        bodies.append(message(model=model, messages=[*HI, {"role": "assistant", "content": value}]))
        bodies.append(message(model=model, messages=[{"role": "user", "content": [value, {"type": "text"}]}]))
        for body in bodies:
            reply = ask(f"/v1{surface.path}", body)
            assert reply.status in (None, 200, 400), (body, reply.body)


STATUSES = [
    (ask(URL, message(model="nobody")), 404, "not_found_error", "model_not_found"),
    (ask(URL, b"{"), 400, "invalid_request_error", "invalid_json"),
    (ask(URL, message() + b" " * 2**21), 413, "request_too_large", "request_too_large"),
    (ask(URL, message(), content_encoding="gzip"), 415, "invalid_request_error", "invalid_content_encoding"),
    (ask(URL, message(), content_type="text/plain"), 400, "invalid_request_error", "invalid_content_type"),
    (ask(URL, method="GET"), 405, "invalid_request_error", "method_not_allowed"),
    (ask(URL, message(), tenant="gone"), 401, "authentication_error", "invalid_api_key"),
    (ask(f"{URL}/batches", message()), 404, "not_found_error", "unknown_url"),
    (ask(f"/tenants/acme{URL}?beta=true", b""), 400, "invalid_request_error", "invalid_json"),
    (ask("/v1/models/x", None, method="GET", anthropic_version=VERSION), 404, "not_found_error", "model_not_found"),
]


@pytest.mark.parametrize(("reply", "status", "kind", "code"), STATUSES, ids=[code for *_, code in STATUSES])
def test_kinds_follow_from_the_status(reply: Reply, status: int, kind: str, code: str) -> None:
    assert reply.status == status
    assert (reply.error["type"], reply.error["code"]) == (kind, code)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messagesx", "/v1", "/v1/responses"])
def test_everybody_else_is_answered_as_openais_clients_are(path: str) -> None:
    reply = ask(path, b"{", anthropic_version=VERSION)
    assert list(json.loads(reply.body)) == ["error"]


def test_the_surfaces_and_their_apis() -> None:
    for surface in (*BY_PATH.values(), MODELS):
        assert surface.api == api_of_surface(surface.name)
    assert (CHAT.api, MESSAGES.api, COUNT_TOKENS.api) == ("openai", "anthropic", "anthropic")


MANY = snapshot_of(f"""\
providers: {{p: {{api: openai, base_url: "http://p.test"}}}}
models: {{{", ".join(f"m{n}: {{targets: [{{provider: p, model: x}}]}}" for n in range(30))}}}
tenants: {{acme: {{models: [{", ".join(f"m{n}" for n in range(30))}]}}}}
""")


def models(query: str = "") -> Reply:
    return ask(f"/v1/models{query}", None, method="GET", snapshot=MANY, anthropic_version=VERSION)


def test_a_model() -> None:
    answer = json.loads(models("/m7").body)
    created = answer.pop("created_at")
    assert answer == {"type": "model", "id": "m7", "display_name": "m7", "lifecycle": "active"}
    assert len(created) == len("2026-01-01T00:00:00Z")
    assert created.endswith("Z")


@pytest.mark.parametrize(
    ("query", "first", "last", "more"),
    [
        ("", 0, 19, True),
        ("?limit=5", 0, 4, True),
        ("?limit=30", 0, 29, False),
        ("?limit=1000", 0, 29, False),
        ("?limit=5&after_id=m4", 5, 9, True),
        ("?limit=5&after_id=m24", 25, 29, False),
        ("?limit=5&before_id=m20", 15, 19, True),
        ("?limit=5&before_id=m3", 0, 2, False),
        ("?after_id=m2&before_id=m6", 3, 5, False),
        ("?lifecycle[]=retired&lifecycle[]=active&limit=2", 0, 1, True),
    ],
)
def test_pages_of_models(query: str, first: int, last: int, more: bool) -> None:
    page = json.loads(models(query).body)
    assert [model["id"] for model in page["data"]] == [f"m{number}" for number in range(first, last + 1)]
    assert (page["first_id"], page["last_id"], page["has_more"]) == (f"m{first}", f"m{last}", more)


@pytest.mark.parametrize("query", ["?after_id=m29", "?before_id=m0", "?lifecycle[]=retired", "?lifecycle=deprecated"])
def test_empty_pages(query: str) -> None:
    assert json.loads(models(query).body) == {"data": [], "has_more": False, "first_id": None, "last_id": None}


@pytest.mark.parametrize(
    ("query", "param"),
    [
        *((f"?limit={limit}", "limit") for limit in ("", "0", "-1", "1001", "1e2", "x", "9" * 5000)),
        ("?after_id=nobody", "after_id"),
        ("?before_id=", "before_id"),
    ],
)
def test_pages_that_there_are_not(query: str, param: str) -> None:
    reply = models(query)
    assert (reply.status, reply.error["code"], reply.error["param"]) == (400, "invalid_value", param)
    assert param in reply.error["message"]
    assert len(reply.error["message"]) < 100

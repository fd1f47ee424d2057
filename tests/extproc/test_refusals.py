"""What the service refuses, and how: status, code, param and text, as Envoy gets them."""

import json
from typing import Any

import pytest
from ext_proc_client import ask, chat

from extproc.surface import Upload
from extproc.surfaces import BY_PATH

REQUIRED = {
    "/chat/completions": {"model": "chat", "messages": [{"role": "user", "content": "hi"}]},
    "/completions": {"model": "chat", "prompt": "hi"},
    "/embeddings": {"model": "chat", "input": "hi"},
    "/messages": {"model": "claude", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9},
    "/messages/count_tokens": {"model": "claude", "messages": [{"role": "user", "content": "hi"}]},
    "/responses": {"model": "chat"},
    "/responses/input_tokens": {"model": "same"},
    "/responses/compact": {"model": "same"},
    "/images/generations": {"model": "same", "prompt": "hi"},
    "/images/edits": {"model": "same", "prompt": "hi"},
    "/audio/speech": {"model": "same", "input": "hi"},
    "/moderations": {"model": "same", "input": "hi"},
    "/rerank": {"model": "same", "query": "hi", "documents": ["a"]},
}
ELSEWHERE = ("previous_response_id", "conversation")  # test_responses.py: no value of theirs goes on by itself
NAMES = {
    Upload: "a file",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
}
VALUES: list[tuple[Any, str]] = [
    (True, "a boolean"),
    (1, "an integer"),
    (1.5, "a number"),
    ("x", "a string"),
    ([["role"]], "an array"),
    ({"x": 1}, "an object"),
]
PARAMETERS = [(path, name) for path, surface in BY_PATH.items() if surface.json for name in surface.parameters]


def refused(status: int, error: dict[str, Any], code: str | None, param: str | None = None) -> None:
    assert (error["code"], error["param"]) == (code, param)
    assert error["type"] == ("server_error" if status >= 500 else "invalid_request_error")


@pytest.mark.parametrize(("path", "name"), PARAMETERS)
def test_wrong_types(path: str, name: str) -> None:
    types = BY_PATH[path].parameters[name]
    expected = " or ".join(NAMES[kind] for kind in types.allowed)
    accepted = {NAMES[kind] for kind in types.allowed} | ({"an integer"} if float in types.allowed else set())
    wrong = [(value, found) for value, found in VALUES if found not in accepted]
    if types.required:
        wrong.append((None, "null"))
    assert len(wrong) >= 3
    for value, found in wrong:
        reply = ask(f"/v1{path}", json.dumps({**REQUIRED[path], name: value}).encode())
        assert reply.status == 400
        refused(400, reply.error, "invalid_type", name)
        assert reply.error["message"] == f"Invalid type for '{name}': expected {expected}, found {found}."


@pytest.mark.parametrize(("path", "name"), [(path, name) for path, name in PARAMETERS if name not in REQUIRED[path]])
def test_right_types_and_null(path: str, name: str) -> None:
    allowed = {NAMES[kind] for kind in BY_PATH[path].parameters[name].allowed}
    right = [value for value, found in VALUES if found in allowed]
    assert right
    for value in (*right, None) if name not in ELSEWHERE else ():
        assert ask(f"/v1{path}", json.dumps({**REQUIRED[path], name: value}).encode()).status is None, value


@pytest.mark.parametrize(("path", "name"), [(path, name) for path, body in REQUIRED.items() for name in body])
def test_missing(path: str, name: str) -> None:
    body = {key: value for key, value in REQUIRED[path].items() if key != name}
    reply = ask(f"/v1{path}", json.dumps(body).encode())
    assert reply.status == 400
    refused(400, reply.error, "missing_required_parameter", name)
    assert reply.error["message"] == f"Missing required parameter: '{name}'."


@pytest.mark.parametrize(
    ("members", "code", "param"),
    [
        ({"model": ""}, "invalid_value", "model"),
        ({"messages": []}, "invalid_value", "messages"),
        ({"messages": ["hi"]}, "invalid_type", "messages[0]"),
        ({"messages": [{"role": "user"}, None]}, "invalid_type", "messages[1]"),
        ({"messages": [{"content": "hi"}]}, "missing_required_parameter", "messages[0].role"),
        ({"messages": [{"role": "user"}, {"role": 1}]}, "invalid_type", "messages[1].role"),
        ({"messages": [{"role": None}]}, "invalid_type", "messages[0].role"),
        ({"stream_options": {"include_usage": "yes"}}, "invalid_type", "stream_options.include_usage"),
        ({"stream_options": {"include_usage": 1}}, "invalid_type", "stream_options.include_usage"),
        ({"rag": {}}, "unsupported_parameter", "rag"),
        ({"headgate": None}, "unsupported_parameter", "headgate"),
    ],
)
def test_bad_chat_bodies(members: dict[str, Any], code: str, param: str) -> None:
    reply = ask("/v1/chat/completions", chat(**members))
    assert reply.status == 400
    refused(400, reply.error, code, param)
    assert reply.metadata["hg.request"] == {"surface": "chat", "answered": True}


@pytest.mark.parametrize("name", ["Model", "STREAM", "Messages", "RAG", "\u017ftream"])
def test_a_parameter_in_other_case(name: str) -> None:
    """A provider that matches keys without regard to case would read it as the parameter."""
    reply = ask("/v1/chat/completions", chat(**{name: "x"}))
    assert reply.status == 400
    refused(400, reply.error, "unknown_parameter", name)


def test_a_key_given_twice_in_stream_options() -> None:
    body = chat(stream=True)[:-1] + b',"stream_options":{"include_usage":false,"include_usage":true}}'
    reply = ask("/v1/chat/completions", body)
    assert reply.status == 400
    refused(400, reply.error, "duplicate_key", "stream_options.include_usage")


def test_more_values_than_a_worker_reads() -> None:
    dense = b'{"model":"chat","messages":[{"role":"user","content":"x"}],"x":[' + b"{}," * 500_000 + b"1]}"
    reply = ask("/v1/chat/completions", dense)
    assert reply.status == 400
    refused(400, reply.error, "too_many_values")


@pytest.mark.parametrize(
    ("path", "name"), [("/completions", "prompt"), ("/embeddings", "input"), ("/moderations", "input")]
)
def test_empty_lists(path: str, name: str) -> None:
    reply = ask(f"/v1{path}", json.dumps({"model": "chat", name: []}).encode())
    assert (reply.status, reply.error["param"], reply.error["code"]) == (400, name, "invalid_value")


@pytest.mark.parametrize("body", [b"", None])
def test_no_body(body: bytes | None) -> None:
    reply = ask("/v1/chat/completions", body)
    assert reply.status == 400
    refused(400, reply.error, "invalid_json")
    assert reply.error["message"] == "The request has no body; send a JSON object."


def test_the_size_limit_is_exact() -> None:
    limit = 2 * 2**20
    body = chat() + b" " * (limit - len(chat()))
    assert ask("/v1/chat/completions", body).status is None
    reply = ask("/v1/chat/completions", body + b" ")
    assert reply.status == 413
    refused(413, reply.error, "request_too_large")
    assert str(limit) in reply.error["message"]


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"model":"chat","model":"chat"}', b"\xff", b"{" * 200_000])
def test_not_json(body: bytes) -> None:
    reply = ask("/v1/chat/completions", body)
    assert reply.status == 400
    assert reply.error["code"] in ("invalid_json", "duplicate_key")


def test_forbidden_and_unknown_models_look_the_same() -> None:
    unknown = ask("/v1/chat/completions", chat(model="nobody"), tenant="outer")
    forbidden = ask("/v1/chat/completions", chat(model="silent"), tenant="outer")
    assert unknown.status == forbidden.status == 404
    refused(404, unknown.error, "model_not_found", "model")
    assert unknown.body.replace(b"nobody", b"silent") == forbidden.body
    assert (unknown.headers, unknown.metadata) == (forbidden.headers, forbidden.metadata)


@pytest.mark.parametrize("path", ["/v1/models/nobody", "/v1/models/silent"])
def test_models_that_are_not_there_for_this_tenant(path: str) -> None:
    reply = ask(path, None, method="GET", tenant="outer")
    assert reply.status == 404
    name = path.rpartition("/")[2]
    assert reply.error == ask("/v1/chat/completions", chat(model=name), tenant="outer").error


def test_a_model_without_a_usable_target() -> None:
    reply = ask("/v1/embeddings", b'{"model":"claude","input":"hi"}')
    assert reply.status == 400
    refused(400, reply.error, "no_target", "model")


def test_a_long_name_is_shortened() -> None:
    message = ask("/v1/chat/completions", chat(model="x" * 5000)).error["message"]
    assert f"'{'x' * 128}…'" in message
    assert len(message) < 250


@pytest.mark.parametrize(
    "body",
    [
        chat(model="\ud800"),
        b'{"\\ud800":1,"\\ud800":2}',
        chat(model="\u0000\n"),
    ],
)
def test_text_that_utf_8_cannot_carry_is_refused_readably(body: bytes) -> None:
    reply = ask("/v1/chat/completions", body)
    assert reply.status in (400, 404)
    assert reply.error["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("PUT", "/v1/chat/completions", 405, "GET, POST"),
        ("PUT", "/v1/completions", 405, "POST"),
        ("DELETE", "/v1/embeddings?x=1", 405, "POST"),
        ("POST", "/v1/models", 405, "GET"),
        ("HEAD", "/v1/models/chat", 405, "GET"),
        ("post", "/v1/chat/completions", 405, "GET, POST"),
        ("GET", "/", 404, None),
        ("GET", "/v1", 404, None),
        ("GET", "/v1/", 404, None),
        ("POST", "/v2/chat/completions", 404, None),
        ("POST", "/V1/chat/completions", 404, None),
        ("POST", "/v1/chat/completions/", 404, None),
        ("POST", "/v1/chat/completionsx", 404, None),
        ("POST", "/x/v1/chat/completions", 404, None),
        ("POST", "/tenants//v1/chat/completions", 404, None),
        ("POST", "/tenants/acme/chat/completions", 404, None),
        ("GET", "/v1/modelsx", 404, None),
        ("POST", "/v1/chat%2Fcompletions", 404, None),
    ],
)
def test_methods_and_urls(method: str, path: str, status: int, allow: str | None) -> None:
    reply = ask(path, chat(), method=method)
    assert (reply.status, reply.headers.get("allow")) == (status, allow)
    refused(status, reply.error, "method_not_allowed" if status == 405 else "unknown_url")
    assert len(reply.messages) == 1


def test_what_a_query_holds_is_not_repeated() -> None:
    for path in ("/nowhere?key=hg-secret", "/v1/chat/completions?key=hg-secret"):
        assert b"secret" not in ask(path, method="GET").body


@pytest.mark.parametrize("found", ["", "text/plain", "multipart/form-data; boundary=x", "application/jsonx", "json"])
def test_other_content_types(found: str) -> None:
    reply = ask("/v1/chat/completions", chat(), content_type=found)
    assert reply.status == 400
    refused(400, reply.error, "invalid_content_type", "content-type")
    assert reply.error["message"].endswith(f"found '{found}'." if found else "found none.")


@pytest.mark.parametrize("found", ["application/json; charset=utf-8", "Application/JSON", " application/json ;x"])
def test_spellings_of_the_content_type(found: str) -> None:
    assert ask("/v1/chat/completions", chat(), content_type=found).status is None


@pytest.mark.parametrize("found", ["gzip", "br", "GZIP", "identity, gzip"])
def test_compressed_bodies(found: str) -> None:
    reply = ask("/v1/chat/completions", chat(), content_encoding=found)
    assert reply.status == 415
    refused(415, reply.error, "invalid_content_encoding", "content-encoding")


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/chat/completions"), ("GET", "/v1/models")])
def test_a_tenant_that_has_gone_since_its_key_was_accepted(method: str, path: str) -> None:
    reply = ask(path, chat() if method == "POST" else None, method=method, tenant="gone")
    assert reply.status == 401
    refused(401, reply.error, "invalid_api_key")
    assert b"gone" not in reply.body

"""Everything that the gateway refuses itself: always OpenAI's error shape, a request id, and who refused."""

import gzip
import json
import re
from typing import Any

import httpx2
import openai
import pytest
from running_gateway import RunningGateway
from tenants import ASK, CHAT, COMPLETIONS, EMBEDDINGS, Keys, chat
from upstreams import Engine

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ERROR_KEYS = {"message", "type", "param", "code"}


def error_of(reply: httpx2.Response, status: int) -> dict[str, Any]:
    """The error object of a refusal of the gateway's own, whose form is checked on the way."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-headgate-error-source"] == "gateway"
    assert UUID.fullmatch(reply.headers["x-request-id"])
    assert "x-headgate-target" not in reply.headers
    body = reply.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == ERROR_KEYS
    assert body["error"]["message"]
    assert isinstance(body["error"]["type"], str)
    return body["error"]


def test_no_key(gateway: RunningGateway) -> None:
    for reply in (gateway.post(CHAT, chat(), None), gateway.get("/v1/models", None), gateway.get("/", None)):
        error = error_of(reply, 401)
        assert "Authorization: Bearer" in error["message"]
        assert reply.headers["www-authenticate"] == "Bearer"


def test_keys_that_do_not_work_cannot_be_told_apart(gateway: RunningGateway, keys: Keys) -> None:
    wrong = [*keys.unusable, keys.acme[:-1], f"{keys.acme}A", keys.acme.upper(), "x", "sk-abc", "hg-", "ключ" * 20]
    replies = [gateway.post(CHAT, chat(), None, authorization=b"Bearer " + key.encode()) for key in wrong]
    replies += [
        gateway.post(CHAT, chat(), None, authorization=f"Basic {keys.acme}"),
        gateway.post(CHAT, chat(), None, authorization=keys.acme),
        gateway.post(CHAT, chat(), None, api_key=keys.expired),
        gateway.post(CHAT, chat(), keys.acme, x_api_key=keys.globex),  # two that differ
        gateway.get("/v1/models", keys.disabled),
        gateway.get("/tenants/closed/v1/models", keys.of_disabled_tenant),
    ]
    for reply in replies:
        assert error_of(reply, 401)["code"] == "invalid_api_key"
    # connection: closed when the refusal is faster than the request's body.
    differing = ("x-request-id", "date", "connection")
    headers = [{name: value for name, value in reply.headers.items() if name not in differing} for reply in replies]
    assert all(one == headers[0] for one in headers)
    assert len({reply.content for reply in replies}) == 1
    assert keys.expired not in replies[0].text


def test_a_refused_request_never_reaches_a_provider(gateway: RunningGateway, keys: Keys, engine: Engine) -> None:
    for reply in (gateway.post(CHAT, chat(), keys.unknown), gateway.post(CHAT, chat("nothing"), keys.acme)):
        assert not engine.has_seen(reply.headers["x-request-id"])


def test_another_tenant_is_named(gateway: RunningGateway, keys: Keys) -> None:
    replies = (
        gateway.post("/tenants/globex/v1/chat/completions", chat(), keys.acme),
        gateway.get("/tenants/globex/v1/models", keys.acme),
        gateway.post(CHAT, chat(), keys.acme, openai_tenant="globex"),
        gateway.post("/tenants/acme/v1/chat/completions", chat(), keys.acme, openai_tenant="globex"),
    )
    for reply in replies:
        assert error_of(reply, 403)["code"] == "tenant_mismatch"


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS, EMBEDDINGS])
def test_a_model_of_others_looks_like_no_model(gateway: RunningGateway, keys: Keys, path: str) -> None:
    fields = {"messages": ASK, "prompt": "x", "input": "x"}
    shapes = set()
    for model in ("vendor/chat-1", "no-such-model"):  # acme's, nobody's
        error = error_of(gateway.post(path, {"model": model, **fields}, keys.globex), 404)
        assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", "model", "model_not_found")
        shapes.add(error["message"].replace(model, "MODEL"))
        listed = error_of(gateway.get(f"/v1/models/{model}", keys.globex), 404)
        assert listed == error
    assert len(shapes) == 1


MISTAKES = {
    "no model": ({"messages": ASK}, "model", "missing_required_parameter"),
    "model null": ({"model": None, "messages": ASK}, "model", "invalid_type"),
    "model empty": ({"model": "", "messages": ASK}, "model", "invalid_value"),
    "model a number": ({"model": 4, "messages": ASK}, "model", "invalid_type"),
    "no messages": ({"model": "chat"}, "messages", "missing_required_parameter"),
    "messages empty": ({"model": "chat", "messages": []}, "messages", "invalid_value"),
    "messages text": ({"model": "chat", "messages": "hi"}, "messages", "invalid_type"),
    "message text": ({"model": "chat", "messages": [*ASK, "hi"]}, "messages[1]", "invalid_type"),
    "message without role": (
        {"model": "chat", "messages": [{"content": "hi"}]},
        "messages[0].role",
        "missing_required_parameter",
    ),
    "temperature": (chat(temperature="warm"), "temperature", "invalid_type"),
    "max_tokens": (chat(max_tokens=1.5), "max_tokens", "invalid_type"),
    "stream": ({"model": "chat", "messages": ASK, "stream": "true"}, "stream", "invalid_type"),
    "stream_options": (chat(stream=True, stream_options=True), "stream_options", "invalid_type"),
    "include_usage": (
        chat(stream=True, stream_options={"include_usage": 1}),
        "stream_options.include_usage",
        "invalid_type",
    ),
    "tools": (chat(tools={}), "tools", "invalid_type"),
    "ours": (chat(headgate={}), "headgate", "unsupported_parameter"),
    "ours too": (chat(rag=None), "rag", "unsupported_parameter"),
    "given twice": (b'{"model": "chat", "messages": [], "model": "final"}', "model", "duplicate_key"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_body_is_named(gateway: RunningGateway, keys: Keys, name: str) -> None:
    body, param, code = MISTAKES[name]
    error = error_of(gateway.post(CHAT, body, keys.acme), 400)
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code)
    assert param.split(".")[0].split("[")[0] in error["message"]


def test_the_sdk_understands_a_refusal(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="chat", messages=[])
    assert (refused.value.param, refused.value.code) == ("messages", "invalid_value")
    assert UUID.fullmatch(refused.value.request_id)
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="wrong").models.list()
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="nothing", messages=ASK)


@pytest.mark.parametrize(
    ("body", "position"),
    [
        (b"", None),
        (b"[]", "line 1, column 1"),
        (b"nothing", "line 1, column 1"),
        (b'{"model": "chat",\n "messages": [}', "line 2, column 15"),
        (b'{"model": "chat"} {}', "line 1, column 19"),
        (b'{"model": "chat", }', "line 1, column 19"),
        (b'{"model": "ch\xff"}', "byte 14"),
        (b'{"model": "chat", "messages": [{"role": "user", "content": "cut', None),
        (b'{"model": "chat", "temperature": NaN}', None),
        (b"[" * 100_000, None),
        (b'{"a":' * 100_000, None),
        (b'{"seed": ' + b"9" * 5000 + b"}", None),
    ],
    ids=range(12),
)
def test_invalid_json_is_refused_with_its_position(
    gateway: RunningGateway, keys: Keys, body: bytes, position: str | None
) -> None:
    error = error_of(gateway.post(CHAT, body, keys.acme), 400)
    assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_json")
    assert position is None or position in error["message"]


# JSON may escape half of a surrogate pair, which no UTF-8 text can hold.
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (rb'{"model": "\ud800", "messages": [{"role": "user", "content": "x"}]}', 404),
        (rb'{"model": "chat", "\ud800": 1, "\ud800": 2, "messages": []}', 400),
    ],
)
def test_half_a_surrogate_pair_is_refused_like_anything_else(
    gateway: RunningGateway, keys: Keys, body: bytes, status: int
) -> None:
    error_of(gateway.post(CHAT, body, keys.acme), status)


@pytest.mark.parametrize("field", ["user", "messages", "unknown"])
def test_half_a_surrogate_pair_reaches_the_provider_as_written(
    gateway: RunningGateway, keys: Keys, engine: Engine, field: str
) -> None:
    texts = {"user": '"u"', "unknown": '"?"', "messages": '[{"role": "user", "content": "x"}]'}
    texts[field] = texts[field].replace('u"', '\\ud83d"').replace('?"', '\\udc00"').replace('x"', '\\ud800"')
    body = '{"model": "chat", ' + ", ".join(f'"{name}": {text}' for name, text in texts.items()) + "}"
    reply = gateway.post(CHAT, body.encode(), keys.acme)
    assert reply.headers.get("x-headgate-error-source") != "gateway", reply.text
    received = engine.request(reply.headers["x-request-id"])["body"]
    assert received == body.replace('"chat"', '"engine-model"')


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_a_wrong_content_type(gateway: RunningGateway, keys: Keys, content_type: str) -> None:
    reply = gateway.post(CHAT, chat(), keys.acme, content_type=content_type)
    error = error_of(reply, 400)
    assert (error["param"], error["code"]) == ("content-type", "invalid_content_type")


def test_json_with_a_charset_is_json(gateway: RunningGateway, keys: Keys) -> None:
    reply = gateway.post(CHAT, chat(), keys.acme, content_type="Application/JSON; charset=utf-8")
    assert reply.status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "deflate", "GZIP", "gzip, identity", "gzip, gzip", "x"])
def test_a_compressed_body_is_refused(gateway: RunningGateway, keys: Keys, encoding: str) -> None:
    reply = gateway.post(CHAT, gzip.compress(json.dumps(chat()).encode()), keys.acme, content_encoding=encoding)
    error = error_of(reply, 415)
    assert (error["param"], error["code"]) == ("content-encoding", "invalid_content_encoding")
    assert "'identity'" in error["message"]
    assert reply.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", CHAT, "GET, POST"),
        ("PATCH", f"{CHAT}/chatcmpl-1", "GET, POST, DELETE"),
        ("DELETE", EMBEDDINGS, "POST"),
        ("PUT", COMPLETIONS, "POST"),
        ("OPTIONS", CHAT, "GET, POST"),
        ("POST", "/v1/models", "GET"),
        ("PUT", "/v1/models/vendor/chat-1", "GET"),
    ],
)
def test_a_wrong_method(gateway: RunningGateway, keys: Keys, method: str, path: str, allowed: str) -> None:
    headers = {"authorization": f"Bearer {keys.acme}", "content-type": "application/json"}
    reply = httpx2.request(method, gateway.url + path, headers=headers, content=b"{}")
    assert error_of(reply, 405)["code"] == "method_not_allowed"
    assert reply.headers["allow"] == allowed


def test_head_has_no_body(gateway: RunningGateway, keys: Keys) -> None:
    reply = httpx2.head(gateway.url + CHAT, headers={"authorization": f"Bearer {keys.acme}"})
    assert (reply.status_code, reply.content) == (405, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/",
        "/v2/chat/completions",
        "/v1/chat/completions/",
        "/v1/chat/completions/x/y",
        "/v1/chat%2Fcompletions",
        "/V1/chat/completions",
        "/v1/modelsx",
        "/v1/responsesx",
        "/tenants/acme",
        "/tenants/acme/v1",
        "/tenants/acme/tenants/acme/v1/chat/completions",
        "/v1/tenants/acme/v1/chat/completions",
        "/ready",
        "/config_dump",
        "/v1/<b>",
        "/v1/" + "x" * 5000,
    ],
)
def test_an_unknown_url(gateway: RunningGateway, keys: Keys, path: str) -> None:
    error = error_of(gateway.post(path, chat(), keys.acme), 404)
    assert (error["type"], error["code"]) == ("invalid_request_error", "unknown_url")
    assert len(error["message"]) < 250


def test_an_unknown_url_tells_strangers_nothing(gateway: RunningGateway) -> None:
    assert gateway.get("/v1/models", None).content == gateway.get("/no/such/thing", None).content


@pytest.mark.parametrize("path", ["//v1//chat///completions", "/x/../v1/chat/completions", "/v1/./chat/completions"])
def test_a_url_is_read_as_other_servers_read_it(gateway: RunningGateway, keys: Keys, path: str) -> None:
    # httpx2 would tidy the path up itself
    target = httpx2.Request("POST", gateway.url).url.copy_with(raw_path=path.encode())
    headers = {"authorization": f"Bearer {keys.acme}", "content-type": "application/json"}
    assert httpx2.post(target, headers=headers, content=json.dumps(chat())).status_code == 200

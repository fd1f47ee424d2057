"""What a plan tells Envoy of its attempts: which are right as they are, and what the others need."""

import json
from typing import Any

import pytest
from ext_proc_client import Reply, ask, chat, snapshot_of

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
SNAPSHOT = snapshot_of("""\
providers:
  a: {api: openai, base_url: "http://a.test", usage: continuous}
  b: {api: openai, base_url: "http://b.test", usage: none}
  many: {api: openai, endpoints: ["http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3"]}
  claude: {api: anthropic, base_url: "http://claude.test"}
  opus: {api: anthropic, endpoints: ["http://127.0.0.1:4", "http://127.0.0.1:5"]}
models:
  one: {targets: [{provider: a, model: x}]}
  replicas: {targets: [{provider: many, model: x}]}
  mixed:
    targets: [{provider: a, model: x}, {provider: claude, model: y, max_output_tokens: 99}, {provider: b, model: x}]
  foreign: {targets: [{provider: opus, model: o}, {provider: a, model: x}], max_attempts: 4}
  native: {targets: [{provider: claude, model: native}]}
tenants: {acme: {models: [one, replicas, mixed, foreign, native]}}
""")


def planned(url: str, **members: Any) -> Reply:
    body = json.loads(chat(**members))
    if url == MESSAGES:
        body = {"max_tokens": 5} | body
    reply = ask(url, json.dumps(body).encode(), snapshot=SNAPSHOT)
    assert reply.status is None, reply.body
    return reply


A, B = (
    ["a", "openai", "x", "continuous", None, None, True, True],
    ["b", "openai", "x", "none", None, None, True, True],
)
CLAUDE = ["claude", "anthropic", "y", "final", 99, None, False, False]
OPUS = ["opus", "anthropic", "o", "final", None, None, False, False]
PLANS = [
    # url, model, what is direct, the attempts' rows where there is something to know
    (CHAT, "one", ",1,", None),
    (CHAT, "replicas", ",1,2,3,", None),
    (CHAT, "mixed", ",1,", [A, CLAUDE, B]),
    (CHAT, "foreign", ",,", [OPUS, OPUS, A]),
    (MESSAGES, "one", ",,", [A]),
    (MESSAGES, "mixed", ",,", [A, CLAUDE, B]),
    (MESSAGES, "foreign", ",1,2,", [OPUS, OPUS, A]),
    (MESSAGES, "native", ",1,", None),
]


@pytest.mark.parametrize(("url", "model", "direct", "rows"), PLANS)
@pytest.mark.parametrize("stream", [True, False])
def test_what_the_attempts_are_told(url: str, model: str, direct: str, rows: list[Any] | None, stream: bool) -> None:
    reply = planned(url, model=model, stream=stream)
    request = reply.metadata["hg.request"]
    assert request["direct"] == direct
    if rows is None:
        assert not {"models", "attempts"} & request.keys()
    else:
        assert json.loads(request["attempts"]) == [rows, stream, False, False]
        assert request.get("headers_ms") == (10_000 if stream else None)
        assert request["models"] == [row[2] for row in rows]
        assert [cluster.removeprefix("provider/") for cluster in reply.clusters] == [row[0] for row in rows]
    if len(reply.clusters) > 1:
        assert request["length"] == str(len(reply.body))
    else:
        assert "length" not in request


@pytest.mark.parametrize(("url", "model"), [(CHAT, "foreign"), (MESSAGES, "one"), (MESSAGES, "mixed")])
def test_a_body_that_is_to_be_translated_stays_as_it_was_written(url: str, model: str) -> None:
    body = b'{ "messages":[{"role":"user","content":"\\u00e9"}],"max_tokens" :5, "stream":true, "model":"%s"}\n'
    body %= model.encode()
    assert ask(url, body, snapshot=SNAPSHOT).body == body


def test_anthropics_clients_on_anthropics_api() -> None:
    """Nothing changes but the model's name: usage is in every stream there, and nobody has to ask for it."""
    body = b'{ "messages":[{"role":"user","content":"\\u00e9"}],"max_tokens" :5, "stream":true, "model":"mixed"}\n'
    body = body.replace(b'"mixed"', b'"foreign"')
    reply = ask(MESSAGES, body, snapshot=SNAPSHOT)
    assert reply.body == body.replace(b'"foreign"', b'"o"')
    request = reply.metadata["hg.request"]
    assert (request["surface"], request["endpoint"], request["operation"]) == ("messages", "/messages", "chat")
    assert (request["model"], request["upstream_model"]) == ("foreign", "o")
    assert not {"hide_usage_chunk", "hide_usage_member", "answers"} & request.keys()
    untouched = body.replace(b'"foreign"', b'"native"')
    assert ask(MESSAGES, untouched, snapshot=SNAPSHOT).body == untouched


@pytest.mark.parametrize(
    ("model", "options", "asked", "hidden"),
    [
        ("mixed", None, [False, False], (True, True)),
        ("mixed", {"include_usage": True}, [True, False], (False, True)),
        ("mixed", {"include_usage": True, "continuous_usage_stats": True}, [True, True], (False, False)),
        ("foreign", {"include_usage": False}, [False, False], (True, True)),
    ],
)
def test_what_the_client_asked_of_usage(
    model: str, options: dict[str, bool] | None, asked: list[bool], hidden: tuple[bool, bool]
) -> None:
    request = planned(CHAT, model=model, stream=True, stream_options=options).metadata["hg.request"]
    assert json.loads(request["attempts"])[2:4] == asked
    assert (request.get("hide_usage_chunk", False), request.get("hide_usage_member", False)) == hidden


@pytest.mark.parametrize(
    ("url", "members", "user"),
    [
        (CHAT, {"user": "u-1"}, "u-1"),
        (MESSAGES, {"metadata": {"user_id": "u-2"}}, "u-2"),
        (MESSAGES, {"metadata": {}}, None),
        (MESSAGES, {"metadata": {"user_id": None}}, None),
    ],
)
def test_the_user_is_where_the_clients_api_has_it(url: str, members: dict[str, Any], user: str | None) -> None:
    assert planned(url, model="mixed", **members).metadata["hg.request"].get("user") == user

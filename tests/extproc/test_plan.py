"""What goes on to Envoy: the body, the clusters in order, times, and what the metering filter is told."""

import json
from collections import Counter
from typing import Any

import pytest
from ext_proc_client import Reply, ask, chat, snapshot_of

from extproc.surface import Surface
from extproc.surfaces import CHAT, COMPLETIONS, EMBEDDINGS

URL = "/v1/chat/completions"
BOTH = {"include_usage": True, "continuous_usage_stats": True}
USAGE = {"include_usage": True}


def planned(body: bytes, **more: Any) -> Reply:
    reply = ask(URL, body, **more)
    assert reply.status is None, reply.body
    return reply


def hidden(reply: Reply) -> tuple[bool, bool]:
    request = reply.metadata["hg.request"]
    return request.get("hide_usage_chunk", False), request.get("hide_usage_member", False)


def test_the_first_message_lets_the_headers_go_on_unchanged() -> None:
    first, last = planned(chat()).messages
    assert first.WhichOneof("response") == "request_headers"
    assert first.ByteSize() <= 4
    assert last.WhichOneof("response") == "request_body"


def test_a_plan() -> None:
    body = b'{"messages": [{"role":"user"}],\n "temperature": 1.0e+00, "model" :"chat" ,"user":"u-1","x":-0}'
    reply = planned(body, traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    assert reply.body == body.replace(b'"chat"', b'"up/stream-8b"')
    assert reply.clusters == ["provider/local", "provider/local", "provider/final"]
    assert reply.headers == {
        "content-length": str(len(reply.body)),
        "x-headgate-profile": "429+5xx+connect+reset/idle=600/total=600",
        "x-envoy-max-retries": "2",
    }
    request = reply.metadata["hg.request"]
    attempts = json.loads(request.pop("attempts"))
    assert [row[:4] for row in attempts[0]] == [
        *[["local", "openai", "up/stream-8b", "continuous"]] * 2,
        ["final", "openai", "big", "final"],
    ]
    assert request == {
        "generation": 1,
        "bytes_in": len(body),
        "surface": "chat",
        "endpoint": "/chat/completions",
        "operation": "chat",
        "model": "chat",
        "upstream_model": "up/stream-8b",
        "user": "u-1",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "direct": ",1,2,",
        "models": ["up/stream-8b", "up/stream-8b", "big"],
        "length": str(len(reply.body)),
    }
    assert set(reply.metadata) == {"hg.plan", "hg.request", "envoy.filters.http.ratelimit"}


def test_a_model_of_the_same_name_leaves_the_body_alone() -> None:
    body = b' {"model":"same","messages":[{"role":"user","content":"\\u00e9"}],"n":1E0 } '
    assert ask(URL, body).status == 400  # n is an integer
    body = body.replace(b"1E0", b"1")
    assert planned(body).body == body


@pytest.mark.parametrize(
    ("path", "body", "surface"),
    [
        ("/v1/completions", {"model": "chat", "prompt": "hi"}, "completions"),
        ("/v1/embeddings", {"model": "chat", "input": ["hi"]}, "embeddings"),
        ("/tenants/acme/v1/embeddings?x=/v1/models", {"model": "chat", "input": [[1, 2]]}, "embeddings"),
        ("/tenants/a%2Fc/v1/completions", {"model": "chat", "prompt": [1]}, "completions"),
        ("/v1/chat/completions?api-version=1", json.loads(chat()), "chat"),
    ],
)
def test_surfaces(path: str, body: dict[str, Any], surface: str) -> None:
    reply = ask(path, json.dumps(body).encode())
    request = reply.metadata["hg.request"]
    endpoint = {"chat": "/chat/completions"}.get(surface, f"/{surface}")
    assert (reply.status, request["surface"], request["endpoint"]) == (None, surface, endpoint)


CONTINUOUS, FINAL, NONE = "chat", "same", "silent"
STREAM_OPTIONS = [
    # model, the client's stream_options, what the provider gets, (hide the chunk, hide the members)
    (CONTINUOUS, None, BOTH, (True, True)),
    (CONTINUOUS, {}, BOTH, (True, True)),
    (CONTINUOUS, {"include_usage": False}, BOTH, (True, True)),
    (CONTINUOUS, {"include_usage": None}, BOTH, (True, True)),
    (CONTINUOUS, {"continuous_usage_stats": True}, BOTH, (True, True)),
    (CONTINUOUS, USAGE, BOTH, (False, True)),
    (CONTINUOUS, {"include_usage": True, "continuous_usage_stats": False}, BOTH, (False, True)),
    (CONTINUOUS, BOTH, BOTH, (False, False)),
    (CONTINUOUS, {"x": 1}, {"x": 1, **BOTH}, (True, True)),
    (FINAL, None, USAGE, (True, True)),
    (FINAL, {}, USAGE, (True, True)),
    (FINAL, {"include_usage": False}, USAGE, (True, True)),
    (FINAL, {"include_obfuscation": False}, {"include_obfuscation": False, **USAGE}, (True, True)),
    (FINAL, USAGE, USAGE, (False, False)),
    (FINAL, BOTH, BOTH, (False, False)),
    (NONE, None, None, (False, False)),
    (NONE, {}, {}, (False, False)),
    (NONE, USAGE, USAGE, (False, False)),
]


@pytest.mark.parametrize(("model", "asked", "sent", "hide"), STREAM_OPTIONS)
@pytest.mark.parametrize("null", [True, False])
def test_asking_for_usage(model: str, asked: Any, sent: Any, hide: tuple[bool, bool], null: bool) -> None:
    options = {} if asked is None and not null else {"stream_options": asked}
    reply = planned(chat(model=model, stream=True, **options))
    assert json.loads(reply.body).get("stream_options") == sent
    assert hidden(reply) == hide


@pytest.mark.parametrize("model", [CONTINUOUS, FINAL, NONE])
@pytest.mark.parametrize("stream", [{}, {"stream": False}, {"stream": None}])
def test_answers_that_do_not_stream_are_not_asked(model: str, stream: dict[str, Any]) -> None:
    reply = planned(chat(model=model, **stream))
    assert "stream_options" not in json.loads(reply.body)
    assert hidden(reply) == (False, False)
    assert "x-envoy-upstream-rq-per-try-timeout-ms" not in reply.headers


def test_embeddings_are_not_asked() -> None:
    body = json.dumps({"model": "chat", "input": "x", "stream": True}).encode()
    assert "stream_options" not in json.loads(ask("/v1/embeddings", body).body)


def test_asking_keeps_every_other_byte() -> None:
    body = b'{ "stream" : true,"stream_options":{ "x":1.0 },"model":"chat","messages":[{"role":"user"}] }'
    expected = body.replace(b'"chat"', b'"up/stream-8b"').replace(
        b"1.0 }", b'1.0,"include_usage":true,"continuous_usage_stats":true }'
    )
    assert planned(body).body == expected


def test_times_of_a_stream() -> None:
    headers = planned(chat(model="same", stream=True)).headers
    assert headers["x-envoy-upstream-rq-per-try-timeout-ms"] == "2500"
    assert headers["x-headgate-profile"] == "429+5xx+connect+reset/idle=7/total=540"
    whole = planned(chat(model="same")).headers  # has no pieces to wait for between its first byte and its last
    assert whole["x-headgate-profile"] == "429+5xx+connect+reset/idle=540/total=540"


@pytest.mark.parametrize(
    ("model", "clusters"),
    [
        ("chat", [*["provider/local"] * 2, "provider/final"]),  # two replicas and another target, three attempts
        ("silent", ["provider/many"] * 2),  # three replicas, two attempts
        ("same", ["provider/final"]),
        ("late", [*["provider/many"] * 2, "provider/final"]),  # the lower priority first
    ],
)
def test_replicas_and_retries(model: str, clusters: list[str]) -> None:
    reply = planned(chat(model=model))
    assert reply.clusters == clusters
    assert reply.headers["x-envoy-max-retries"] == str(len(clusters) - 1)


def test_targets_outside_the_tenants_zones_are_never_planned() -> None:
    assert {tuple(planned(chat(), tenant="inner").clusters) for _ in range(50)} == {("provider/local",) * 2}
    assert {tuple(planned(chat(), tenant="outer").clusters) for _ in range(50)} == {("provider/final",)}
    for _ in range(50):  # of two equal targets one is outside
        assert set(planned(chat(model="split"), tenant="inner").clusters) == {"provider/local"}


def test_weights_are_drawn_among_the_first_priority() -> None:
    drawn = Counter(planned(chat(model="split")).clusters[0] for _ in range(200))
    assert set(drawn) == {"provider/local", "provider/final"}  # one of them missing: once in 2**199
    assert {planned(chat(model="lopsided")).clusters[0] for _ in range(100)} == {"provider/local"}


def test_the_drawn_target_is_the_one_whose_model_is_sent() -> None:
    for _ in range(30):
        reply = planned(chat(model="split"))
        model = {"provider/local": "a", "provider/final": "b"}[reply.clusters[0]]
        assert (json.loads(reply.body)["model"], reply.metadata["hg.request"]["upstream_model"]) == (model, model)


@pytest.mark.parametrize(
    ("user", "kept"),
    [("u" * 300, "u" * 256), ("é😀", "é😀"), ("", None), (None, None), ("\ud800", "?")],
)
def test_users(user: str | None, kept: str | None) -> None:
    reply = planned(chat(user=user))
    assert reply.metadata["hg.request"].get("user") == kept
    assert json.loads(reply.body)["user"] == user


@pytest.mark.parametrize(
    "traceparent",
    ["", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", "x", "00-" + "G" * 32 + "-00f067aa0ba902b7-01"],
)
def test_trace_contexts_that_are_none(traceparent: str) -> None:
    assert "trace_id" not in planned(chat(), traceparent=traceparent).metadata["hg.request"]


@pytest.mark.parametrize(("n", "answers"), [(None, None), (1, None), (2, 2), (128, 128), (10**30, 2**20)])
def test_answers(n: int | None, answers: int | None) -> None:
    assert planned(chat(n=n)).metadata["hg.request"].get("answers") == answers


@pytest.mark.parametrize(
    ("prompt", "prompts"), [("a", None), (["a"], None), ([1, 2, 3], None), (["a", "b"], 2), ([[1], [2], [3]], 3)]
)
def test_prompts(prompt: object, prompts: int | None) -> None:
    reply = ask("/v1/completions", json.dumps({"model": "chat", "prompt": prompt}).encode())
    assert reply.metadata["hg.request"].get("prompts") == prompts


REQUIRED = {CHAT: {"messages": [{"role": "user"}]}, COMPLETIONS: {"prompt": "a"}, EMBEDDINGS: {"input": "a"}}
ODD_VALUES = [None, True, 0, -1, 1e300, 10**400, "", "x", [], {}, [[1], [None]], {"include_usage": 1}]


@pytest.mark.parametrize("surface", REQUIRED, ids=lambda surface: surface.name)
def test_a_parameter_of_another_endpoint_may_be_anything(surface: Surface) -> None:
    """It is the provider's to judge: planned or refused, never stumbled over."""
    for name in sorted({name for known in REQUIRED for name in known.parameters} - {"model"}):
        for value in ODD_VALUES:
            body = {"model": "chat", **REQUIRED[surface], name: value}
            reply = ask(f"/v1{surface.path}", json.dumps(body).encode())
            assert reply.status in (None, 400), (name, value, reply.error)


def test_the_models_list() -> None:
    reply = ask("/v1/models", None, method="GET", tenant="inner")
    answer = json.loads(reply.body)
    assert (reply.status, reply.headers) == (200, {"content-type": "application/json"})
    assert reply.metadata == {"hg.request": {"surface": "models", "answered": True}}
    assert [model["id"] for model in answer["data"]] == ["chat", "split"]
    assert answer["object"] == "list"
    assert all(set(model) == {"id", "object", "created", "owned_by"} for model in answer["data"])
    assert json.loads(ask("/v1/models/?x", None, method="GET", tenant="bare").body)["data"] == []


@pytest.mark.parametrize(
    "path", ["/v1/models/org/model-1", "/v1/models/org%2Fmodel-1", "/tenants/x/v1/models/org%2fmodel-1"]
)
def test_model_ids_with_a_slash(path: str) -> None:
    reply = ask(path, None, method="GET")
    assert (reply.status, json.loads(reply.body)["id"]) == (200, "org/model-1")


def test_a_model_id_that_needs_escaping_everywhere() -> None:
    snapshot = snapshot_of("""\
providers: {p: {api: openai, base_url: "http://p.test"}}
models: {'m-1': {targets: [{provider: p, model: 'q"\\\\é'}]}}
tenants: {t: {models: [m-1]}}
""")
    reply = planned(chat(model="m-1"), tenant="t", snapshot=snapshot)
    assert json.loads(reply.body)["model"] == reply.metadata["hg.request"]["upstream_model"]

"""Which requests are hedged, and what Envoy is told of them."""

import pytest
from ext_proc_client import Reply, ask, chat, snapshot_of

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
PER_TRY, HEDGE = "x-envoy-upstream-rq-per-try-timeout-ms", "x-envoy-hedge-on-per-try-timeout"
SNAPSHOT = snapshot_of("""\
providers:
  pool: {api: openai, endpoints: ["http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3"]}
models:
  hedged: {targets: [{provider: pool, model: m}], hedge: 250ms, timeouts: {idle: 7s}}
  twice: {targets: [{provider: pool, model: m}], hedge: 1s, max_attempts: 2}
  plain: {targets: [{provider: pool, model: m}]}
tenants:
  acme: {models: [hedged, twice, plain]}
""")


def planned(model: str, path: str = CHAT, headers: dict[str, str] | None = None, **members: object) -> Reply:
    reply = ask(path, chat(model=model, **members), snapshot=SNAPSHOT, **(headers or {}))
    assert reply.status is None, reply.body
    return reply


@pytest.mark.parametrize(("model", "after_ms", "attempts"), [("hedged", "250", 3), ("twice", "1000", 2)])
def test_a_stream_is_hedged(model: str, after_ms: str, attempts: int) -> None:
    reply = planned(model, stream=True)
    assert (reply.headers[PER_TRY], reply.headers[HEDGE]) == (after_ms, "true")
    assert reply.headers["x-headgate-profile"].endswith("/hedged")
    assert reply.clusters == ["provider/pool"] * attempts
    assert reply.metadata["hg.request"]["direct"] == ",1,2,3,"[: 2 * attempts + 1]


def test_an_answer_is_waited_for_as_long_as_a_stream_may_be_silent() -> None:
    assert planned("hedged", stream=True).metadata["hg.request"]["headers_ms"] == 7000
    alone = planned("hedged", stream=True, headers={"x-headgate-fallback": "off"})
    assert alone.headers[PER_TRY] == "7000"


@pytest.mark.parametrize(
    ("model", "members", "headers", "path"),
    [
        ("hedged", {}, {}, CHAT),
        ("plain", {"stream": True}, {}, CHAT),
        ("hedged", {"stream": True}, {"x-headgate-fallback": "off"}, CHAT),
        ("hedged", {"stream": True, "max_tokens": 5}, {"anthropic-version": "2023-06-01"}, MESSAGES),
    ],
)
def test_what_is_not(model: str, members: dict[str, object], headers: dict[str, str], path: str) -> None:
    """Whole answers, other models, single attempts, and what has to be translated."""
    reply = planned(model, path, headers, **members)
    assert HEDGE not in reply.headers
    assert not reply.headers["x-headgate-profile"].endswith("/hedged")

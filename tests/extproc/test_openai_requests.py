"""Whatever OpenAI's API takes is neither refused nor altered on its way to a provider that speaks it."""

import json
from typing import Any

from attempt_client import Attempt, sent_of
from ext_proc_client import Reply, ask, snapshot_of
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from test_responses import Knows

from extproc.kept import KeptResponses
from extproc.stored import marks_of
from tests.openai_spec.spec import bodies, problems

SNAPSHOT = snapshot_of("""\
providers: {a: {api: openai, base_url: "http://a.test/v1"}}
models: {one: {targets: [{provider: a, model: up}]}}
tenants: {acme: {models: [one]}}
""")
MADE = {("acme", "resp_1"): ("one", "a", "up")}
ENDPOINTS = (
    "/responses",
    "/responses/input_tokens",
    "/responses/compact",
    "/chat/completions",
    "/completions",
    "/embeddings",
)
REQUESTS = st.sampled_from(ENDPOINTS).flatmap(lambda path: st.tuples(st.just(path), bodies(f"POST {path}")))


def planned(path: str, body: dict[str, Any]) -> Reply:
    kept = KeptResponses(Knows(MADE))  # type: ignore[arg-type]
    return ask(f"/v1{path}", json.dumps(body).encode(), snapshot=SNAPSHOT, kept=kept)


def sent(reply: Reply) -> bytes:
    """What the provider gets; what is stored is made right for it by a call of its own."""
    plan = reply.metadata["hg.request"]
    return reply.body if plan["direct"] == ",1," else sent_of(Attempt(plan, 1, SNAPSHOT).request(reply.body))[0]


@given(REQUESTS)
@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_valid_request_goes_on_as_it_is(request: tuple[str, dict[str, Any]]) -> None:
    path, body = request
    body["model"] = "one"  # which this gateway needs: it says where to
    if body.get("previous_response_id") is not None:
        body["previous_response_id"] = "resp_1"  # an id that is known
    if path.startswith("/responses"):
        body.pop("conversation", None)  # docs/responses.md
    assume((body.get("prompt") != [] and body.get("input") != []) or path.startswith("/responses"))  # asks nothing
    assume(not problems("POST", path, json.dumps(body).encode()))
    reply = planned(path, body)
    assert reply.status is None, reply.body
    made = sent(reply)
    expected = {**body, "model": "up"}
    if path in ("/chat/completions", "/completions") and body.get("stream"):
        expected["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}  # DESIGN: metering
    if path == "/chat/completions" and body.get("store"):
        expected["metadata"] = {**(body.get("metadata") or {}), **marks_of("mark", "one")}
    assert json.loads(made) == expected
    assert not problems("POST", path, made)

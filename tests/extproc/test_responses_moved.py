"""Conversations that move from a target that is translated to, to one with responses, and back: by attempts."""

import json
from typing import Any

from attempt_client import planned, sent_of
from ext_proc_client import Reply, ask, snapshot_of

from extproc.translate.sealed import Sealed, seal

URL = "/v1/responses"
SNAPSHOT = snapshot_of("""\
providers:
  openai: {api: openai, base_url: "http://o.test/v1"}
  second: {api: openai, base_url: "http://s.test/v1"}
  groq: {api: openai, preset: groq}
  claude: {api: anthropic, base_url: "http://c.test"}
models:
  one: {targets: [{provider: openai, model: gpt}]}
  down: {targets: [{provider: openai, model: gpt}, {provider: claude, model: claude-sonnet-4-5}]}
  up: {targets: [{provider: claude, model: claude-sonnet-4-5}, {provider: openai, model: gpt}]}
  both: {targets: [{provider: openai, model: gpt}, {provider: groq, model: g}]}
tenants:
  acme: {models: [one, down, up, both]}
""")
REQUEST_ID = "3f2a9c1e-8b1d-4c55-9d0a-0123456789ab"
SEALED = seal(Sealed([{"type": "thinking", "thinking": "Hm", "signature": "EqQB"}]))
THOUGHT = {"type": "reasoning", "id": f"rs_{REQUEST_ID}_0", "summary": [], "encrypted_content": SEALED}
ANSWER = {
    "type": "message",
    "id": f"msg_{REQUEST_ID}_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hi", "annotations": []}],
}
TURNS = [{"role": "user", "content": "Hello"}, THOUGHT, ANSWER, {"role": "user", "content": "Go on"}]
FIT = [TURNS[0], {"type": "message", "role": "assistant", "content": "Hi"}, TURNS[3]]
GROQS = [TURNS[0], ANSWER, TURNS[3]]  # which may insist on ids


def asked(model: str, items: list[Any] = TURNS) -> bytes:
    return json.dumps({"model": model, "input": items, "store": False}).encode()


def plan(model: str, path: str = "") -> Reply:
    body = {"model": model, "input": TURNS} | ({} if path else {"store": False})
    return ask(URL + path, json.dumps(body).encode(), snapshot=SNAPSHOT)


def request_of(reply: Reply) -> dict[str, Any]:
    assert reply.status is None, reply.body
    found: dict[str, Any] = reply.metadata["hg.request"]
    return found


def sent(model: str, number: int) -> dict[str, Any]:
    attempt, kept = planned(URL, asked(model), SNAPSHOT, number)
    body, _ = sent_of(attempt.request(kept))
    found: dict[str, Any] = json.loads(body)
    return found


def test_alone_it_costs_no_further_call() -> None:
    reply = plan("one")
    assert json.loads(reply.body) == {"model": "gpt", "input": FIT, "store": False}
    assert (request_of(reply)["direct"], request_of(reply)["drops"]) == (",1,", ["input.reasoning"])


def test_counts_and_compactions_take_no_more_of_it() -> None:
    for path in ("/input_tokens", "/compact"):
        reply = plan("one", path)
        assert json.loads(reply.body) == {"model": "gpt", "input": FIT}


def test_a_fallback_gets_what_its_own_model_has_thought() -> None:
    """Though a target before it must not."""
    request = request_of(reply := plan("down"))
    assert (request["direct"], request["drops"]) == (",,", ["input.reasoning", ""])
    assert json.loads(reply.body)["input"] == TURNS
    assert sent("down", 1)["input"] == FIT
    assert {"type": "thinking", "thinking": "Hm", "signature": "EqQB"} in sent("down", 2)["messages"][1]["content"]


def test_a_fallback_with_responses_gets_what_it_takes() -> None:
    assert request_of(plan("up"))["drops"] == ["", "input.reasoning"]
    assert {"type": "thinking", "thinking": "Hm", "signature": "EqQB"} in sent("up", 1)["messages"][1]["content"]
    assert sent("up", 2)["input"] == FIT


def test_servers_that_look_nothing_up_get_the_ids() -> None:
    assert request_of(plan("both"))["drops"] == ["input.reasoning", "input.reasoning"]
    assert sent("both", 1)["input"] == FIT
    assert sent("both", 2)["input"] == GROQS


def test_what_has_nothing_of_it_keeps_its_bytes() -> None:
    raw = b'{"input" : [ {"role":"user","content":"\\u00e9 1.0"} ],"model":"one"}'
    reply = ask(URL, raw, snapshot=SNAPSHOT)
    assert reply.body == raw.replace(b'"one"', b'"gpt"')
    assert "drops" not in request_of(reply)

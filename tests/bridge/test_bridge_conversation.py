"""What a connection remembers, and that it is bounded."""

import json
from typing import Any

from headgate.bridge.conversation import Conversation, Memory, conversation_after, joined, warmed_up
from headgate.bridge.message import Create, read_message

REASONING = {"type": "reasoning", "id": "rs_1", "summary": []}
SEALED = {**REASONING, "encrypted_content": "x"}
SAID = {"type": "message", "id": "msg_1", "role": "assistant", "content": []}


def create(**body: Any) -> Create:
    return read_message(json.dumps({"type": "response.create", "model": "m", **body}))


def response(*output: Any, **more: Any) -> dict[str, Any]:
    return {"id": "r", "output": json.dumps(output).encode(), **more}


def items(conversation: Conversation | None) -> list[Any]:
    assert conversation
    return [json.loads(item) for item in conversation.items]


def test_what_nobody_keeps_goes_before_the_next_input() -> None:
    first = create(input="Hi", store=False)
    after = conversation_after(first, None, response(SEALED, SAID))
    assert items(after) == [{"role": "user", "content": "Hi"}, SEALED, SAID]
    assert after
    second = create(input=[{"role": "user", "content": "And?"}], store=False, previous_response_id="r")
    assert json.loads(joined(second, after)) == {
        "model": "m",
        "input": [*items(after), {"role": "user", "content": "And?"}],
        "store": False,
        "stream": True,
    }
    third = conversation_after(second, after, response(SAID))
    assert items(third) == [*items(after), {"role": "user", "content": "And?"}, SAID]


def test_reasoning_that_cannot_be_sent_again_is_left_out() -> None:
    assert items(conversation_after(create(input=[], store=False), None, response(REASONING, SAID))) == [SAID]


def test_what_its_provider_keeps_is_not_remembered() -> None:
    assert conversation_after(create(input="Hi"), None, response(SAID)) is None
    assert conversation_after(create(input="Hi", store=False), None, response(SAID, store=True)) is None
    assert conversation_after(create(input="Hi"), None, response(SAID, store=False))  # a translated one


def test_a_kept_response_stays_the_base() -> None:
    first = create(input="Hi", store=False, previous_response_id="kept")
    after = conversation_after(first, None, response(SAID))
    assert after
    body = json.loads(joined(create(input="And?", previous_response_id="r"), after))
    assert body["previous_response_id"] == "kept"
    assert body["input"] == [{"role": "user", "content": "Hi"}, SAID, {"role": "user", "content": "And?"}]


def test_a_warm_up_brings_its_input_along() -> None:
    made, after = warmed_up(create(input="System", instructions="Be brief"), None)
    assert (made["status"], made["output"], made["model"], made["instructions"]) == ("completed", [], "m", "Be brief")
    assert items(after) == [{"role": "user", "content": "System"}]


def test_a_lane_has_one_response_and_others_may_go_on_from_it() -> None:
    memory, one, other = Memory(10_000), object(), object()
    conversation = Conversation(None, (b'{"a":1}',))
    memory.keep(one, "a", "r1", conversation)
    assert memory.find(one, [None, "b", "a"], "r1") is conversation
    assert memory.find(other, ["a"], "r1") is None  # another connection, perhaps another tenant
    memory.keep(one, "a", "r2", conversation)
    assert memory.find(one, ["a"], "r1") is None
    assert memory.size_bytes == conversation.size_bytes


def test_what_was_used_longest_ago_is_forgotten() -> None:
    conversation = Conversation(None, (b"x" * 1_000,))
    memory, connection = Memory(3 * conversation.size_bytes), object()
    for lane in ("a", "b", "c"):
        memory.keep(connection, lane, lane, conversation)
    memory.find(connection, ["a"], "a")
    memory.keep(connection, "d", "d", conversation)
    assert [lane for lane in "abcd" if memory.find(connection, [lane], lane)] == ["a", "c", "d"]
    memory.keep(connection, "e", "e", Conversation(None, (b"x" * 10_000,)))  # more than there is
    assert memory.size_bytes == 0

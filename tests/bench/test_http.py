"""What the upstream writes is what the client reads, wherever the bytes are cut."""

import json

import pytest

from bench import answers
from bench.http import may_be_complete, response_of


@pytest.mark.parametrize(
    "answer", [b"".join(answers.stream_writes(3)), b"".join(answers.message_writes(3)), answers.json_answer()]
)
def test_a_response_is_there_with_its_last_byte_and_not_before(answer: bytes) -> None:
    assert [cut for cut in range(len(answer)) if response_of(answer[:cut])] == []
    response = response_of(answer)
    assert response
    assert response.status == 200


def test_a_stream_is_chunks_usage_and_done_each_chunk_a_write() -> None:
    writes = answers.stream_writes(5)
    response = response_of(b"".join(writes))
    assert response
    events = [event.removeprefix("data: ") for event in response.body.decode().split("\n\n")[:-1]]
    content = [json.loads(event) for event in events[:5]]
    assert [event["usage"]["completion_tokens"] for event in content] == [1, 2, 3, 4, 5]
    assert [event["choices"][0]["finish_reason"] for event in content] == [None] * 4 + ["stop"]
    assert json.loads(events[5])["choices"] == []
    assert events[6:] == ["[DONE]"]
    assert len(writes) == 6
    assert [write.count(b"data: ") for write in writes] == [1, 1, 1, 1, 1, 2]
    assert [may_be_complete(write[-8:]) for write in writes] == [False] * 5 + [True]


def test_a_message_is_its_events_each_delta_a_write() -> None:
    writes = answers.message_writes(5)
    response = response_of(b"".join(writes))
    assert response
    events = [event.split("\ndata: ") for event in response.body.decode().split("\n\n")[:-1]]
    assert {name.removeprefix("event: ") == json.loads(data)["type"] for name, data in events} == {True}
    kinds = [json.loads(data)["type"] for _, data in events]
    opening, closing = (
        ["message_start", "content_block_start"],
        ["content_block_stop", "message_delta", "message_stop"],
    )
    assert kinds == [*opening, *["content_block_delta"] * 5, *closing]
    assert json.loads(events[-2][1])["usage"] == {"output_tokens": 5}
    assert [write.count(b"event: ") for write in writes] == [3, 1, 1, 1, 1, 3]
    assert [may_be_complete(write[-8:]) for write in writes] == [False] * 5 + [True]


def test_a_usage_stands_last_in_its_event_as_vllm_writes_it() -> None:
    response = response_of(b"".join(answers.stream_writes(2)))
    assert response
    for event in response.body.decode().split("\n\n")[:3]:
        assert list(json.loads(event.removeprefix("data: ")))[-1] == "usage"


def test_a_response_without_a_length_is_refused() -> None:
    with pytest.raises(ValueError, match="without a length"):
        response_of(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")

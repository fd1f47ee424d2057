"""What the upstream writes is what the client reads, wherever the bytes are cut."""

import json

import pytest

from bench import answers
from bench.foreign import FOREIGN
from bench.http import NUMBER, may_be_complete, numbered, request_bytes, response_of


@pytest.mark.parametrize(
    "answer",
    [b"".join(writes(3)) for writes in (answers.stream_writes, *(foreign.writes for foreign in FOREIGN))]
    + [answers.json_answer()],
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


def test_a_usage_stands_last_in_its_event_as_vllm_writes_it() -> None:
    response = response_of(b"".join(answers.stream_writes(2)))
    assert response
    for event in response.body.decode().split("\n\n")[:3]:
        assert list(json.loads(event.removeprefix("data: ")))[-1] == "usage"


def test_a_response_without_a_length_is_refused() -> None:
    with pytest.raises(ValueError, match="without a length"):
        response_of(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")


def test_each_request_has_a_number_of_its_own_and_the_same_length() -> None:
    request = request_bytes(80, {}, f'{{"content": "{NUMBER}"}}'.encode())
    made = [numbered(request, number) for number in (1, 2, 12345678)]
    assert [one.rpartition(b"\r\n")[2] for one in made] == [
        b'{"content": "00000001"}',
        b'{"content": "00000002"}',
        b'{"content": "12345678"}',
    ]
    assert {len(one) for one in made} == {len(request)}

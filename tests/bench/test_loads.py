"""The load client against the scripted upstream: what is counted, and what is called wrong."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from bench import answers
from bench.batch import Ask, Batch
from bench.http import NUMBER
from bench.loads import load_of
from bench.upstream import Connection

USAGE = {"stream_options": {"include_usage": True, "continuous_usage_stats": True}}


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(lambda: Connection(0.001), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


def chat(**members: object) -> Ask:
    return Ask({"model": answers.MODEL, "messages": [{"role": "user", "content": NUMBER}], **members})


async def test_a_closed_loop_sends_what_it_was_told_to(port: int) -> None:
    asks = [chat(), Ask(chat().body, label="other", says="Eight words")]
    outcome = await load_of(Batch(port, asks, within_s=10, connections=3, count=21)).run()
    assert outcome.errors == {}
    assert (outcome.answered, outcome.opened) == (21, 3)
    assert {len(outcome.of(label).latencies_ms) for label in ("", "other")} == {10, 11}
    assert outcome.of().events == 0
    assert outcome.of().first_ms == []


async def test_streams_have_a_first_event_and_gaps(port: int) -> None:
    ask = Ask({**chat(stream=True, max_tokens=7).body, **USAGE}, pieces=7)
    outcome = await load_of(Batch(port, [ask], within_s=10, connections=2, count=4)).run()
    assert outcome.errors == {}
    seen = outcome.of()
    assert (seen.answered, seen.events) == (4, 4 * (7 + 2))  # usage and the end beside the seven
    assert len(seen.first_ms) == 4
    assert len(seen.gaps_ms) == 4 * (7 + 2 - 1)
    assert all(first <= whole for first, whole in zip(seen.first_ms, seen.latencies_ms, strict=True))


async def test_an_open_loop_waits_for_no_answer(port: int) -> None:
    """Each stream takes 0.2 s and more: at 200 a second there are many at once, on connections of their own."""
    ask = Ask({**chat(stream=True, max_tokens=200).body, **USAGE}, pieces=200)
    outcome = await load_of(Batch(port, [ask], within_s=30, seconds=0.3, rate=200.0)).run()
    assert outcome.errors == {}
    assert outcome.answered == len(outcome.late_ms) > 20
    assert outcome.opened > 10


async def test_wrong_answers_are_told_apart(port: int) -> None:
    unknown = Ask({"model": "nobody's"}, statuses=(400,))
    asks = [chat(), Ask({"model": "nobody's"}), unknown, Ask(chat().body, says="nine words")]
    outcome = await load_of(Batch(port, asks, within_s=10, count=4)).run()
    assert outcome.answered == 2
    assert sorted(outcome.errors) == [
        "'nine words' was there 0 times where 1 was expected",
        'status 400: {"error":{"message":"not what the bench sends"}}',
    ]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (lambda events: events[:2] + events[3:], "4 pieces were there where 5 were expected"),
        (lambda events: events[:2] + events[1:], "6 pieces were there where 5 were expected"),
        (lambda events: [events[1], events[0], *events[2:]], "piece 2 was there where 1 was expected"),
        (lambda events: [*events[:4], events[3], *events[5:]], "piece 4 was there where 5 was expected"),
        (lambda events: [events[0].replace(b"00001", b"0000!"), *events[1:]], "4 pieces were there"),
    ],
    ids=["missing", "extra", "reordered", "doubled", "changed"],
)
async def test_a_stream_with_another_piece_is_wrong(
    monkeypatch: pytest.MonkeyPatch, port: int, changed: Callable[[list[bytes]], list[bytes]], said: str
) -> None:
    writes = answers.stream_writes(5)
    head = answers.stream_head("text/event-stream; charset=utf-8")
    events = [writes[0].removeprefix(head), *writes[1:5]]
    monkeypatch.setattr(answers, "stream_writes", lambda _: (head, *changed(events), *writes[5:]))
    ask = Ask({**chat(stream=True, max_tokens=5).body, **USAGE}, pieces=5)
    outcome = await load_of(Batch(port, [ask], within_s=10, count=1)).run()
    assert outcome.answered == 0
    assert [text.startswith(said) for text in outcome.errors] == [True]


@pytest.mark.parametrize("head", [b"connection: close\r\n", b""])
async def test_a_server_that_closes_is_asked_on_another_connection_where_it_said_so(head: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n%scontent-length: 2\r\n\r\n{}" % head)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        outcome = await load_of(Batch(port, [chat()], within_s=10, count=3)).run()
    assert outcome.answered == 3 if head else outcome.errors
    assert outcome.opened == 3 or not head

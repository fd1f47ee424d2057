"""The hold filter in the real Envoy: which attempts are followed by another one, and what a client receives."""

from collections.abc import Iterator

import pytest
from scripted import END, HEAD, HEADERS_MS, RESET, TOKEN, Holding, Script

GOOD: Script = [HEAD, TOKEN, END]
BEYOND_S = HEADERS_MS / 1000 * 1.5  # longer than the time for headers


@pytest.fixture(scope="module")
def holding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Holding]:
    with Holding(tmp_path_factory.mktemp("hold")) as running:
        yield running


def is_good(received: list[bytes]) -> bool:
    text = b"".join(received)
    return text.startswith(b"HTTP/1.1 200 OK\r\n") and text.endswith(TOKEN + END)


@pytest.mark.parametrize("pause_s", [0.0, 0.3])
@pytest.mark.parametrize("kind", ["streams", "whole"])
def test_a_reset_after_the_head_is_followed_by_another_attempt(holding: Holding, kind: str, pause_s: float) -> None:
    broken: Script = [HEAD, pause_s, RESET]
    assert is_good(holding.ask(getattr(holding, kind), broken, broken, GOOD))
    assert holding.upstream.asked == 3


def test_a_stream_that_begins_late_is_waited_for(holding: Holding) -> None:
    """The head goes on before the time for headers is up; the client has it while there is no token."""
    received = holding.ask(holding.streams, [HEAD, BEYOND_S, TOKEN, END])
    assert is_good(received)
    assert received[0].endswith(b"\r\n\r\n")
    assert holding.upstream.asked == 1


def test_a_reset_after_the_head_has_gone_cuts(holding: Holding) -> None:
    received = b"".join(holding.ask(holding.streams, [HEAD, BEYOND_S, RESET], GOOD))
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert not received.endswith(END)
    assert holding.upstream.asked == 1


def test_a_head_without_which_nothing_came_in_time_is_none(holding: Holding) -> None:
    assert is_good(holding.ask(holding.streams, [BEYOND_S, *GOOD], GOOD))
    assert holding.upstream.asked == 2


def test_a_whole_answer_is_held_without_a_limit(holding: Holding) -> None:
    assert is_good(holding.ask(holding.whole, [HEAD, BEYOND_S, RESET], [HEAD, BEYOND_S, TOKEN, END]))
    assert holding.upstream.asked == 2


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


PING = chunk(b": ping\n\n")
FINISH = b'data: {"choices":[{"finish_reason":"stop"}]}'


def test_a_stream_to_translate_is_marked_and_held_until_it_has_begun(holding: Holding) -> None:
    begun = chunk(FINISH + b"\n\n")
    received = b"".join(holding.ask(holding.translated, [HEAD, PING, 0.2, RESET], [HEAD, PING, begun, END]))
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"x-headgate-translate: 1\r\n" in received
    assert b": ping\n" in received
    assert holding.upstream.asked == 2


@pytest.mark.parametrize("before", [[], [PING, 0.05]], ids=["alone", "behind others"])
@pytest.mark.parametrize(
    ("rest", "status"),
    [
        ([chunk(FINISH), 0.05, END], b"200 OK"),
        ([chunk(FINISH) + END], b"200 OK"),
        ([chunk(FINISH), b"0\r\nx-t: 1\r\n\r\n"], b"200 OK"),
        ([chunk(b'data: {"error":{"message":"m",'), 0.05, chunk(b'"code":429}}\n\n'), END], b"429 Too Many Requests"),
        ([chunk(b'data: {"error":{"code":429}}'), END], b"429 Too Many Requests"),
    ],
    ids=["end", "end at once", "trailers", "limit in two pieces", "limit at the end"],
)
def test_a_stream_to_translate_is_what_its_last_event_says(
    holding: Holding, before: Script, rest: Script, status: bytes
) -> None:
    """Also where nothing ends that event."""
    received = b"".join(holding.ask(holding.translated, [HEAD, *before, *rest]))
    assert received.startswith(b"HTTP/1.1 " + status + b"\r\n")
    assert holding.upstream.asked == 1


@pytest.mark.parametrize(
    "failing",
    [
        chunk(b'data: {"error":{"code":503}}\n\n'),
        chunk(b'data: {"choices":[{"delta":{"content":"Hi"}}]\n\n'),
        chunk(b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":"Hi"}}\n\n'),
        END,
        b"0\r\nx-t: 1\r\n\r\n",
    ],
    ids=["error", "bad JSON", "wrong order", "end", "trailers"],
)
def test_a_stream_to_translate_that_fails_before_its_beginning_is_followed(holding: Holding, failing: bytes) -> None:
    good: Script = [HEAD, chunk(FINISH + b"\n\n"), END]
    received = b"".join(holding.ask(holding.translated, [HEAD, PING, 0.05, failing], good))
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert holding.upstream.asked == 2


@pytest.mark.parametrize(
    ("rest", "ending"),
    [
        ([TOKEN + END], TOKEN + END),
        ([TOKEN, 0.05, TOKEN, 0.05, END], b"token\r\n" + END),
        ([END], b"\r\n\r\n0\r\n\r\n"),
        ([b"0\r\nx-t: 1\r\n\r\n"], b"0\r\nx-t: 1\r\n\r\n"),
        ([TOKEN, b"0\r\nx-t: 1\r\n\r\n"], TOKEN + b"0\r\nx-t: 1\r\n\r\n"),
    ],
    ids=["at once", "in pieces", "empty", "trailers alone", "trailers"],
)
@pytest.mark.parametrize("kind", ["streams", "whole"])
def test_however_an_answer_goes_on(holding: Holding, kind: str, rest: Script, ending: bytes) -> None:
    received = b"".join(holding.ask(getattr(holding, kind), [HEAD, 0.05, *rest]))
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert received.endswith(ending)
    assert holding.upstream.asked == 1


@pytest.mark.parametrize("kind", ["streams", "whole"])
def test_an_answer_of_no_length(holding: Holding, kind: str) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    received = b"".join(holding.ask(getattr(holding, kind), [head]))
    assert b"content-length: 0\r\n" in received
    assert received.endswith(b"\r\n\r\n")


def test_an_error_goes_on_at_once(holding: Holding) -> None:
    """No byte of its body is waited for."""
    head = b"HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\n\r\n"
    received = holding.ask(holding.whole, [head, 0.5, b"token"])
    assert received[0].endswith(b"\r\n\r\n")
    assert b"".join(received).endswith(b"token")

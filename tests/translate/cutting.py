"""Feeds a decoder the same bytes in every cut and asserts that it makes no difference."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from extproc.translate.direction import StreamDecoder
from extproc.translate.failure import Failure


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a decoder made of a stream."""

    output: bytes
    started: bool
    failure: Failure | None


def fed(decoder: StreamDecoder, pieces: Iterable[bytes]) -> Outcome:
    """Feeds the pieces and the end; asserts what the interface promises on the way."""
    output = b""
    for piece in pieces:
        had_failed, had_started = decoder.failure is not None, decoder.started
        more = decoder.feed(piece)
        assert not (had_failed and more), "a decoder that has failed is done"
        assert not (decoder.failure and not decoder.started and more), "failed before the start, but says something"
        assert not (had_started and not decoder.started), "a started answer cannot be taken back"
        output += more
    had_failed = decoder.failure is not None
    rest = decoder.end()
    assert not (had_failed and rest), "a decoder that has failed is done"
    return Outcome(output + rest, decoder.started, decoder.failure)


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """Whole, byte by byte, cut in two at every index, and in pieces of a few bytes."""
    yield [data]
    yield [bytes([byte]) for byte in data]
    for at in range(1, len(data)):
        yield [data[:at], data[at:]]
    for size in (2, 3, 7, 64, 1000):
        yield [data[at : at + size] for at in range(0, len(data), size)]


def same_however_cut(new: Callable[[], StreamDecoder], data: bytes) -> Outcome:
    """The outcome, which every cut of the bytes must have."""
    outcomes = [(pieces, fed(new(), pieces)) for pieces in cuts(data)]
    _, whole = outcomes[0]
    for pieces, outcome in outcomes[1:]:
        assert outcome == whole, f"differs when cut as {[piece[-40:] for piece in pieces][:2]}"
    return whole

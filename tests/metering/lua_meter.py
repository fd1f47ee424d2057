"""envoy/metering.lua in LuaJIT, as Envoy runs it: bytes in, bytes out."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from lupa.luajit21 import LuaRuntime

SOURCE = Path(__file__).parents[2] / "envoy" / "metering.lua"
RUNTIME = LuaRuntime(encoding=None)
_FILE = RUNTIME.execute(SOURCE.read_bytes() + b"\nreturn {sse=new_sse_meter, json=new_json_meter, counts=counts_of}")

Counts = tuple[int | None, int | None, int | None, int | None]  # prompt, completion, cached, reasoning


class Metered(NamedTuple):
    """What a client receives and what the access log is told."""

    out: bytes
    counts: Counts
    content_events: int
    content_bytes: int


def sse(
    frames: Iterable[bytes], *, hide_chunk: bool = False, hide_member: bool = False, choices: int | None = None
) -> Metered:
    """A stream through a meter of its own, ended by the empty frame that Envoy sends last."""
    return _through(_FILE[b"sse"](hide_chunk, hide_member, choices), frames)


def sse_untouched(frames: Iterable[bytes], *, hide: bool = False) -> list[bool]:
    """For each frame, the last empty one included, whether the meter leaves it alone."""
    feed = _FILE[b"sse"](hide, hide)[b"feed"]
    return [feed(frame) is None for frame in (*frames, b"")]


def json_body(frames: Iterable[bytes]) -> Metered:
    """A JSON body through a meter of its own."""
    return _through(_FILE[b"json"](), frames)


def counts_of(usage: bytes) -> Counts:
    """The numbers of a usage object."""
    return _padded(_FILE[b"counts"](usage))


def memory_bytes() -> int:
    """What the interpreter holds after a full collection."""
    RUNTIME.execute(b"collectgarbage() collectgarbage()")
    return int(RUNTIME.eval(b"collectgarbage('count')") * 1024)


def json_meter_feed() -> Any:
    """The feed function of a new JSON meter."""
    return _FILE[b"json"]()[b"feed"]


def sse_meter_feed(*, hide: bool) -> Any:
    """The feed function of a new stream meter."""
    return _FILE[b"sse"](hide, hide)[b"feed"]


def bytewise(text: bytes) -> list[bytes]:
    """One frame for each byte."""
    return [text[at : at + 1] for at in range(len(text))]


def halves(text: bytes) -> Iterator[list[bytes]]:
    """The text in two frames, cut at every index."""
    return ([text[:at], text[at:]] for at in range(1, len(text)))


def framed(text: bytes, size: int) -> list[bytes]:
    """Frames of one size."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def _through(meter: Any, frames: Iterable[bytes]) -> Metered:
    feed, sent = meter[b"feed"], []
    for frame in (*frames, b""):
        replacement = feed(frame)
        sent.append(frame if replacement is None else replacement)
    prompt, completion, cached, reasoning = counts_of(meter[b"usage"] or b"")
    summed = meter[b"completion"]  # of several choices
    counts = (prompt, completion if summed is None else summed, cached, reasoning)
    return Metered(b"".join(sent), counts, meter[b"content_events"], meter[b"content_bytes"])


def _padded(values: tuple[int | None, ...]) -> Counts:
    prompt, completion, cached, reasoning = values
    return prompt, completion, cached, reasoning

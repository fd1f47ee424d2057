"""The metering filter of envoy/module, called as Envoy calls it: built with sanitizers behind stand_in.c.

A read or write out of bounds, an overflow or a leak ends that process, and the test with it.
"""

import atexit
import contextlib
import functools
import struct
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from hatch_build import MODULE_SOURCES, compiler
from headgate.contract import MAX_TOKENS, REQUEST_ID

HERE = Path(__file__).parent
SANITIZERS = (
    ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    ["-fsanitize=undefined", "-fsanitize-trap=undefined"],  # where a compiler comes without AddressSanitizer
)
WRAPPED = [f"-Wl,--wrap={name}" for name in ("malloc", "calloc", "realloc", "free")]

SSE = {":status": "200", "content-type": "text/event-stream; charset=utf-8"}
JSON = {":status": "200", "content-type": "Application/JSON"}
CHAT = {"endpoint": "/chat/completions", "surface": "chat"}
MESSAGES = {"endpoint": "/messages", "surface": "messages"}
RESPONSES = {"endpoint": "/responses", "surface": "responses"}

Frame = bytes | Sequence[bytes]  # one piece, or several
Number = int | None
Counts = tuple[Number, Number, Number, Number, Number]  # in the order of COUNTED
COUNTED = ("prompt", "completion", "cached", "cache_write", "reasoning")


class Metered(NamedTuple):
    """What a client receives and what the access log is told."""

    out: bytes
    counts: Counts
    content_events: int
    content_bytes: int


@dataclass(frozen=True)
class Answer:
    """One answer that has passed the filter."""

    frames: list[bytes]  # what became of each frame
    touched: list[bool]  # whether the filter changed it
    trailing: bytes  # sent in front of the trailers
    line: bytes  # what the spool's line is told in the end
    reset: bool
    headers: dict[str, str]
    history: list[tuple[int, str, int | None]]  # frame, key, number: every metadata write
    unmetered: int  # the two counters
    unhidden: int
    peak_bytes: int  # of memory
    allocations: int
    asked: bytes = b""  # the request's body, as it goes on
    refused: bool = False  # the request
    asked_headers: tuple[tuple[str, str], ...] = ()

    @property
    def out(self) -> bytes:
        """The body that the client receives."""
        return b"".join(self.frames) + self.trailing

    @property
    def log(self) -> dict[str, int | None]:
        """What an access log line has at the end."""
        return {key: value for _, key, value in self.history}

    @property
    def metered(self) -> Metered:
        """Body and counts."""
        log = self.log
        prompt, completion, cached, cache_write, reasoning = (log.get(name) for name in COUNTED)
        counts = (prompt, completion, cached, cache_write, reasoning)
        return Metered(self.out, counts, log.get("events") or 0, log.get("bytes") or 0)


def answer(
    headers: dict[str, str],
    request: dict[str, Any] | None,
    frames: Iterable[Frame],
    *,
    trailers: bool = False,
    fail_at: int = 0,
    keeps_failing: bool = False,
    asks: Sequence[Frame] = (),
    granted: Sequence[str] = (),
    request_id: str | None = None,
) -> Answer:
    """Passes an answer; the last frame ends it unless there are `trailers`. Allocation number `fail_at` fails.

    Before it passes a request with the body `asks`, and the limiter's header for each in `granted`.
    """
    request, pieces = request or {}, [[frame] if isinstance(frame, bytes) else frame for frame in frames]
    message = [b"f" if keeps_failing else b"o", _number(fail_at), _number(trailers)]
    asking = [(":path", "/"), *((MAX_TOKENS, value) for value in granted)]
    asking += [(REQUEST_ID, request_id)] if request_id is not None else []
    for pairs in (asking, list(headers.items())):
        message += [_number(len(pairs)), *(_bytes(text.encode()) for item in pairs for text in item)]
    message += [_number(len(request)), *(_member(key, value) for key, value in request.items())]
    given = [[frame] if isinstance(frame, bytes) else frame for frame in asks]
    for body in (given, pieces):
        message += [_number(len(body))]
        for frame in body:
            message += [_number(len(frame)), *map(_bytes, frame)]
    return _parsed(_process().ask(b"".join(message)), len(given), len(pieces))


def settings(
    *, hide_chunk: bool = False, hide_member: bool = False, choices: int | None = None, prompts: int | None = None
) -> dict[str, Any]:
    """A chat request's metadata, as extproc writes it: only what is true, or more than one."""
    asked = {"hide_usage_chunk": hide_chunk, "hide_usage_member": hide_member, "answers": choices, "prompts": prompts}
    return CHAT | {key: value for key, value in asked.items() if value}


def sse(frames: Iterable[Frame], **asked: Any) -> Metered:
    """A stream ended by an empty frame, as HTTP/1.1 does."""
    return answer(SSE, settings(**asked), [*frames, b""]).metered


def sse_untouched(frames: Iterable[Frame], *, hide: bool = False) -> list[bool]:
    """For each frame, the last empty one included, whether the meter leaves it alone."""
    touched = answer(SSE, settings(hide_chunk=hide, hide_member=hide), [*frames, b""]).touched
    return [not one for one in touched]


def json_body(frames: Iterable[Frame]) -> Metered:
    """A JSON body."""
    return answer(JSON, CHAT, [*frames, b""]).metered


def messages(frames: Iterable[Frame], **ends: Any) -> Metered:
    """An event stream of Anthropic's API for a client that speaks it: never changed."""
    frames = [*frames, b""]
    passed = answer(SSE, MESSAGES, frames, **ends)
    assert not any(passed.touched)
    return passed.metered


def message(frames: Iterable[Frame]) -> Metered:
    """A JSON body of Anthropic's API."""
    return answer(JSON, MESSAGES, [*frames, b""]).metered


def responses(frames: Iterable[Frame], **ends: Any) -> Metered:
    """An event stream of OpenAI's Responses API: never changed."""
    passed = answer(SSE, RESPONSES, [*frames, b""], **ends)
    assert not any(passed.touched)
    return passed.metered


def response(frames: Iterable[Frame], surface: str = "responses") -> Metered:
    """A JSON body of it."""
    return answer(JSON, {**RESPONSES, "surface": surface}, [*frames, b""]).metered


def counts_of(usage: bytes) -> Counts:
    """The numbers of a usage object."""
    return json_body([b'{"usage":' + usage + b"}"]).counts


def bytewise(text: bytes) -> list[bytes]:
    """One frame for each byte."""
    return [text[at : at + 1] for at in range(len(text))]


def halves(text: bytes) -> Iterator[list[bytes]]:
    """The text in two frames, cut at every index."""
    return ([text[:at], text[at:]] for at in range(1, len(text)))


def framed(text: bytes, size: int) -> list[bytes]:
    """Frames of one size."""
    return [text[at : at + size] for at in range(0, len(text), size)]


# The process --------------------------------------------------------------------------------------------------------


class _Process:
    """The stand-in, built and started once."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory()
        program = Path(self._folder.name) / "stand_in"
        _build(program)
        self._errors = (Path(self._folder.name) / "stderr").open("w+b")
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
        )
        atexit.register(self.close)

    def ask(self, message: bytes) -> bytes:
        """The answer to one request; AssertionError with the sanitizer's words where the process ended."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin
        assert stdout
        try:
            stdin.write(message)
            stdin.flush()
        except BrokenPipeError:
            self._failed()
        size = stdout.read(4)
        if len(size) < 4:
            self._failed()
        return stdout.read(struct.unpack("=I", size)[0])

    def _failed(self) -> None:
        self.close()
        self._errors.seek(0)
        _process.cache_clear()
        raise AssertionError(f"exit {self._process.returncode}: {self._errors.read().decode(errors='replace')}")

    def close(self) -> None:
        """End it: the sanitizers look for leaks now."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        self._process.wait(20)


@functools.cache
def _process() -> _Process:
    return _Process()


def _build(program: Path) -> None:
    sources = [HERE / "stand_in.c", *MODULE_SOURCES]
    flags = ["-std=gnu11", "-pthread", "-g", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{MODULE_SOURCES[0].parent}"]
    found = None
    for sanitizers in SANITIZERS:
        command = [*compiler(), *flags, *sanitizers, *sources, *WRAPPED, "-o", program]
        found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if found.returncode == 0:
            return
    raise AssertionError(found and found.stderr)


# The format ---------------------------------------------------------------------------------------------------------


def _number(value: int) -> bytes:
    return struct.pack("=I", value)


def _bytes(text: bytes) -> bytes:
    return _number(len(text)) + text


def _member(key: str, value: bool | float | str) -> bytes:
    name = _bytes(key.encode())
    if isinstance(value, bool):
        return name + _number(0) + struct.pack("=d", value)
    if isinstance(value, int | float):
        return name + _number(1) + struct.pack("=d", value)
    return name + _number(2) + _bytes(value.encode())


class _Reader:
    def __init__(self, text: bytes) -> None:
        self._text, self._at = text, 0

    def number(self) -> int:
        return int(self._take("=I"))

    def double(self) -> int | None:
        value: float = self._take("=d")
        return None if value != value else int(value)  # NaN: unknown

    def bytes(self) -> bytes:
        length = self.number()
        self._at += length
        return self._text[self._at - length : self._at]

    def pair(self) -> tuple[str, str]:
        return self.bytes().decode(), self.bytes().decode()

    def _take(self, kind: str) -> Any:
        (value,) = struct.unpack_from(kind, self._text, self._at)
        self._at += struct.calcsize(kind)
        return value


def _parsed(text: bytes, asked: int, frames: int) -> Answer:
    reader = _Reader(text)
    body = b"".join(reader.bytes() for _ in range(asked))
    passed = [(bool(reader.number()), reader.bytes()) for _ in range(frames)]
    return Answer(
        frames=[frame for _, frame in passed],
        touched=[touched for touched, _ in passed],
        trailing=reader.bytes(),
        line=reader.bytes(),
        reset=bool(reader.number()),
        asked=body,
        refused=bool(reader.number()),
        asked_headers=tuple(reader.pair() for _ in range(reader.number())),
        headers=dict(reader.pair() for _ in range(reader.number())),
        history=[(reader.number(), reader.bytes().decode(), reader.double()) for _ in range(reader.number())],
        unmetered=reader.number(),
        unhidden=reader.number(),
        peak_bytes=reader.number(),
        allocations=reader.number(),
    )

"""Whether a stream of Amazon's frames has begun, or says that it will not: as the decoder of extproc has it."""

import struct
import zlib
from typing import Any

import pytest
from beginning import BEGUN, BROKEN_OFF, FAILED, LIMITED, NOT_YET, Beginning
from framed import beginning_of, however_cut
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.translate.direction import Known
from extproc.translate.openai_bedrock import OpenAIToBedrock
from tests.translate.bedrock_frames import (
    ENDED,
    METADATA,
    START,
    WORD,
    delta,
    error,
    event,
    exception,
    frame,
    stop,
    tool,
)

TYPED = {"a": b"\x00", "b": b"\x01", "c": b"\x02x", "d": b"\x03xx", "e": b"\x04xxxx", "f": b"\x05xxxxxxxx",
         "g": b"\x06\x00\x03xxx", "h": b"\x08xxxxxxxx", "i": b"\x09xxxxxxxxxxxxxxxx"}  # fmt: skip
HEADERS: dict[str, Any] = {"event_type": "contentBlockDelta", "message_type": "event"}
TWICE: dict[str, Any] = {"event-type": "messageStart", "message_type": "event"}
SAYS = b'{"contentBlockIndex":0,"delta":{"text":"Hi"},"p":"abcd"}'

SIGNS: dict[str, tuple[bytes, Beginning]] = {
    "nothing": (b"", NOT_YET),
    "the start": (START, NOT_YET),
    "text": (START + WORD, BEGUN),
    "empty text": (START + delta(text=""), NOT_YET),
    "thinking": (START + delta(reasoningContent={"text": "Hm"}), BEGUN),
    "a signature": (START + delta(reasoningContent={"signature": "Eq"}), BEGUN),
    "hidden thinking": (START + delta(reasoningContent={"redactedContent": "RXE="}), BEGUN),
    "no thinking": (START + delta(reasoningContent={"text": ""}), NOT_YET),
    "a tool": (START + tool("f"), BEGUN),
    "the provider's own tool": (START + tool("f", type="server_tool_use"), NOT_YET),
    "a citation": (START + delta(citation={"title": "t"}), BEGUN),
    "a block's start": (START + event("contentBlockStart", contentBlockIndex=0, start={}), NOT_YET),
    "text elsewhere": (START + event("contentBlockDelta", text="Hi", x={"delta": {"text": "Hi"}}), NOT_YET),
    "text of a list": (START + event("contentBlockDelta", delta=[{"text": "Hi"}], contentBlockIndex=0), NOT_YET),
    "the end": (START + ENDED, BEGUN),
    "an end of a broken answer": (START + event("messageStop", stopReason="malformed_tool_use"), FAILED),
    "an end without a reason": (START + event("messageStop"), BROKEN_OFF),
    "usage": (START + METADATA, NOT_YET),
    "another event": (START + event("hologram", delta={"text": "Hi"}) + frame(b"x", **HEADERS | {"event_type": "x"}),
                      NOT_YET),
    "no start": (WORD, BROKEN_OFF),
    "two starts": (START + START, BROKEN_OFF),
    "bad JSON": (START + frame(SAYS[:-1], **HEADERS), BROKEN_OFF),
    "every type of header": (START + frame(SAYS, **TYPED, **HEADERS), BEGUN),
    "an unknown type of header": (START + frame(SAYS, a=b"\x0a", **HEADERS), BROKEN_OFF),
    "a header that ends behind the headers": (START + frame(SAYS, **HEADERS, a=b"\x07\x00\x05abc"), BROKEN_OFF),
    "a header without a value": (START + frame(SAYS, **HEADERS, a=b""), BROKEN_OFF),
    "a name that comes twice": (frame(SAYS, event_type="x", **TWICE), NOT_YET),
    "throttling": (exception("throttlingException", message="m"), LIMITED),
    "throttling after the start": (START + exception("throttlingException", message="m"), LIMITED),
    "another exception": (exception("serviceUnavailableException", message="m"), FAILED),
    "an exception without a body": (frame(b"", message_type="exception", exception_type="x"), FAILED),
    "a model's error": (exception("modelStreamErrorException", message="m", originalStatusCode=424), FAILED),
    "a model's limit": (exception("modelStreamErrorException", message="m", originalStatusCode=429), LIMITED),
    "a limit in words": (exception("validationException", message='throttlingException "x":429'), FAILED),
    "an error": (error("x", "m"), FAILED),
    "another kind of message": (frame(b"x", message_type="hologram"), NOT_YET),
    "events of text": (b'event: x\ndata: {"choices": []}\n\n', BROKEN_OFF),
    "a sum that is wrong": (START + WORD[:-1] + bytes([WORD[-1] ^ 1]), BROKEN_OFF),
    "a prelude whose sum is wrong": (START + WORD[:8] + bytes([WORD[8] ^ 1]) + WORD[9:], BROKEN_OFF),
}  # fmt: skip


def test_every_sign_cut_at_every_index() -> None:
    found = however_cut([stream for stream, _ in SIGNS.values()])
    assert dict(zip(SIGNS, found, strict=True)) == {name: expected for name, (_, expected) in SIGNS.items()}


def test_a_frame_counts_at_its_end() -> None:
    parts = [stream[:-1] for stream in (START + WORD, exception("x"), error("x", "m"))]
    assert set(however_cut(parts)) == {NOT_YET}


def sized(length: int, headers: int) -> bytes:
    front = struct.pack(">II", length, headers)
    return front + struct.pack(">I", zlib.crc32(front))


@pytest.mark.parametrize(
    ("length", "headers"),
    [(0, 0), (15, 0), (16, 1), (2**32 - 1, 0), (16 + 24 * 2**20 + 1, 0), (2**31, 2**31), (2**20, 128 * 1024 + 1)],
)
def test_a_size_that_cannot_be_ends_it(length: int, headers: int) -> None:
    assert beginning_of(sized(length, headers)) == BROKEN_OFF
    decoder = OpenAIToBedrock().stream(Known("r", 1))
    decoder.feed(sized(length, headers))
    assert decoder.failure


def test_what_says_nothing_for_long_counts_as_begun() -> None:
    idle = event("hologram", x="y" * 200)
    assert beginning_of(*[idle] * (65_536 // len(idle))) == NOT_YET
    assert beginning_of(*[idle] * (65_536 // len(idle) + 1)) == BEGUN
    assert beginning_of(sized(2**20, 100), b"\x7f" * 70_000) == BEGUN


# Members of another type than the API's are for the decoder alone to see.
PARTS = [START, WORD, ENDED, METADATA, stop(), *(one for name, (one, _) in SIGNS.items() if "of a list" not in name)]
# Of these the decoder says that they make no sense; that is not looked for.
NOT_LOOKED_FOR = ("where none can start", "that has not started")


@settings(deadline=None, max_examples=400)
@given(st.data())
def test_the_decoder_says_the_same(drawn: st.DataObject) -> None:
    """Piece by piece of any stream, whole frames or not, be there bytes that are wrong."""
    stream = bytearray(b"".join(drawn.draw(st.lists(st.sampled_from(PARTS), max_size=5))))
    for _ in range(drawn.draw(st.integers(0, 2))):
        if stream:
            stream[drawn.draw(st.integers(0, len(stream) - 1))] ^= drawn.draw(st.sampled_from([0, 1, 128]))
    at = sorted(drawn.draw(st.lists(st.integers(0, len(stream)), max_size=3)))
    pieces = [bytes(stream[a:b]) for a, b in zip([0, *at], [*at, len(stream)], strict=True)]
    decoder = OpenAIToBedrock().stream(Known("r", 1))
    for number, piece in enumerate(pieces, 1):
        decoder.feed(piece)
        found = beginning_of(*pieces[:number])
        failure = decoder.failure
        if failure and any(words in failure.message for words in NOT_LOOKED_FOR):
            return
        if failure and not decoder.started:
            limits = failure.kind == "rate_limit"
            assert found is LIMITED if limits else found in (BROKEN_OFF, FAILED)
        elif decoder.started:
            assert found is BEGUN
        else:
            assert found is NOT_YET
        if found is not NOT_YET:
            return

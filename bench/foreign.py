"""Streams of providers with other APIs, in bytes made beforehand, and where each of them is asked for. Pure.

All are alike but for their API: as many events with content, each a write of its own, the first behind what opens the
stream, and the end in one write more.
"""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from bench.answers import LAST_CHUNK, MODEL, PROMPT_TOKENS, framed, piece, stream_head

_MESSAGE_ID = "msg_01XFDUDYJgAACzvnptvVoYEL"
_FRAMES = stream_head("application/vnd.amazon.eventstream")
_EVENTS = stream_head("text/event-stream; charset=utf-8")


@dataclass(frozen=True, slots=True)
class Foreign:
    """A provider's API. `length` is the member of a request that says how many events with content to write.

    `names_model` is whether the request's body has the model's name; the path has it otherwise.
    """

    api: str
    path: str
    length: str
    names_model: bool
    writes: Callable[[int], tuple[bytes, ...]]


@lru_cache(maxsize=16)
def anthropic_writes(chunks: int) -> tuple[bytes, ...]:
    """A message of Anthropic's API."""
    usage = f'{{"input_tokens":{PROMPT_TOKENS},"output_tokens":1}}'
    message = (
        f'{{"id":"{_MESSAGE_ID}","type":"message","role":"assistant","model":"{MODEL}","content":[],'
        f'"stop_reason":null,"stop_sequence":null,"usage":{usage}}}'
    )
    opening = _typed("message_start", f'"message":{message}')
    opening += _typed("content_block_start", '"index":0,"content_block":{"type":"text","text":""}')
    deltas = [
        _typed("content_block_delta", f'"index":0,"delta":{{"type":"text_delta","text":"{text}"}}')
        for text in _pieces(chunks)
    ]
    closing = _typed("content_block_stop", '"index":0')
    reason = '"delta":{"stop_reason":"end_turn","stop_sequence":null}'
    closing += _typed("message_delta", f'{reason},"usage":{{"output_tokens":{chunks}}}')
    closing += _typed("message_stop")
    return _writes(_EVENTS, opening, deltas, closing)


@lru_cache(maxsize=16)
def gemini_writes(chunks: int) -> tuple[bytes, ...]:
    """Answers of streamGenerateContent, each with the usage so far; the last one has the reason to end."""
    deltas = [_gemini_event(text, number) for number, text in enumerate(_pieces(chunks), 1)]
    return _writes(_EVENTS, b"", deltas, _gemini_event("", chunks, '"finishReason":"STOP",'))


@lru_cache(maxsize=16)
def bedrock_writes(chunks: int) -> tuple[bytes, ...]:
    """Frames of ConverseStream, with the padding (`p`) that Amazon adds to their payloads."""
    opening = _frame("messageStart", '{"p":"abcdefghijkl","role":"assistant"}')
    deltas = [
        _frame("contentBlockDelta", f'{{"contentBlockIndex":0,"delta":{{"text":"{text}"}},"p":"abcdefghijklmno"}}')
        for text in _pieces(chunks)
    ]
    usage = f'"inputTokens":{PROMPT_TOKENS},"outputTokens":{chunks},"totalTokens":{PROMPT_TOKENS + chunks}'
    closing = _frame("contentBlockStop", '{"contentBlockIndex":0,"p":"abcdef"}')
    closing += _frame("messageStop", '{"p":"abcdefghij","stopReason":"end_turn"}')
    closing += _frame("metadata", f'{{"metrics":{{"latencyMs":551}},"p":"abcd","usage":{{{usage}}}}}')
    return _writes(_FRAMES, opening, deltas, closing)


@lru_cache(maxsize=16)
def cohere_writes(chunks: int) -> tuple[bytes, ...]:
    """A message of Cohere's v2 chat."""
    message = '{"role":"assistant","content":[],"tool_plan":"","tool_calls":[],"citations":[]}'
    opening = _typed("message-start", f'"id":"c14c80c3-18eb-4519-9460-6c92edd8cfb4","delta":{{"message":{message}}}')
    opening += _typed("content-start", '"index":0,"delta":{"message":{"content":{"type":"text","text":""}}}')
    deltas = [
        _typed("content-delta", f'"index":0,"delta":{{"message":{{"content":{{"text":"{text}"}}}}}}')
        for text in _pieces(chunks)
    ]
    tokens = f'{{"input_tokens":{PROMPT_TOKENS},"output_tokens":{chunks}}}'
    closing = _typed("content-end", '"index":0')
    closing += _typed(
        "message-end",
        f'"delta":{{"finish_reason":"COMPLETE","usage":{{"billed_units":{tokens},"tokens":{tokens}}}}}',
    )
    return _writes(_EVENTS, opening, deltas, closing)


_GEMINI_PATH = f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse"

# The first one is part of every run.
FOREIGN = (
    Foreign("anthropic", "/v1/messages", "max_tokens", names_model=True, writes=anthropic_writes),
    Foreign("gemini", _GEMINI_PATH, "maxOutputTokens", names_model=False, writes=gemini_writes),
    Foreign("bedrock", f"/model/{MODEL}/converse-stream", "maxTokens", names_model=False, writes=bedrock_writes),
    Foreign("cohere", "/v2/chat", "max_tokens", names_model=True, writes=cohere_writes),
)


def _writes(head: bytes, opening: bytes, deltas: list[bytes], closing: bytes) -> tuple[bytes, ...]:
    first, *others = deltas
    return (head + framed(opening + first), *map(framed, others), framed(closing) + LAST_CHUNK)


def _pieces(chunks: int) -> list[str]:
    return [piece(number) for number in range(1, chunks + 1)]


def _typed(kind: str, members: str = "") -> bytes:
    return f'event: {kind}\ndata: {{"type":"{kind}"{"," if members else ""}{members}}}\n\n'.encode()


def _gemini_event(text: str, tokens: int, reason: str = "") -> bytes:
    usage = (
        f'{{"promptTokenCount":{PROMPT_TOKENS},"candidatesTokenCount":{tokens},'
        f'"totalTokenCount":{PROMPT_TOKENS + tokens},'
        f'"promptTokensDetails":[{{"modality":"TEXT","tokenCount":{PROMPT_TOKENS}}}]}}'
    )
    content = f'{{"parts":[{{"text":"{text}"}}],"role":"model"}}'
    return (
        f'data: {{"candidates":[{{"content":{content},{reason}"index":0}}],"usageMetadata":{usage},'
        f'"modelVersion":"{MODEL}","responseId":"Kx0gaf-BL5mnvdIPzYOQ4Ao"}}\r\n\r\n'
    ).encode()


def _frame(name: str, payload: str) -> bytes:
    """A message of application/vnd.amazon.eventstream: 7 is the type of text, sums are CRC32."""
    headers = b"".join(
        struct.pack(">B", len(key)) + key + struct.pack(">BH", 7, len(value)) + value
        for key, value in (
            (b":event-type", name.encode()),
            (b":content-type", b"application/json"),
            (b":message-type", b"event"),
        )
    )
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload.encode()
    return message + struct.pack(">I", zlib.crc32(message))

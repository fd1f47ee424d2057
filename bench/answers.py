"""What the upstream says, in bytes made beforehand: an answer costs it one write per chunk. Pure.

Events look as vLLM writes them with `continuous_usage_stats`: every one ends in the usage so far.
"""

import re
from functools import lru_cache

MODEL = "bench-upstream"
BOUNDED_MODEL = "bench-bounded"  # must be told how long its answer may get
FAILING_MODEL = "bench-failing"  # answers 500
EMBEDDING_MODEL = "bench-embedding"
PROMPT_TOKENS = 12
PIECE = re.compile(rb'" (\d{5})"')  # of a stream, as JSON has it anywhere: with its place
LAST_CHUNK = b"0\r\n\r\n"

_DIMENSIONS = 1536
_ID = "chatcmpl-6fd0c29d3ae14f0b8a5c9a1f6b9f0e11"


@lru_cache(maxsize=16)
def stream_writes(chunks: int) -> tuple[bytes, ...]:
    """The writes of one stream: `chunks` content events, then the usage chunk and the end in one more."""
    content = [framed(_content_event(number, last=number == chunks)) for number in range(1, chunks + 1)]
    content[0] = stream_head("text/event-stream; charset=utf-8") + content[0]
    usage_chunk = _event("[]", _usage(chunks))
    return (*content, framed(usage_chunk) + framed(b"data: [DONE]\n\n") + LAST_CHUNK)


def piece(number: int) -> str:
    """What the content event of that number says: as long as the others, and like none of them.

    So a client sees which one is missing, and nobody takes a stream for a model that says one thing for ever.
    """
    return f" {number:05d}"


def json_answer() -> bytes:
    """A small chat completion, with its head."""
    choice = '{"index":0,"message":{"role":"assistant","content":"Eight words are enough for a small answer."}'
    body = (
        f'{{"id":"{_ID}","object":"chat.completion","created":1760000000,"model":"{MODEL}",'
        f'"choices":[{choice},"logprobs":null,"finish_reason":"stop"}}],"usage":{_usage(8)}}}'
    ).encode()
    return plain_answer(200, body)


@lru_cache(maxsize=1)
def embedding_answer() -> bytes:
    """One vector of 1,536 numbers as text, with its head."""
    numbers = ",".join(f"{(-1) ** at * (at % 997) / 41231:.8f}" for at in range(_DIMENSIONS))
    usage = f'{{"prompt_tokens":{PROMPT_TOKENS},"total_tokens":{PROMPT_TOKENS}}}'
    body = (
        f'{{"object":"list","data":[{{"object":"embedding","index":0,"embedding":[{numbers}]}}],'
        f'"model":"{EMBEDDING_MODEL}","usage":{usage}}}'
    ).encode()
    return plain_answer(200, body)


def plain_answer(status: int, body: bytes) -> bytes:
    """A JSON body with its head."""
    return (
        b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        % (status, b"OK" if status == 200 else b"Refused", len(body))
    ) + body


def stream_head(content_type: str) -> bytes:
    """The head of an answer whose length is not known."""
    return f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n".encode()


def framed(data: bytes) -> bytes:
    """One chunk of the body, as HTTP/1.1 frames it."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def _content_event(number: int, *, last: bool) -> bytes:
    role = '"role":"assistant",' if number == 1 else ""
    finish = '"stop"' if last else "null"
    delta = f'{{{role}"content":"{piece(number)}"}}'
    choice = f'{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}'
    return _event(f"[{choice}]", _usage(number))


def _event(choices: str, usage: str) -> bytes:
    return (
        f'data: {{"id":"{_ID}","object":"chat.completion.chunk","created":1760000000,"model":"{MODEL}",'
        f'"choices":{choices},"usage":{usage}}}\n\n'
    ).encode()


def _usage(tokens: int) -> str:
    total = PROMPT_TOKENS + tokens
    return f'{{"prompt_tokens":{PROMPT_TOKENS},"total_tokens":{total},"completion_tokens":{tokens}}}'

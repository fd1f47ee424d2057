"""What the upstream says, in bytes made beforehand: an answer costs it one write per chunk. Pure.

Events look as vLLM writes them with `continuous_usage_stats`: every one ends in the usage so far; a message's as
Anthropic's API writes them.
"""

from functools import lru_cache

MODEL = "bench-upstream"
PROMPT_TOKENS = 12

_ID = "chatcmpl-6fd0c29d3ae14f0b8a5c9a1f6b9f0e11"
_MESSAGE_ID = "msg_01XFDUDYJgAACzvnptvVoYEL"
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
_LAST_CHUNK = b"0\r\n\r\n"


@lru_cache(maxsize=16)
def stream_writes(chunks: int) -> tuple[bytes, ...]:
    """The writes of one stream: `chunks` content events, then the usage chunk and the end in one more."""
    content = [_framed(_content_event(number, last=number == chunks)) for number in range(1, chunks + 1)]
    content[0] = _STREAM_HEAD + content[0]
    usage_chunk = _event("[]", _usage(chunks))
    return (*content, _framed(usage_chunk) + _framed(b"data: [DONE]\n\n") + _LAST_CHUNK)


@lru_cache(maxsize=16)
def message_writes(chunks: int) -> tuple[bytes, ...]:
    """The writes of one streamed message: `chunks` deltas, the first behind the opening, and the end."""
    usage = f'{{"input_tokens":{PROMPT_TOKENS},"output_tokens":1}}'
    message = (
        f'{{"id":"{_MESSAGE_ID}","type":"message","role":"assistant","model":"{MODEL}","content":[],'
        f'"stop_reason":null,"stop_sequence":null,"usage":{usage}}}'
    )
    opening = _message_event("message_start", f'"message":{message}')
    opening += _message_event("content_block_start", '"index":0,"content_block":{"type":"text","text":""}')
    delta = _message_event("content_block_delta", '"index":0,"delta":{"type":"text_delta","text":" token"}')
    closing = _message_event("content_block_stop", '"index":0')
    reason = '"delta":{"stop_reason":"end_turn","stop_sequence":null}'
    closing += _message_event("message_delta", f'{reason},"usage":{{"output_tokens":{chunks}}}')
    closing += _message_event("message_stop")
    deltas = [_framed(delta)] * chunks
    deltas[0] = _STREAM_HEAD + _framed(opening + delta)
    return (*deltas, _framed(closing) + _LAST_CHUNK)


def json_answer() -> bytes:
    """A small chat completion, with its head."""
    choice = '{"index":0,"message":{"role":"assistant","content":"Eight words are enough for a small answer."}'
    body = (
        f'{{"id":"{_ID}","object":"chat.completion","created":1760000000,"model":"{MODEL}",'
        f'"choices":[{choice},"logprobs":null,"finish_reason":"stop"}}],"usage":{_usage(8)}}}'
    ).encode()
    return plain_answer(200, body)


def plain_answer(status: int, body: bytes) -> bytes:
    """A JSON body with its head."""
    return (
        b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        % (status, b"OK" if status == 200 else b"Refused", len(body))
    ) + body


def _content_event(number: int, *, last: bool) -> bytes:
    role = '"role":"assistant",' if number == 1 else ""
    finish = '"stop"' if last else "null"
    delta = f'{{{role}"content":" token"}}'
    choice = f'{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}'
    return _event(f"[{choice}]", _usage(number))


def _event(choices: str, usage: str) -> bytes:
    return (
        f'data: {{"id":"{_ID}","object":"chat.completion.chunk","created":1760000000,"model":"{MODEL}",'
        f'"choices":{choices},"usage":{usage}}}\n\n'
    ).encode()


def _message_event(kind: str, members: str = "") -> bytes:
    return f'event: {kind}\ndata: {{"type":"{kind}"{"," if members else ""}{members}}}\n\n'.encode()


def _usage(tokens: int) -> str:
    total = PROMPT_TOKENS + tokens
    return f'{{"prompt_tokens":{PROMPT_TOKENS},"total_tokens":{total},"completion_tokens":{tokens}}}'


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)

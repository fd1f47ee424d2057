"""A scripted provider with Cohere's v2 chat, embed and rerank, and with OpenAI's chat where the path is that.

What the prompt says decides: `NAME:503` makes the provider of that name answer so, `NAME:early` makes its stream say
an error before the first word; all others answer well. A request that is none of Cohere's is a 400.
"""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h11
from pydantic import ValidationError
from recorder import Received, Recorder, recorder

from tests.translate.cohere_requests import Chat, Embed, Rerank

BILLED = {"input_tokens": 12.0, "output_tokens": 3.0}
USAGE = {"billed_units": BILLED, "tokens": {"input_tokens": 508.0, "output_tokens": 5.0}, "cached_tokens": 8.0}
OPENAI_USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
OWN_HEADERS = [
    ("x-trial-endpoint-call-limit", "40"),
    ("x-endpoint-monthly-call-limit", "1000"),
    ("x-debug-trace-id", "1"),
    ("num_chars", "60"),
    ("num_tokens", "15"),
]
ERRORS = {
    400: "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292.",
    401: "invalid api token sk-some-of-it",
    422: "invalid request",
    429: "You are using a Trial key, which is limited to 40 API calls / minute.",
    503: "service is overloaded",
}


def words_of(name: str) -> list[str]:
    return ["Hello", f" from {name}", "."]


def stream_of(name: str, *, fails: bool) -> bytes:
    """Its events; one that `fails` does so before its first word."""
    empty = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    error = {"finish_reason": "ERROR", "error": f"{name} broke"}
    texts = [{"content": {"text": word}} for word in words_of(name)]
    events: list[dict[str, Any]] = [
        {"type": "message-start", "id": "c-1", "delta": {"message": empty}},
        {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
        *({"type": "content-delta", "index": 0, "delta": {"message": text}} for text in texts),
        {"type": "content-end", "index": 0},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": USAGE}},
    ]
    if fails:
        events = [*events[:2], {"type": "message-end", "delta": error}]
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)


def openai_of(name: str, *, stream: bool) -> bytes:
    """The same words in OpenAI's API."""
    text = "".join(words_of(name))
    head = {"id": "chatcmpl-1", "created": 1, "model": "m"}
    if not stream:
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        return json.dumps({"object": "chat.completion", **head, "choices": [choice], "usage": OPENAI_USAGE}).encode()
    choices = [
        {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None},
        {"index": 0, "delta": {}, "finish_reason": "stop"},
    ]
    events = [
        *({"object": "chat.completion.chunk", **head, "choices": [choice]} for choice in choices),
        {"object": "chat.completion.chunk", **head, "choices": [], "usage": OPENAI_USAGE},
    ]
    return b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events) + b"data: [DONE]\n\n"


@contextmanager
def cohere_provider(name: str) -> Iterator[Recorder]:
    """Run one on loopback."""

    def answer(
        peer: socket.socket, connection: h11.Connection, request: Received, _: Recorder, __: threading.Event
    ) -> None:
        status, kind, body = _answer_of(name, request)
        length = [] if kind == "text/event-stream" else [("content-length", str(len(body)))]
        head = h11.Response(status_code=status, headers=[("content-type", kind), *length, *OWN_HEADERS])
        for event in (head, h11.Data(body), h11.EndOfMessage()):
            peer.sendall(connection.send(event) or b"")

    with recorder(answer) as found:
        yield found


def _answer_of(name: str, request: Received) -> tuple[int, str, bytes]:
    asked = json.loads(request.body)
    said = json.dumps([asked.get(member) for member in ("messages", "texts", "query")])
    wish = said.split(f"{name}:")[1].split('"')[0] if f"{name}:" in said else ""
    if wish.isdigit():
        return int(wish), "application/json", json.dumps({"id": "e-1", "message": ERRORS[int(wish)]}).encode()
    stream = bool(asked.get("stream"))
    kind = "text/event-stream" if stream else "application/json"
    if request.target.endswith("/chat/completions"):
        return 200, kind, openai_of(name, stream=stream)
    with contextlib.suppress(ValidationError, KeyError):
        return 200, kind, _cohere_of(name, request.target, asked, wish)
    return 400, "application/json", b'{"id":"e-2","message":"invalid request: it is none of this API"}'


def _cohere_of(name: str, target: str, asked: dict[str, Any], wish: str) -> bytes:
    if target.endswith("/v2/embed"):
        vectors = [[0.5, -1.0] for _ in Embed.model_validate(asked).texts]
        meta = {"billed_units": {"input_tokens": 12.0}}
        return json.dumps({"id": "c-1", "embeddings": {"float": vectors}, "meta": meta}).encode()
    if target.endswith("/v2/rerank"):
        results = [
            {"index": at, "relevance_score": 0.5} for at, _ in enumerate(Rerank.model_validate(asked).documents)
        ]
        return json.dumps({"id": "r-1", "results": results, "meta": {"billed_units": {"search_units": 3.0}}}).encode()
    if not target.endswith("/v2/chat"):
        raise KeyError(target)
    if Chat.model_validate(asked).stream:
        return stream_of(name, fails=wish == "early")
    message = {"role": "assistant", "content": [{"type": "text", "text": "".join(words_of(name))}]}
    return json.dumps({"id": "c-1", "finish_reason": "COMPLETE", "message": message, "usage": USAGE}).encode()

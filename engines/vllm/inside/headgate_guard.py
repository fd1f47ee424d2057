"""ASGI middleware of a managed vLLM: whoever asks for more than whether it is well needs the gateway's key, and
nobody is told of its inside.

vLLM itself asks for its key below /v1 and few other paths; /invocations, which generates just as well, is open. When
it fails in the middle of a stream, it sends the exception's text, or breaks off. What fails before that is Envoy's to
put into words (envoy/module/attempt.c), as of any engine. Standard library only.
"""

import hmac
import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = "/health"  # and not /metrics, which name adapters, and so tenants
_BODY = b'{"error":{"message":"This engine answers its gateway alone.","type":"authentication_error","code":401}}'
_ERROR = b'data: {"error"'  # how an event of chat begins that is an error; all others begin with an id
_FAILED = "The model's engine failed while it worked on the request."
_CODE = "engine_failed"


class Guard:
    """Around vLLM's application. Raises KeyError where there is no key to ask for."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._wanted = f"Bearer {os.environ['VLLM_API_KEY']}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may pass."""
        if scope["type"] == "http" and (scope["path"] == OPEN or self._is_known(scope)):
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan" or self._is_known(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            head = [(b"content-type", b"application/json"), (b"content-length", str(len(_BODY)).encode())]
            await send({"type": "http.response.start", "status": 401, "headers": head})
            await send({"type": "http.response.body", "body": _BODY})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = _Answer(send, is_response="/responses" in scope["path"])
        try:
            await self._app(scope, receive, answer.send)
        except Exception:  # what the stream's own code raises: it is vLLM's to log
            await answer.fail()
            raise

    def _is_known(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        return len(given) == 1 and hmac.compare_digest(given[0], self._wanted)


class _Answer:
    """One on its way out. vLLM sends each event as one message."""

    def __init__(self, send: Send, *, is_response: bool) -> None:
        self._send = send
        self._is_response = is_response
        self._streams = False
        self._events = 0

    async def send(self, message: Message) -> None:
        """As it is, but for an event that is an error of the engine's own."""
        if message["type"] == "http.response.start":
            types = [value for name, value in message.get("headers", ()) if name == b"content-type"]
            self._streams = any(value.startswith(b"text/event-stream") for value in types)
        elif self._streams:
            self._events += 1
            self._streams = message.get("more_body", False)
            if message.get("body", b"").startswith(_ERROR):
                message = {**message, "body": _plain(message["body"])}
        await self._send(message)

    async def fail(self) -> None:
        """Ends a stream that has begun with an error; any other answer is not begun, or over."""
        if self._streams:
            self._streams = False
            event = _response_failed(self._events) if self._is_response else _chat_failed()
            await self._send({"type": "http.response.body", "body": event})


def _plain(event: bytes) -> bytes:
    """An error event without what an engine's exception says; what it says of the request stays."""
    try:
        code = json.loads(event.removeprefix(b"data: "))["error"]["code"]
    except (ValueError, TypeError, KeyError):
        code = None
    return event if isinstance(code, int) and code < 500 else _chat_failed()


def _chat_failed() -> bytes:
    error = {"message": _FAILED, "type": "server_error", "param": None, "code": _CODE}
    return b"data: " + json.dumps({"error": error}).encode() + b"\n\n"


def _response_failed(number: int) -> bytes:
    said = {"type": "error", "code": _CODE, "message": _FAILED, "param": None, "sequence_number": number}
    return b"event: error\ndata: " + json.dumps(said).encode() + b"\n\n"

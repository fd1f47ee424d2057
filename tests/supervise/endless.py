"""A provider of both APIs whose streams go on until the test lets them end; it counts what it has sent."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

EVERY_S = 0.1
_USAGE = {"input_tokens": 5, "output_tokens": 7}
_OPENAI = {"id": "chatcmpl-1", "created": 1, "model": "m"}


class Endless:
    """`sent` has the number of pieces by the gateway's request id. A model `failing` is a 503, once `fail` is set."""

    def __init__(self) -> None:
        self.address = ""
        self.sent: dict[str, int] = {}
        self.failing = 0  # requests that wait to fail
        self.fail = asyncio.Event()
        self.finish = asyncio.Event()

    async def messages(self, request: web.Request) -> web.StreamResponse:
        """Anthropic's kind."""
        whole = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None}
        text = {"type": "text", "text": "Hello"}
        if not (await request.json()).get("stream"):
            return web.json_response({**whole, "content": [text], "stop_reason": "end_turn", "usage": _USAGE})
        start = {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None, "usage": _USAGE}}
        begin = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
        piece = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}}
        stop = {"type": "content_block_stop", "index": 0}
        delta = {"stop_reason": "end_turn", "stop_sequence": None}
        end = {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 7}}
        return await self._stream(request, [start, begin], piece, [stop, end, {"type": "message_stop"}])

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """OpenAI's kind."""
        body = await request.json()
        if body["model"] == "failing":
            self.failing += 1
            await self.fail.wait()
            return web.json_response({"error": {"message": "Not now.", "type": "server_error"}}, status=503)
        message = {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
        if not body.get("stream"):
            whole = {**_OPENAI, "object": "chat.completion", "choices": [message], "usage": usage}
            return web.json_response(whole)
        first = _chunk({"role": "assistant", "content": ""}, None)
        last = [_chunk({}, "stop"), {**_chunk({}, None), "choices": [], "usage": usage}, "[DONE]"]
        return await self._stream(request, [first], _chunk({"content": "x"}, None), last)

    async def _stream(
        self, request: web.Request, before: list[Any], piece: dict[str, Any], after: list[Any]
    ) -> web.StreamResponse:
        name = request.headers["x-request-id"]
        reply = web.StreamResponse(headers={"content-type": "text/event-stream"})
        with contextlib.suppress(ConnectionResetError):  # the gateway lets go of what nobody reads any more
            await reply.prepare(request)
            await _write(reply, *before)
            while not self.finish.is_set():
                await _write(reply, piece)
                self.sent[name] = self.sent.get(name, 0) + 1
                await asyncio.sleep(EVERY_S)
            await _write(reply, *after)
        return reply


def _chunk(delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {**_OPENAI, "object": "chat.completion.chunk", "choices": [choice]}


async def _write(reply: web.StreamResponse, *events: Any) -> None:
    for event in events:
        name = f"event: {event['type']}\n" if isinstance(event, dict) and "type" in event else ""
        data = event if isinstance(event, str) else json.dumps(event)
        await reply.write(f"{name}data: {data}\n\n".encode())


@asynccontextmanager
async def endless() -> AsyncIterator[Endless]:
    """Run it on loopback."""
    provider, app = Endless(), web.Application()
    app.router.add_post("/v1/messages", provider.messages)
    app.router.add_post("/v1/chat/completions", provider.chat)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    provider.address = f"{host}:{port}"
    try:
        yield provider
    finally:
        await runner.cleanup()

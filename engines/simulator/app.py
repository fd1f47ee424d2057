"""The routes, and around all of them: what is recorded, and how refusals look."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import partial
from typing import Final

import msgspec
from aiohttp import web

from engines.simulator.answer import Answer, chat_answer, completion_answer
from engines.simulator.bodies import Generation, chat_body, completion_body, embeddings_body
from engines.simulator.completions_routes import CompletionRoutes
from engines.simulator.embeddings import embeddings_reply
from engines.simulator.engine import Engine
from engines.simulator.engine_routes import EngineRoutes
from engines.simulator.errors import BodyError, DeadEngineError, ModelError, engine_error_body
from engines.simulator.faults import Simulate, is_html_page
from engines.simulator.media_routes import MediaRoutes
from engines.simulator.messages_bodies import counted_chat, messages_chat
from engines.simulator.messages_reply import count_body
from engines.simulator.options import Options
from engines.simulator.record import Exchange, Record
from engines.simulator.responses_routes import ResponseRoutes
from engines.simulator.send import Pace, send_json, send_stream
from engines.simulator.shape import MESSAGES, OPENAI, Shape
from engines.simulator.usage import chat_tokens

MAX_BODY_BYTES: Final = 256 << 20  # far above any gateway's own limit, so that theirs is the one a client meets
_EXCHANGE: Final[ContextVar[Exchange]] = ContextVar("exchange")
_ID_PREFIXES: Final = {
    "/v1/chat/completions": "chatcmpl-",
    "/v1/completions": "cmpl-",
    "/v1/messages": "msg_",
    "/v1/responses": "resp_",
    "/v1/responses/compact": "resp_",
}
_DEAD: Final = "EngineCore encountered an issue. See stack trace (above) for the root cause."

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Simulator:
    """The engine behind the routes.

    `running` is the number of requests being answered; `stopping` says that they are about to be cancelled; `died` is
    set with `death`, when there is no engine any more.
    """

    def __init__(self, options: Options, record: Record) -> None:
        self._options = options
        self._record = record
        self._received = 0
        self._engine = Engine(options)
        self._operation = EngineRoutes(options, self._engine)
        self._completions = CompletionRoutes(self._generated)
        self.running = 0
        self.stopping = False
        self.died = asyncio.Event()
        self.death: DeadEngineError | None = None

    def application(self) -> web.Application:
        """Return the aiohttp application with all routes."""
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[self._observed])
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/completions", self._completion)
        app.router.add_post("/v1/embeddings", self._embeddings)
        app.router.add_post("/v1/messages", self._message)
        app.router.add_post("/v1/messages/count_tokens", self._count_tokens)
        self._completions.add(app.router)
        ResponseRoutes(self._options, self._generated).add(app.router)
        MediaRoutes(self._options, _EXCHANGE.get, _refused).add(app.router)
        self._operation.add(app.router)
        return app

    @web.middleware
    async def _observed(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Record the request and its end; the answer is written here so that its end is known."""
        self._received += 1
        prefix = _ID_PREFIXES.get(request.path, "req-")
        # vLLM's ids end in the caller's x-request-id too
        exchange = Exchange(
            prefix + (_printable(request.headers.get("x-request-id", "")) or uuid.uuid4().hex), self._received
        )
        _EXCHANGE.set(exchange)
        self.running += 1
        try:
            response = await self._answered(request, exchange, handler)
            await response.prepare(request)
            await response.write_eof()
        except (asyncio.CancelledError, ConnectionError):
            if exchange.cut or self.stopping:
                self._record.end(exchange, completed=False)
            else:
                self._record.disconnect(exchange)
            raise
        finally:
            self.running -= 1
        self._record.end(exchange, completed=True)
        return response

    async def _answered(self, request: web.Request, exchange: Exchange, handler: Handler) -> web.StreamResponse:
        try:
            body = await request.read()
            headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.raw_headers]
            self._record.request(exchange, request.method, _printable(request.raw_path), headers, body)
            return self._operation.refused(request) or await handler(request)
        except BodyError as error:
            return _json_response(400, _shape_of(request).refusal(400, error.message, exchange.id, param=error.param))
        except ModelError as error:
            return _json_response(404, engine_error_body(404, str(error), "NotFoundError", "model"))
        except DeadEngineError as error:
            self.death = error
            self.died.set()
            return _json_response(500, engine_error_body(500, _DEAD, "InternalServerError"))
        except web.HTTPException as error:
            allow = error.headers.get("allow")
            message = f"{error.reason}: {request.method} {_printable(request.path)}"
            code = "unknown_url" if error.status == 404 else None
            kind = "invalid_request_error" if error.status < 500 else None
            body = _shape_of(request).refusal(error.status, message, exchange.id, error_type=kind, code=code)
            return _json_response(error.status, body, {"allow": allow} if allow else {})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = chat_body(raw)
        if body.store:
            return await self._completions.create(request, body, raw)
        return await self._generated(request, body, partial(chat_answer, body))

    async def _completion(self, request: web.Request) -> web.StreamResponse:
        body = completion_body(await request.read())
        return await self._generated(request, body, partial(completion_answer, body))

    async def _message(self, request: web.Request) -> web.StreamResponse:
        body = messages_chat(await request.read())
        return await self._generated(request, body, partial(chat_answer, body))

    async def _count_tokens(self, request: web.Request) -> web.StreamResponse:
        messages, simulate = counted_chat(await request.read())
        exchange = _EXCHANGE.get()
        if simulate.status is not None:
            return await _refused(request, exchange, simulate, simulate.status)
        return await send_json(request, exchange, count_body(chat_tokens(messages), simulate), simulate)

    async def _generated(
        self,
        request: web.Request,
        body: Generation,
        answer_of: Callable[..., Answer],
        shape: Shape | None = None,
    ) -> web.StreamResponse:
        exchange, simulate, options, shape = (
            _EXCHANGE.get(),
            body.simulate,
            self._options,
            shape or _shape_of(request),
        )
        if simulate.status is not None:
            return await _refused(request, exchange, simulate, simulate.status)
        adapter = self._engine.adapter_of(body.model)
        answer = answer_of(
            answer_id=exchange.id,
            created=int(time.time()),
            model=adapter.name if adapter else options.model,
            weights=adapter.weights if adapter else "",
        )
        answer, share = self._engine.prefilled(body, answer, adapter)
        ttft_s = share * (options.ttft_s if simulate.ttft_s is None else simulate.ttft_s)
        token_s = options.token_s if simulate.token_s is None else simulate.token_s
        place = self._engine.place(exchange, answer, adapter)
        if not body.wants_stream or is_html_page(simulate):
            after_s = token_s * answer.steps
            async with place:
                reply = await send_json(request, exchange, shape.reply(answer), simulate, work_s=ttft_s + after_s)
                place.first_token(after_s)
                place.whole = True
        else:
            events, broken = shape.events(answer, body.stream_options), shape.broken(answer)
            pace = Pace(ttft_s, token_s, place)
            reply = await send_stream(request, exchange, events, simulate, pace, broken=broken)
        self._engine.answered(answer)
        return reply

    async def _embeddings(self, request: web.Request) -> web.StreamResponse:
        body = embeddings_body(await request.read())
        exchange, simulate = _EXCHANGE.get(), body.simulate
        if simulate.status is not None:
            return await _refused(request, exchange, simulate, simulate.status)
        adapter = self._engine.adapter_of(body.model)
        reply = embeddings_reply(body, adapter.name if adapter else self._options.model)
        ttft_s = self._options.ttft_s if simulate.ttft_s is None else simulate.ttft_s
        return await send_json(request, exchange, reply, simulate, work_s=ttft_s)


def _shape_of(request: web.Request) -> Shape:
    return MESSAGES if request.path.startswith("/v1/messages") else OPENAI


async def _refused(request: web.Request, exchange: Exchange, simulate: Simulate, status: int) -> web.StreamResponse:
    """Send the error that the request asked for."""
    shape = _shape_of(request)
    if simulate.error is not None:
        body = shape.error(simulate.error, exchange.id)
    else:
        body = shape.refusal(status, f"A simulated error with status {status}.", exchange.id)
    if simulate.retry_after is not None:
        headers = {"retry-after": str(simulate.retry_after), **simulate.headers}
        simulate = msgspec.structs.replace(simulate, headers=headers)
    return await send_json(request, exchange, body, simulate, status=status)


def _printable(text: str) -> str:
    """Return the text without the surrogates that aiohttp makes of bytes that are no UTF-8: JSON has none."""
    return text.encode("utf-8", "replace").decode()


def _json_response(status: int, body: bytes, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=body, headers={"content-type": "application/json", **(headers or {})})

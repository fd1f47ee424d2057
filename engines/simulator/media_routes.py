"""The routes for what is neither chat nor embeddings: pictures, sound, moderations, rankings."""

import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import msgspec
from aiohttp import web

from engines.simulator import media
from engines.simulator.faults import NOTHING, Simulate
from engines.simulator.media_bodies import (
    ModerationBody,
    PictureBody,
    RerankBody,
    SpeechBody,
    body_reader,
    edit_body,
    heard,
)
from engines.simulator.options import Options
from engines.simulator.record import Exchange
from engines.simulator.send import Pace, send_json, send_stream
from engines.simulator.stream import Event

_BROKEN: Final = b"data: {\n\n"
_picture, _speech = body_reader(PictureBody), body_reader(SpeechBody)
_moderation, _rerank = body_reader(ModerationBody), body_reader(RerankBody)

Refused = Callable[[web.Request, Exchange, Simulate, int], Awaitable[web.StreamResponse]]


class MediaRoutes:
    """Answers at the pace that `options` have. `exchange` gives the request's record, `refused` a wished error."""

    def __init__(self, options: Options, exchange: Callable[[], Exchange], refused: Refused) -> None:
        self._options = options
        self._exchange = exchange
        self._refused = refused

    def add(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        router.add_post("/v1/images/generations", self._images)
        router.add_post("/v1/images/edits", self._edits)
        router.add_post("/v1/images/variations", self._edits)
        router.add_post("/v1/audio/speech", self._speech)
        router.add_post("/v1/audio/transcriptions", self._transcripts)
        router.add_post("/v1/audio/translations", self._transcripts)
        router.add_post("/v1/moderations", self._moderations)
        router.add_post("/v1/rerank", self._rerank)

    async def _images(self, request: web.Request) -> web.StreamResponse:
        return await self._pictured(request, _picture(await request.read()), "image_generation")

    async def _edits(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        form = request.content_type == "multipart/form-data"
        body = edit_body(raw, request.headers["content-type"]) if form else _picture(raw)
        return await self._pictured(request, body, "image_edit")

    async def _pictured(self, request: web.Request, body: PictureBody, kind: str) -> web.StreamResponse:
        now = int(time.time())
        if body.stream:
            return await self._streamed(request, media.picture_events(body, now, kind), body.simulate)
        return await self._whole(request, media.pictures(body, now, self._options.model), body.simulate)

    async def _speech(self, request: web.Request) -> web.StreamResponse:
        body = _speech(await request.read())
        if body.stream_format == "sse":
            return await self._streamed(request, media.speech_events(body.input, self._options.model), body.simulate)
        return await self._whole(request, media.silence(body.input), body.simulate, "audio/wav")

    async def _transcripts(self, request: web.Request) -> web.StreamResponse:
        found = heard(await request.read(), request.headers.get("content-type", ""))
        if found.wants_stream:
            return await self._streamed(request, media.transcript_events(found), NOTHING)
        body, kind = media.transcript(found, self._options.model)
        return await self._whole(request, body, NOTHING, kind)

    async def _moderations(self, request: web.Request) -> web.StreamResponse:
        body = _moderation(await request.read())
        answer = media.moderation(body, self._exchange().id, self._options.model)
        return await self._whole(request, answer, body.simulate)

    async def _rerank(self, request: web.Request) -> web.StreamResponse:
        body = _rerank(await request.read())
        answer = media.ranking(body, self._exchange().id, self._options.model)
        return await self._whole(request, answer, body.simulate)

    async def _whole(
        self, request: web.Request, body: bytes, simulate: Simulate, kind: str = "application/json"
    ) -> web.StreamResponse:
        exchange = self._exchange()
        if simulate.status is not None:
            return await self._refused(request, exchange, simulate, simulate.status)
        if simulate.content_type is None:
            simulate = msgspec.structs.replace(simulate, headers={"content-type": kind, **simulate.headers})
        ttft_s = self._options.ttft_s if simulate.ttft_s is None else simulate.ttft_s
        return await send_json(request, exchange, body, simulate, work_s=ttft_s)

    async def _streamed(
        self, request: web.Request, events: Iterator[Event], simulate: Simulate
    ) -> web.StreamResponse:
        exchange = self._exchange()
        if simulate.status is not None:
            return await self._refused(request, exchange, simulate, simulate.status)
        ttft_s = self._options.ttft_s if simulate.ttft_s is None else simulate.ttft_s
        token_s = self._options.token_s if simulate.token_s is None else simulate.token_s
        return await send_stream(request, exchange, events, simulate, Pace(ttft_s, token_s), broken=_BROKEN)

"""The routes of OpenAI's Responses API: making responses, and what can be asked of those that are kept."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import msgspec
from aiohttp import web

from engines.simulator.answer import Answer, chat_answer
from engines.simulator.bodies import Generation, Message
from engines.simulator.errors import error_body
from engines.simulator.options import Options
from engines.simulator.responses_bodies import ResponsesBody, chat_of, count_body, messages_of, responses_body
from engines.simulator.responses_reply import broken_response_event, response, response_events, usage_of
from engines.simulator.responses_store import Kept, Store
from engines.simulator.shape import OPENAI, Shape
from engines.simulator.usage import chat_tokens

Reply = web.StreamResponse


class Generated(Protocol):
    """Sends an answer at its pace, in a shape."""

    def __call__(
        self, request: web.Request, body: Generation, answer_of: Callable[..., Answer], shape: Shape | None = None
    ) -> Awaitable[Reply]:
        """Return what was sent."""


class ResponseRoutes:
    """One for a simulator."""

    def __init__(self, options: Options, generated: Generated) -> None:
        self._options = options
        self._generated = generated
        self._store = Store()

    def add(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        router.add_post("/v1/responses", self._create)
        router.add_post("/v1/responses/input_tokens", self._count)
        router.add_post("/v1/responses/compact", self._compact)
        router.add_get("/v1/responses/{id}", self._get)
        router.add_delete("/v1/responses/{id}", self._delete)
        router.add_post("/v1/responses/{id}/cancel", self._cancel)
        router.add_get("/v1/responses/{id}/input_items", self._input_items)

    async def _create(self, request: web.Request) -> Reply:
        raw = await request.read()
        body = responses_body(raw)
        earlier = self._earlier(body.previous_response_id)
        if earlier is None:
            return _no_previous(body.previous_response_id)
        messages = messages_of(body, earlier)
        chat, simulate = chat_of(body, messages), body.simulate
        work_s = 0.0
        if body.background and not body.stream:  # it is made behind the answer
            work_s = self._options.ttft_s if simulate.ttft_s is None else simulate.ttft_s
            at_once = msgspec.structs.replace(simulate, ttft_s=0.0, token_s=0.0)
            chat = msgspec.structs.replace(chat, simulate=at_once)
        items = _items(msgspec.json.decode(raw).get("input"))

        def answer_of(*, answer_id: str, created: int, model: str, weights: str) -> Answer:
            answer = chat_answer(chat, answer_id=answer_id, created=created, model=model, weights=weights)
            if body.store is not False:
                said = Message("assistant", "".join(answer.choices[0].pieces))
                # Instructions are of one response alone.
                context = [message for message in messages if message.role != "system"]
                self._store.put(Kept(answer, body, items, [*context, said], time.monotonic() + work_s))
            return answer

        return await self._generated(request, chat, answer_of, _shape(body))

    def _earlier(self, previous: str | None) -> list[Message] | None:
        if previous is None:
            return []
        kept = self._store.get(previous)
        return kept.messages if kept else None

    async def _count(self, request: web.Request) -> Reply:
        body = count_body(await request.read())
        earlier = self._earlier(body.previous_response_id)
        if earlier is None:
            return _no_previous(body.previous_response_id)
        tokens = chat_tokens(messages_of(body, earlier))
        return _json(200, {"object": "response.input_tokens", "input_tokens": tokens})

    async def _compact(self, request: web.Request) -> Reply:
        body = responses_body(await request.read())
        earlier = self._earlier(body.previous_response_id)
        if earlier is None:
            return _no_previous(body.previous_response_id)
        chat = chat_of(body, messages_of(body, earlier))
        return await self._generated(request, chat, partial(chat_answer, chat), replace(OPENAI, reply=_compaction))

    async def _get(self, request: web.Request) -> Reply:
        kept = self._store.get(request.match_info["id"])
        if kept is None:
            return _not_found(request)
        if request.query.get("stream") != "true":
            return _json(200, kept.object())
        after = int(request.query.get("starting_after", "-1"))
        events = [event.data for event in response_events(kept.answer, kept.body)][after + 1 :]
        return web.Response(body=b"".join(events), headers={"content-type": "text/event-stream"})

    async def _delete(self, request: web.Request) -> Reply:
        name = request.match_info["id"]
        if not self._store.delete(name):
            return _not_found(request)
        return _json(200, {"id": name, "object": "response", "deleted": True})

    async def _cancel(self, request: web.Request) -> Reply:
        kept = self._store.get(request.match_info["id"])
        if kept is None:
            return _not_found(request)
        if not kept.body.background:
            message = "Only responses that were made in the background can be cancelled."
            return web.Response(status=400, body=error_body(400, message), content_type="application/json")
        kept.cancelled = kept.cancelled or time.monotonic() < kept.ready_at
        return _json(200, kept.object())

    async def _input_items(self, request: web.Request) -> Reply:
        kept = self._store.get(request.match_info["id"])
        if kept is None:
            return _not_found(request)
        items = kept.input_items if request.query.get("order") == "asc" else kept.input_items[::-1]
        ids = [item["id"] for item in items]
        start = ids.index(request.query["after"]) + 1 if request.query.get("after") in ids else 0
        page = items[start : start + int(request.query.get("limit", "20"))]
        ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": "", "last_id": ""}
        more = start + len(page) < len(items)
        return _json(200, {"object": "list", "data": page, "has_more": more, **ends})


def _shape(body: ResponsesBody) -> Shape:
    def reply(answer: Answer) -> bytes:
        return msgspec.json.encode(response(answer, body, "queued" if body.background else None))

    return replace(
        OPENAI,
        reply=reply,
        events=lambda answer, _options: response_events(answer, body),
        broken=broken_response_event,
    )


def _compaction(answer: Answer) -> bytes:
    item = {"id": f"cmp_{answer.id}", "type": "compaction", "encrypted_content": "c2ltdWxhdGVk"}
    said = {"id": answer.id, "object": "response.compaction", "created_at": answer.created, "output": [item]}
    return msgspec.json.encode({**said, "usage": usage_of(answer)})


def _items(given: Any) -> list[dict[str, Any]]:
    """The input as the API lists it: each item with an id."""
    if isinstance(given, str):
        given = [{"role": "user", "content": [{"type": "input_text", "text": given}]}]
    listed = []
    for at, item in enumerate(given or ()):
        content = item.get("content")
        parts = {"content": [{"type": "input_text", "text": content}]} if isinstance(content, str) else {}
        listed.append({"id": f"item_{at}", "type": "message", "status": "completed", **item, **parts})
    return listed


def _json(status: int, body: dict[str, Any]) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")


def _not_found(request: web.Request) -> web.Response:
    message = f"Response with id '{request.match_info['id']}' not found."
    body = error_body(404, message, error_type="invalid_request_error")
    return web.Response(status=404, body=body, content_type="application/json")


def _no_previous(name: str | None) -> web.Response:
    message = f"Previous response with id '{name}' not found."
    body = error_body(400, message, param="previous_response_id", code="previous_response_not_found")
    return web.Response(status=400, body=body, content_type="application/json")

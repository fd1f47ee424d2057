"""The routes of stored chat completions: those made with `store: true`, the newest ones, in memory."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
from aiohttp import web

from engines.simulator.answer import Answer, chat_answer
from engines.simulator.bodies import ChatBody
from engines.simulator.errors import error_body
from engines.simulator.reply import reply_body
from engines.simulator.responses_routes import Generated
from engines.simulator.shape import OPENAI

Reply = web.StreamResponse

MOST: Final = 1_000


@dataclass(slots=True)
class Stored:
    """One completion, and what was asked. `model` is what the request called it."""

    answer: Answer
    model: str | None
    messages: list[dict[str, Any]]
    metadata: dict[str, str]

    def body(self) -> bytes:
        """Return the completion as it is now."""
        return msgspec.json.encode(msgspec.json.decode(reply_body(self.answer)) | {"metadata": self.metadata})


class CompletionRoutes:
    """One for a simulator."""

    def __init__(self, generated: Generated) -> None:
        self._generated = generated
        self._stored: OrderedDict[str, Stored] = OrderedDict()

    def add(self, router: web.UrlDispatcher) -> None:
        """Add the routes, but for the one that makes completions."""
        router.add_get("/v1/chat/completions", self._list)
        router.add_get("/v1/chat/completions/{id}", self._get)
        router.add_post("/v1/chat/completions/{id}", self._update)
        router.add_delete("/v1/chat/completions/{id}", self._delete)
        router.add_get("/v1/chat/completions/{id}/messages", self._messages)

    async def create(self, request: web.Request, body: ChatBody, raw: bytes) -> Reply:
        """Make a completion and store it."""
        messages = msgspec.json.decode(raw)["messages"]

        def answer_of(*, answer_id: str, created: int, model: str, weights: str) -> Answer:
            answer = chat_answer(body, answer_id=answer_id, created=created, model=model, weights=weights)
            self._stored[answer_id] = Stored(answer, body.model, messages, body.metadata or {})
            while len(self._stored) > MOST:
                self._stored.popitem(last=False)
            return answer

        return await self._generated(request, body, answer_of, replace(OPENAI, reply=self._reply))

    def _reply(self, answer: Answer) -> bytes:
        return self._stored[answer.id].body()

    async def _list(self, request: web.Request) -> Reply:
        query = request.query
        wanted = {name[9:-1]: value for name, value in query.items() if name.startswith("metadata[")}
        found = [
            (name, one.body())
            for name, one in self._stored.items()
            if wanted.items() <= one.metadata.items() and query.get("model") in (None, one.model)
        ]
        return _page(request, found)

    async def _get(self, request: web.Request) -> Reply:
        stored = self._stored.get(request.match_info["id"])
        return _json(stored.body()) if stored else _not_found(request)

    async def _update(self, request: web.Request) -> Reply:
        stored = self._stored.get(request.match_info["id"])
        if stored is None:
            return _not_found(request)
        stored.metadata = msgspec.json.decode(await request.read()).get("metadata") or {}
        return _json(stored.body())

    async def _delete(self, request: web.Request) -> Reply:
        name = request.match_info["id"]
        if self._stored.pop(name, None) is None:
            return _not_found(request)
        return _json(msgspec.json.encode({"object": "chat.completion.deleted", "id": name, "deleted": True}))

    async def _messages(self, request: web.Request) -> Reply:
        name = request.match_info["id"]
        stored = self._stored.get(name)
        if stored is None:
            return _not_found(request)
        listed = [{**message, "id": f"{name}-{at}"} for at, message in enumerate(stored.messages)]
        return _page(request, [(message["id"], msgspec.json.encode(message)) for message in listed])


def _page(request: web.Request, found: list[tuple[str, bytes]]) -> Reply:
    query = request.query
    if query.get("order") == "desc":
        found.reverse()
    names = [name for name, _ in found]
    start = names.index(query["after"]) + 1 if query.get("after") in names else 0
    limit = query.get("limit", "20")
    if not limit.isdecimal() or not 1 <= int(limit) <= 100:
        return _refused(400, f"`limit` is a number from 1 to 100, found '{limit}'.")
    page = found[start : start + int(limit)]
    ends = {"first_id": page[0][0] if page else None, "last_id": page[-1][0] if page else None}
    data = [msgspec.Raw(body) for _, body in page]
    more = start + len(page) < len(found)
    return _json(msgspec.json.encode({"object": "list", "data": data, "has_more": more, **ends}))


def _json(body: bytes) -> Reply:
    return web.Response(body=body, content_type="application/json")


def _not_found(request: web.Request) -> Reply:
    return _refused(404, f"Chat completion with id '{request.match_info['id']}' not found.")


def _refused(status: int, message: str) -> Reply:
    body = error_body(status, message, error_type="invalid_request_error")
    return web.Response(status=status, body=body, content_type="application/json")

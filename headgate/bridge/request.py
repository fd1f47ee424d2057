"""One `response.create` as a request to Envoy: its body, and its answer as the lane's events."""

from collections.abc import Awaitable, Callable
from urllib.parse import quote

import msgspec

from headgate.bridge.asking import Asking
from headgate.bridge.conversation import Conversation, Memory, conversation_after, joined, warmed_up
from headgate.bridge.events import (
    FINAL,
    Events,
    EventTooLargeError,
    error_event,
    error_of,
    is_object,
    kind_of,
    made_event,
    nested,
    on_lane,
    problem,
    response_of,
)
from headgate.bridge.inner import Answer, BrokenOffError, InnerError, asked
from headgate.bridge.message import Create
from headgate.contract import INNER_SOCKET

_ERROR_BYTES = 2**20  # of a refusal's body
_WHOLE_BYTES = 64 * 2**20

_BROKEN_OFF = error_event(
    503,
    problem(
        "The model's provider ended its answer before the response was complete.",
        "provider_disconnected",
        kind="server_error",
    ),
)

Tell = Callable[[bytes], Awaitable[None]]


class Request:
    """Asks in a connection's name; what goes on from an answer that nobody keeps is in `memory`."""

    def __init__(self, asking: Asking, memory: Memory, connection: object, lanes: list[str | None]) -> None:
        self._asking, self._memory, self._connection, self._lanes = asking, memory, connection, lanes

    async def answer(self, create: Create, tell: Tell) -> None:
        """Ask, and tell every event of the answer."""
        lane, previous = create.lane, create.text("previous_response_id")
        before = self._memory.find(self._connection, self._lanes, previous) if previous else None
        try:
            if not create.generates:
                await self._warm_up(create, before, tell)
                return
            body = joined(create, before) if before else create.body()
            path, headers = self._asking.path, self._asking.headers
            async with asked(INNER_SOCKET, "POST", path, headers, body) as answer:
                del body
                if answer.status != 200:
                    await _refuse(answer, lane, tell)
                elif answer.streams:
                    await self._stream(create, before, answer, tell)
                else:
                    await self._whole(create, before, answer, tell)
        except InnerError:
            said = "The gateway takes no requests right now. Retry after a short wait."
            await tell(on_lane(error_event(503, problem(said, "gateway_unavailable", kind="server_error")), lane))
        except BrokenOffError:
            await tell(on_lane(_BROKEN_OFF, lane))
        except EventTooLargeError:
            said = "An event of the provider's is larger than this gateway takes."
            await tell(on_lane(error_event(502, problem(said, "event_too_large", kind="server_error")), lane))

    async def _stream(self, create: Create, before: Conversation | None, answer: Answer, tell: Tell) -> None:
        """To the end of the answer, not only of the response: who leaves earlier is a client that left."""
        events, ended = Events(), False
        async for piece in answer.pieces():
            for event in events.feed(piece):
                kind = kind_of(event)
                if kind in FINAL:
                    ended = True
                    await self._final(create, before, event, tell, kind)
                else:
                    await tell(on_lane(event, create.lane))
        if not ended:
            await tell(on_lane(_BROKEN_OFF, create.lane))

    async def _whole(self, create: Create, before: Conversation | None, answer: Answer, tell: Tell) -> None:
        """Of a provider that does not stream."""
        body = await answer.whole(_WHOLE_BYTES)
        if is_object(body):
            await self._final(create, before, made_event("response.completed", 0, msgspec.Raw(body)), tell)
        else:
            await tell(on_lane(_BROKEN_OFF, create.lane))

    async def _final(
        self,
        create: Create,
        before: Conversation | None,
        event: bytes,
        tell: Tell,
        kind: str = "response.completed",
    ) -> None:
        response = response_of(event) if kind in ("response.completed", "response.incomplete") else None
        if response and isinstance(response.get("id"), str):
            self._remember(create.lane, response["id"], conversation_after(create, before, response))
        await tell(on_lane(nested(event) if kind == "error" else event, create.lane))

    async def _warm_up(self, create: Create, before: Conversation | None, tell: Tell) -> None:
        """No provider knows it: what comes next brings it along. Whether the model may be asked is asked now."""
        path, headers = self._asking.path.removesuffix("/responses"), self._asking.headers
        model = create.text("model")
        if not model:
            said = problem("Missing required parameter: 'model'.", "missing_required_parameter", "model")
            await tell(on_lane(error_event(400, said), create.lane))
            return
        async with asked(INNER_SOCKET, "GET", f"{path}/models/{quote(model, safe='/:')}", headers) as answer:
            if answer.status != 200:
                await _refuse(answer, create.lane, tell)
                return
        response, conversation = warmed_up(create, before)
        self._remember(create.lane, response["id"], conversation)
        begun = {**response, "status": "in_progress", "usage": None}
        for number, (kind, said) in enumerate(
            (("response.created", begun), ("response.in_progress", begun), ("response.completed", response))
        ):
            await tell(on_lane(made_event(kind, number, said), create.lane))

    def _remember(self, lane: str | None, response_id: str, conversation: Conversation | None) -> None:
        if conversation is None or conversation.size_bytes > self._asking.most_bytes:
            self._memory.forget(self._connection, lane)
        else:
            self._memory.keep(self._connection, lane, response_id, conversation)


async def _refuse(answer: Answer, lane: str | None, tell: Tell) -> None:
    body = await answer.whole(_ERROR_BYTES)
    await tell(on_lane(error_event(answer.status, error_of(body, answer.status), answer.headers), lane))

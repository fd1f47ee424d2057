"""Responses that were asked to be kept: the newest ones, in memory. What is made in the background ends in time."""

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final

from engines.simulator.answer import Answer
from engines.simulator.bodies import Message
from engines.simulator.responses_bodies import ResponsesBody
from engines.simulator.responses_reply import response

MOST: Final = 1_000


@dataclass(slots=True)
class Kept:
    """One response, what was asked, and the conversation up to it; `ready_at` is on the monotonic clock."""

    answer: Answer
    body: ResponsesBody
    input_items: list[dict[str, Any]]
    messages: list[Message]
    ready_at: float = 0.0
    cancelled: bool = field(default=False)

    def object(self) -> dict[str, Any]:
        """Return the response as it is now."""
        if self.cancelled:
            return response(self.answer, self.body, "cancelled")
        return response(self.answer, self.body, "in_progress" if time.monotonic() < self.ready_at else None)


class Store:
    """All that are kept, by id."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def put(self, kept: Kept) -> None:
        """Keep one, and forget the oldest beyond the bound."""
        self._kept[kept.answer.id] = kept
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)

    def get(self, response_id: str) -> Kept | None:
        """Return one."""
        return self._kept.get(response_id)

    def delete(self, response_id: str) -> bool:
        """Forget one; whether it was there."""
        return self._kept.pop(response_id, None) is not None

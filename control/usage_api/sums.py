"""Asks the usage store's part, and says why there is no answer in the words of this API."""

import datetime as dt
from typing import Protocol

from control.usage_api.refusal import Refused, away, invalid
from headgate.contract import USAGE_UNTIL
from headgate.usage_client import UsageAway, UsageRefused
from headgate.usage_questions import Sums, SumsAnswer


class Store(Protocol):
    """Answers questions about usage: headgate/usage_client.py."""

    async def ask(self, question: Sums) -> SumsAnswer:
        """One page. Raises UsageError."""


async def asked(store: Store, question: Sums) -> SumsAnswer:
    """One page of sums. Raises Refused."""
    try:
        return await store.ask(question)
    except UsageAway:
        raise away("usage_away", "the usage store has no answer right now; nothing is lost meanwhile") from None
    except UsageRefused as refused:
        if refused.kind == "too_much":
            text = "this is too much at once: ask for less time, fewer groups, or a smaller limit"
            raise Refused(400, "too_much", text) from None
        if question.after is not None:  # the one value that is checked there alone
            raise invalid("page", "page: expected next_page of an answer to the same question") from None
        text = "the usage store can't be asked this: name less, and with shorter names"
        raise Refused(400, "invalid_value", text) from None


def moment(at_ms: int) -> str:
    """RFC 3339, UTC."""
    at = dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def freshness(answer: SumsAnswer | None) -> dict[str, str]:
    """A header: until when all is in the answer. None where nobody knows."""
    return {USAGE_UNTIL: moment(answer.stored_until_ms)} if answer and answer.stored_until_ms else {}

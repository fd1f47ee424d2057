"""Who made the responses that providers keep: written when one is made, asked when a request names one.

In the counters, per tenant: an id of another tenant is not found. Connects when it is first needed.
"""

import re
from typing import Any

import msgspec

from extproc.exchange import Maker
from headgate.counters.address import counters_address
from headgate.counters.client import Counters, Unavailable
from headgate.counters.responses import find_call, note_call
from headgate.counters.scripts import Call, responses_key

# What waits is a request that cannot go on without the answer, or an answer's first bytes.
TIMEOUT_S = 0.25
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:~-]{0,255}")  # stands in a path as it is


def is_id(text: str) -> bool:
    """Whether it can be a response's id."""
    return _ID.fullmatch(text) is not None


class KeptResponses:
    """One for a worker."""

    def __init__(self, counters: Counters | None = None) -> None:
        self._counters = counters
        self._was_asked = False  # before, nobody knows whether they are there

    def is_away(self, tenant: str) -> bool:
        """Whether it is known that nothing can be kept for the tenant now."""
        return self._was_asked and self._connected().is_away(responses_key(tenant))

    async def maker(self, tenant: str, response_id: str) -> Maker | None:
        """Who made the tenant's response; None when nobody is known to have. Raises Unavailable."""
        if not (tenant and is_id(response_id)):
            return None
        text = await self._run(find_call(tenant, response_id))
        return _read(text) if text else None

    async def note(self, tenant: str, response_id: str, maker: Maker) -> None:
        """Keep who made the tenant's response. Raises Unavailable."""
        text = msgspec.json.encode((maker.model, maker.provider, maker.upstream_model))
        await self._run(note_call(tenant, response_id, text))

    async def _run(self, call: Call) -> Any:
        try:
            return await self._connected().run(*call)
        finally:
            self._was_asked = True

    def _connected(self) -> Counters:
        if self._counters is None:
            self._counters = Counters(counters_address(), TIMEOUT_S)
            self._counters.start()
        return self._counters


def _read(text: bytes) -> Maker:
    """Raises Unavailable for what no version of this has written."""
    try:
        return Maker(*msgspec.json.decode(text, type=tuple[str, str, str]))
    except msgspec.DecodeError:
        raise Unavailable("what is kept of a response cannot be read", maybe=False) from None

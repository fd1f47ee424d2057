"""Who made the responses and completions that providers keep: written when one is made, asked when one is named.

In the counters, per tenant: an id of another tenant is not found. Connects when it is first needed.
"""

import re
from collections.abc import Sequence
from secrets import token_hex
from typing import Any

import msgspec

from extproc.exchange import Maker
from headgate.counters.address import counters_address
from headgate.counters.client import Counters, Unavailable
from headgate.counters.responses import Kind, find_call, known_call, mark_call, note_call
from headgate.counters.scripts import Call, responses_key

# What waits is a request that cannot go on without the answer, or an answer's first bytes.
TIMEOUT_S = 0.25
_AT_ONCE = 200  # ids that are asked about: others have to be served between
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:~-]{0,255}")  # stands in a path as it is


class _Noted(msgspec.Struct, frozen=True, array_like=True):
    """How a maker is kept, `key` and `replica` not always: there was a time before each."""

    model: str
    provider: str
    upstream_model: str
    key: str = ""
    replica: str = ""


def is_id(text: str) -> bool:
    """Whether it can be the id of what a provider keeps."""
    return _ID.fullmatch(text) is not None


class KeptResponses:
    """One for a worker."""

    def __init__(self, counters: Counters | None = None) -> None:
        self._counters = counters
        self._was_asked = False  # before, nobody knows whether they are there

    def is_away(self, tenant: str) -> bool:
        """Whether it is known that nothing can be kept for the tenant now."""
        return self._was_asked and self._connected().is_away(responses_key(tenant))

    async def maker(self, tenant: str, response_id: str, kind: Kind = "responses") -> Maker | None:
        """Who made what the tenant names; None when nobody is known to have. Raises Unavailable."""
        if not (tenant and is_id(response_id)):
            return None
        text = await self._run(find_call(tenant, response_id, kind=kind))
        return _read(text) if text else None

    async def makers(self, tenant: str, ids: Sequence[str], kind: Kind) -> list[Maker | None]:
        """The same of several, in their order. Raises Unavailable."""
        asked = [one for one in ids if tenant and is_id(one)]
        found: dict[str, Maker] = {}
        for start in range(0, len(asked), _AT_ONCE):
            some = asked[start : start + _AT_ONCE]
            texts = await self._run(known_call(tenant, some, kind=kind))
            found |= {one: _read(text) for one, text in zip(some, texts, strict=True) if text}
        return [found.get(one) for one in ids]

    async def mark(self, tenant: str) -> str:
        """What marks the tenant's stored completions, as long as any of them is known. Raises Unavailable."""
        found: bytes = await self._run(mark_call(tenant, token_hex(16)))
        return found.decode()

    async def note(self, tenant: str, response_id: str, maker: Maker, kind: Kind = "responses") -> None:
        """Keep who made it. Raises Unavailable."""
        noted = _Noted(maker.model, maker.provider, maker.upstream_model, maker.key, maker.replica)
        await self._run(note_call(tenant, response_id, msgspec.json.encode(noted), kind=kind))

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
        noted = msgspec.json.decode(text, type=_Noted)
        return Maker(noted.model, noted.provider, noted.upstream_model, noted.key, noted.replica)
    except msgspec.DecodeError:
        raise Unavailable("what is kept of a response cannot be read", maybe=False) from None

"""Which target made what its provider keeps: the calls of note_response.lua, find_response.lua, known_responses.lua.

Responses and chat completions, for each tenant; each kind has ids of its own. And mark.lua's, of completions. Pure.
"""

from collections.abc import Sequence
from typing import Literal

from headgate.counters.scripts import (
    FIND_RESPONSE,
    KNOWN_RESPONSES,
    MARK,
    NOTE_RESPONSE,
    Call,
    mark_key,
    response_times_key,
    responses_key,
)

Kind = Literal["responses", "completions"]

KEEP_S = 30 * 86_400  # as long as OpenAI keeps them
MOST = 100_000  # of one kind and tenant; about 280 bytes each
_GO_AT_MOST = 100  # of those that are too old, or too many, with one note


def note_call(
    tenant: str, response_id: str, maker: bytes, keep_s: int = KEEP_S, most: int = MOST, kind: Kind = "responses"
) -> Call:
    """For `Counters.run`; `maker` is the caller's own text."""
    return NOTE_RESPONSE, _keys(tenant, kind), (response_id, maker, keep_s, most, _GO_AT_MOST)


def find_call(tenant: str, response_id: str, keep_s: int = KEEP_S, kind: Kind = "responses") -> Call:
    """For `Counters.run`, which returns the maker's text or None."""
    return FIND_RESPONSE, _keys(tenant, kind), (response_id, keep_s)


def known_call(tenant: str, ids: Sequence[str], keep_s: int = KEEP_S, kind: Kind = "responses") -> Call:
    """For `Counters.run`, which returns of each id the maker's text or None."""
    return KNOWN_RESPONSES, _keys(tenant, kind), (keep_s, *ids)


def mark_call(tenant: str, mark: str, keep_s: int = KEEP_S) -> Call:
    """For `Counters.run`, which returns the tenant's mark: this one, if it had none."""
    return MARK, (mark_key(tenant),), (mark, keep_s)


def _keys(tenant: str, kind: Kind) -> tuple[str, str]:
    return responses_key(tenant, kind), response_times_key(tenant, kind)

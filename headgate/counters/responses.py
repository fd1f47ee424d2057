"""The calls of note_response.lua and find_response.lua: which target made a response, for each tenant. Pure."""

from headgate.counters.scripts import FIND_RESPONSE, NOTE_RESPONSE, Call, response_times_key, responses_key

KEEP_S = 30 * 86_400  # as long as OpenAI keeps a response
MOST = 100_000  # responses of one tenant; about 250 bytes each
_GO_AT_MOST = 100  # of those that are too old, or too many, with one note


def note_call(tenant: str, response_id: str, maker: bytes, keep_s: int = KEEP_S, most: int = MOST) -> Call:
    """For `Counters.run`; `maker` is the caller's own text."""
    return NOTE_RESPONSE, _keys(tenant), (response_id, maker, keep_s, most, _GO_AT_MOST)


def find_call(tenant: str, response_id: str, keep_s: int = KEEP_S) -> Call:
    """For `Counters.run`, which returns the maker's text or None."""
    return FIND_RESPONSE, _keys(tenant), (response_id, keep_s)


def _keys(tenant: str) -> tuple[str, str]:
    return responses_key(tenant), response_times_key(tenant)

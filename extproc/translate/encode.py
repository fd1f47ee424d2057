"""JSON out of whatever a client's JSON was read into."""

import json
from typing import Any

import msgspec

from extproc.refusal import BadRequest


def json_bytes(value: Any) -> bytes:
    """The value as JSON. Raises BadRequest when it is nested too deeply."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can spell and UTF-8 cannot
        return json.dumps(value, separators=(",", ":")).encode()
    except RecursionError:
        raise BadRequest("The JSON body is nested too deeply.", code="invalid_json") from None


def refuse_unencodable(error: Exception) -> BadRequest:
    """What to raise where a request cannot be written as JSON again."""
    if isinstance(error, RecursionError):
        return BadRequest("The JSON body is nested too deeply.", code="invalid_json")
    return BadRequest("A string of the body has half a surrogate pair, which no UTF-8 text can have.")

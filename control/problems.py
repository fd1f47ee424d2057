"""What the admin API answers when it does not do what was asked: problem details (RFC 9457).

    Problem          raised by whoever finds one; becomes the answer
    of_store         what the store raises, as a Problem
    of_validation    what is wrong with a request's parts, as a Problem that names all of it

A text here names what to change. It holds no secret: what looks like a virtual key is masked.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import Response

from control.store import failures
from headgate.config.wording import found, quoted, shown_path
from headgate.virtual_key import KEY, PREFIX

MEDIA_TYPE = "application/problem+json"
MOST_FINDINGS = 50
_UNKNOWN = re.compile(r'unknown (key|model|value) ("(?:[^"\\]|\\.)*")( \(.*\)|)', re.DOTALL)
_SECRET_MEMBERS = frozenset({"secret", "value", "key"})


class Finding(BaseModel):
    """One thing that is wrong with a request."""

    at: str = Field(description="Which member of the body (`limits.rpm`), or `query.…`, `path.…`, `header.…`.")
    expected: str
    found: str | None = None


class ProblemDetails(BaseModel):
    """An error, as RFC 9457 writes it."""

    type: str = Field(description="`urn:headgate:problem:` and the code.")
    title: str
    status: int
    detail: str
    code: str = Field(description="What programs go by.")
    request_id: str | None = Field(description="By which the gateway's logs know the request.")
    errors: list[Finding] | None = None


@dataclass(slots=True)
class Problem(Exception):  # noqa: N818 - its name in RFC 9457
    """An answer that is an error."""

    status: int
    code: str
    detail: str
    errors: Sequence[Finding] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self, request_id: str | None) -> Response:
        """As it goes out."""
        said: dict[str, Any] = {
            "type": f"urn:headgate:problem:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id,
        }
        if self.errors:
            said["errors"] = [error.model_dump() for error in self.errors]
        body = KEY.sub(f"{PREFIX}***", json.dumps(said, ensure_ascii=False)).encode("utf-8", "replace")
        return Response(body, self.status, dict(self.headers), media_type=MEDIA_TYPE)


def not_found(what: str) -> Problem:
    """There is no such thing, or none that the caller may know of."""
    return Problem(404, "not_found", f"there is no such {what}")


def conflict(code: str, detail: str) -> Problem:
    """The wish is well formed and does not fit what there is."""
    return Problem(409, code, detail)


def secret_away() -> Problem:
    """The service key, or the pepper of new keys, is not there."""
    return Problem(503, "secret_away", "a secret of the gateway can't be read; its log says which")


def managed_by_file(place: str) -> Problem:
    """`place` is what to edit: `tenants.acme.models`."""
    return Problem(409, "managed_by_file", f"this is declared in gateway.yaml: edit {place} there")


def invalid(*errors: Finding, detail: str = "") -> Problem:
    """The request says something that can't be."""
    said = detail or "; ".join(f"{error.at}: expected {error.expected}" for error in errors[:3])
    return Problem(422, "invalid_request", said, errors)


_OF_STORE: Mapping[type[failures.StoreError], tuple[int, str]] = {
    failures.Missing: (404, "not_found"),
    failures.Exists: (409, "exists"),
    failures.InUse: (409, "in_use"),
    failures.Stale: (412, "stale"),
    failures.BadCursor: (400, "bad_cursor"),
    failures.BadValue: (422, "invalid_request"),
    failures.OtherRequest: (422, "idempotency_key_reused"),
    failures.StoreBusy: (503, "store_busy"),
    failures.StoreAway: (503, "store_away"),
    failures.KeyAway: (503, "data_key_away"),
    failures.StoreFull: (507, "store_full"),
    failures.StoreDamaged: (503, "store_damaged"),
}
_RETRY_S: Mapping[type[failures.StoreError], str] = {
    failures.StoreBusy: "1",
    failures.StoreAway: "5",
    failures.KeyAway: "5",
}


def of_store(error: failures.StoreError) -> Problem | None:
    """None for what no request should meet: that is a bug of ours."""
    if type(error) not in _OF_STORE:
        return None
    status, code = _OF_STORE[type(error)]
    retry = _RETRY_S.get(type(error))
    return Problem(status, code, str(error), headers={"retry-after": retry} if retry else {})


_EXPECTED: Mapping[str, str] = {  # pydantic's error types; the values' own parsers say the rest
    "missing": "a value",
    "extra_forbidden": "no member of this name",
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "json_invalid": "JSON",
}
_BOUNDED: Mapping[str, str] = {
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "string_pattern_mismatch": "text that matches {pattern}",
    "literal_error": "one of {expected}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
}


def of_validation(details: Sequence[Mapping[str, Any]]) -> Problem:
    """Of pydantic's list of what is wrong with a request."""
    return invalid(*(_finding(detail) for detail in details[:MOST_FINDINGS]))


def finding_of(at: str, text: str) -> Finding:
    """From a text of gateway.yaml's rules: `expected this, found that`, `unknown key "x" (allowed: y)` or another."""
    if unknown := _UNKNOWN.fullmatch(text):
        return Finding(at=at, expected=f"a known {unknown[1]}{unknown[3]}", found=unknown[2])
    if not text.startswith("expected "):
        return Finding(at=at, expected=f"another value ({text})")
    wanted, _, had = text.removeprefix("expected ").partition(", found ")
    return Finding(at=at, expected=wanted, found=had or None)


def _finding(detail: Mapping[str, Any]) -> Finding:
    place, kind = list(detail["loc"]), detail["type"]
    in_body = place[:1] == ["body"]
    path = tuple(place[1:]) if in_body else tuple(place)
    at = (shown_path(path) or "body") if in_body else ".".join(map(str, path))
    if kind == "value_error":
        return finding_of(at, str(detail["ctx"]["error"]))
    if kind == "extra_forbidden":
        return Finding(at=at, expected=_EXPECTED[kind], found=quoted(str(path[-1])))
    expected = _EXPECTED.get(kind) or _bounded(kind, detail.get("ctx", {})) or "another value"
    secret = any(part in _SECRET_MEMBERS for part in path)
    had = None if kind == "missing" or secret else found(_plain(detail.get("input")))
    return Finding(at=at, expected=expected, found=had)


def _bounded(kind: str, context: Mapping[str, Any]) -> str | None:
    text = _BOUNDED.get(kind)
    return None if text is None else re.sub(r"\{(\w+)\}", lambda name: str(context.get(name[1], "")), text)


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | str | dict | list) else str(value)

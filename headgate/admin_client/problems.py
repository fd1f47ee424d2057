"""What the operator reads of a refusal: what was wrong, what is allowed, what to do. Pure.

Problem documents are RFC 9457's, with `code`, `request_id` and, for bodies that are wrong, `errors`.
"""

import json
from typing import Any

from headgate.admin_client.words import plain

_BY_CODE = {
    "managed_by_file": "change it in gateway.yaml: what stands there is read-only here",
    "role_not_allowed": "`headgate whoami` says whom the gateway takes this key for",
}
_BY_STATUS = {
    401: "put a key or a token that works in HEADGATE_ADMIN_KEY, or in a file for --key-file",
    412: "look at what it is now, then give the command again",
    429: "wait a little, then give the command again",
    503: "the rest of the gateway goes on; `headgate status` says what is away; give the command again later",
}


def problem_of(content: bytes) -> dict[str, Any]:
    """The problem document in an answer's body; empty when there is none, as from something that is no gateway."""
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(said, dict):
        return {}
    error = said.get("error")  # the shape of errors beside the admin API, of Envoy's own among them
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return {"detail": error["message"], "code": error.get("code")}
    return said if any(isinstance(said.get(name), str) for name in ("title", "detail", "code")) else {}


def text_of(status: int, problem: dict[str, Any], request_id: str | None) -> str:
    """One line: what is wrong; what to do; the request's id."""
    if not problem:
        return f"status {status}, and no word of a gateway's: is the address right, without a path behind the port?"
    code = problem.get("code")
    said = _listed(problem.get("errors")) or problem.get("detail") or problem.get("title") or code
    parts = [plain(said).rstrip(".")]
    if advice := _BY_CODE.get(code if isinstance(code, str) else "") or _BY_STATUS.get(status):
        parts.append(advice)
    known = problem.get("request_id") or request_id
    return "; ".join(parts) + (f" (request {plain(known)})" if known else "")


def _listed(errors: Any) -> str:
    """`limits.rpm: expected a whole number, found "x"`, of each."""
    if not isinstance(errors, list):
        return ""
    return ", ".join(_one(error) for error in errors if isinstance(error, dict))


def _one(error: dict[str, Any]) -> str:
    at, expected, found = (error.get(name) for name in ("at", "expected", "found"))
    text = f"{plain(at)}: " if at else ""
    text += f"expected {plain(expected)}" if expected else "not allowed"
    return f"{text}, found {plain(found)}" if found is not None else text

"""In whose name a connection's requests are made: what the client said of itself with its upgrade. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from headgate.contract import FALLBACK, KEPT_PREFIX, MAX_BODY, REQUEST_ID, TARGET, TENANT

# Of the upgrade or of one connection (RFC 9110, section 7.6.1; RFC 6455), or about a body that was none.
_DROPPED = frozenset(
    {
        *("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
        *("host", "expect", "origin", "content-length", "content-type", "content-encoding"),
        *("accept", "accept-encoding", REQUEST_ID),
    }
)
_DROPPED_PREFIXES = ("sec-websocket-", "x-envoy-", "x-forwarded-", "x-headgate-")
_KEPT = (TARGET, FALLBACK)


@dataclass(frozen=True, slots=True)
class Asking:
    """A connection's caller: the path that it named, and the headers that its requests have."""

    tenant: str
    request_id: str  # of the upgrade
    path: str
    most_bytes: int  # of a body
    headers: dict[str, str] = field(repr=False)


def asking_of(path: str, headers: Iterable[tuple[str, str]]) -> Asking | None:
    """None for what did not come by Envoy's filters."""
    found: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        found[lower] = f"{found[lower]}, {value}" if lower in found else value
    if not (found.get(TENANT) and found.get(MAX_BODY, "").isdigit()):
        return None
    asked = {"content-type": "application/json", "accept": "text/event-stream"}
    for name, value in found.items():
        if name.startswith(KEPT_PREFIX):
            asked[name.removeprefix(KEPT_PREFIX)] = value
        elif name in _KEPT or not (name in _DROPPED or name.startswith(_DROPPED_PREFIXES)):
            asked[name] = value
    request_id = found.get(REQUEST_ID, "")
    return Asking(found[TENANT], request_id, path.partition("?")[0], int(found[MAX_BODY]), asked)

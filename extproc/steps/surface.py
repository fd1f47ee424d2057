"""Which endpoint is called: method and path, tenant-namespaced or not, to a surface."""

import re
from urllib.parse import parse_qs, parse_qsl, unquote_plus

from extproc.exchange import Exchange
from extproc.multipart import boundary_of, is_form
from extproc.refusal import BadRequest, MethodNotAllowed, NotFound, UnsupportedMedia
from extproc.surface import Surface
from extproc.surfaces import BY_PATH, CHAT, CHAT_BY_ID, CHAT_LIST, CHAT_UPDATE, ID, MODELS, RESPONSE_BY_ID, RESPONSES

# authz has already checked that the tenant in the path is the key's own.
_PATH = re.compile(r"(?:/tenants/[^/?]+)?/v1(/[^?]*)")


def find_surface(exchange: Exchange) -> None:
    """Fills `surface`; for the models endpoints `rest`: what follows /models; for what is about a response its id."""
    incoming = exchange.incoming
    match = _PATH.match(incoming.path)
    path = match[1] if match else ""
    surface = BY_PATH.get(path)
    if surface is CHAT and incoming.method != "POST":
        _require(exchange, "GET", "POST")
        exchange.surface = CHAT_LIST
        exchange.response_id = dict(parse_qsl(incoming.path.partition("?")[2])).get("after", "")
    elif surface is not None:
        _require(exchange, "POST")
        exchange.surface = surface
        _require_type(exchange)
    elif path.startswith(f"{RESPONSES.path}/"):
        _find_by_id(exchange, path, RESPONSES, RESPONSE_BY_ID)
    elif path.startswith(f"{CHAT.path}/"):
        _find_by_id(exchange, path, CHAT, CHAT_BY_ID)
    elif path == MODELS.path or path.startswith(f"{MODELS.path}/"):
        if incoming.method != "DELETE" or path.removeprefix(MODELS.path) in ("", "/"):
            _require(exchange, "GET")
        exchange.surface = MODELS
        exchange.rest = path.removeprefix(MODELS.path)
    else:
        raise _nothing_there(exchange)


def _find_by_id(exchange: Exchange, path: str, of: Surface, surfaces: tuple[Surface, ...]) -> None:
    name, slash, action = path.removeprefix(f"{of.path}/").partition("/")
    wanted = f"{of.path}/{ID}{slash}{action}"
    found = {surface.method: surface for surface in surfaces if surface.path == wanted}
    if not found or not name:
        raise _nothing_there(exchange)
    surface = found.get(exchange.incoming.method)
    if surface is None:
        _require(exchange, *found)
        return
    query = _kept_query(exchange.incoming.path, surface)
    exchange.surface, exchange.response_id = surface, name
    exchange.endpoint = f"{path}?{query}" if query else path
    exchange.streams = surface.streams and parse_qs(query).get("stream", [""])[-1] == "true"
    if surface is CHAT_UPDATE:
        _require_type(exchange)


def _kept_query(path: str, surface: Surface) -> str:
    """What of the client's query the API knows, as the client wrote it."""
    pairs = path.partition("?")[2].split("&")
    return "&".join(pair for pair in pairs if unquote_plus(pair.partition("=")[0]) in surface.query)


def _nothing_there(exchange: Exchange) -> NotFound:
    incoming = exchange.incoming
    return NotFound(f"There is nothing at {incoming.method} {_shown(incoming.path)}.", code="unknown_url")


def _shown(path: str) -> str:
    path = path.partition("?")[0]  # a query may hold what is not ours to repeat
    return path if len(path) <= 120 else f"{path[:120]}…"


def _require(exchange: Exchange, *methods: str) -> None:
    if exchange.incoming.method not in methods:
        allowed = ", ".join(methods)
        raise MethodNotAllowed(
            f"{_shown(exchange.incoming.path)} takes {allowed}, not {exchange.incoming.method}.",
            code="method_not_allowed",
            headers={"allow": allowed},
        )


def _require_type(exchange: Exchange) -> None:
    surface, found = exchange.surface, exchange.incoming.content_type
    if surface.forms and is_form(found):
        boundary_of(found)
    elif not (surface.json and found.partition(";")[0].strip().lower() == "application/json"):
        forms, json = ["multipart/form-data; boundary=..."] * surface.forms, ["application/json"] * surface.json
        wanted = "' or '".join(f"Content-Type: {one}" for one in (*forms, *json))
        shown = f"'{found[:80]}'" if found else "none"
        raise BadRequest(
            f"The request needs the header '{wanted}'; found {shown}.",
            param="content-type",
            code="invalid_content_type",
        )
    encoding = exchange.incoming.content_encoding.strip().lower()
    if encoding not in ("", "identity"):
        raise UnsupportedMedia(
            "Compressed request bodies are not accepted: send it as it is, without 'Content-Encoding' or with "
            f"'identity'; found '{encoding[:40]}'.",
            param="content-encoding",
            code="invalid_content_encoding",
            headers={"accept-encoding": "identity"},  # RFC 9110, section 12.5.3
        )

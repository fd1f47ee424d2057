"""Chat completions that their provider stores: marked when they are made, so that a tenant's own can be listed.

A list is one provider's. Several tenants may share the account: what is asked for is what bears the tenant's mark,
and what comes back is looked at once more (stored_answer.py).
"""

from urllib.parse import parse_qsl, urlencode

import msgspec

from extproc.exchange import Answer, Exchange
from extproc.refusal import BadRequest
from extproc.steps.maker import forget_others, is_account_of, not_found, require_look_up
from extproc.steps.parse import parse
from extproc.steps.plan import plan_by_id
from extproc.steps.policy import models_of, take_model, unknown_model
from extproc.stored import MODEL, TENANT, has_room, marks_of, require_no_marks
from extproc.surfaces import CHAT, CHAT_LIST, CHAT_UPDATE
from headgate.snapshot import TargetRow

_EMPTY = msgspec.json.encode({"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False})
_METADATA = "metadata["

Places = list[tuple[str, TargetRow]]  # models as clients name them, with their targets that store
Pair = tuple[str, str]  # of a query


def find_stored(exchange: Exchange) -> None:
    """Fills `stores` of a request for a completion that is to be stored: its tenant's mark is looked up then."""
    if exchange.surface is CHAT and exchange.document.get("store") is True:
        exchange.stores = any(target.stored for target in exchange.targets)


def mark_stored(exchange: Exchange) -> None:
    """Fills `marks` of such a request."""
    if exchange.stores:
        exchange.stores = any(target.stored for target in exchange.chain)
        _mark(exchange, exchange.model)


def mark_update(exchange: Exchange) -> None:
    """Puts the marks into metadata that takes the place of what was there."""
    if exchange.surface is not CHAT_UPDATE:
        return
    parse(exchange)
    _mark(exchange, exchange.maker.model if exchange.maker else exchange.model)
    exchange.json.set("metadata", (exchange.document.get("metadata") or {}) | exchange.marks)


def _mark(exchange: Exchange, model: str) -> None:
    metadata = exchange.document.get("metadata")
    require_no_marks(metadata or ())
    exchange.marks = marks_of(exchange.mark, model) if exchange.mark and has_room(metadata) else {}


def list_stored(exchange: Exchange) -> Answer | None:
    """Fills `model`, `row`, `targets`, `endpoint` and `plan` of a list; the answer where there is nothing to list."""
    if exchange.surface is not CHAT_LIST:
        return None
    query = _query(exchange.incoming.path)
    require_no_marks(name.removeprefix(_METADATA).removesuffix("]") for name, _ in query)
    model = dict(query).get("model", "")
    require_look_up(exchange)
    forget_others(exchange)
    places = _wanted(exchange, _before(exchange, _places(exchange, model)))
    providers = list(dict.fromkeys(target.provider for _, target in places))
    if not providers:
        return Answer(_EMPTY, CHAT_LIST)
    if len(providers) > 1:
        raise BadRequest(
            f"Completions are stored at {', '.join(providers)}, each of which lists its own: name a 'model'"
            f"{' with one of them' if model else ''}, or one of them in the header 'x-headgate-target'.",
            param="model",
            code="provider_needed",
        )
    name, target = places[0]
    take_model(exchange, name, [target])
    exchange.chain = (target,)
    exchange.endpoint = f"{CHAT.path}?{_sent(exchange.mark, query, model)}"
    plan_by_id(exchange)
    return None


def _places(exchange: Exchange, model: str) -> Places:
    models = models_of(exchange)
    if model and model not in models:
        raise unknown_model(model)
    return [(name, one) for name in ([model] if model else models) for one in models[name] if one.stored]


def _before(exchange: Exchange, places: Places) -> Places:
    """Those at the provider of the completion that the page comes after."""
    if not exchange.response_id:
        return places
    maker = exchange.maker
    found = [place for place in places if maker and is_account_of(maker, place[1])]
    if not found:
        raise not_found(exchange)
    return found


def _wanted(exchange: Exchange, places: Places) -> Places:
    """Any tenant may say whose list it wants: all of it is its own."""
    wanted = exchange.incoming.wanted_target
    found = [place for place in places if not wanted or place[1].provider == wanted]
    if wanted and not found:
        raise BadRequest(
            "The header 'x-headgate-target' names no provider that stores completions for you.",
            param="x-headgate-target",
            code="unknown_target",
        )
    return found


def _query(path: str) -> list[Pair]:
    """What of it the API knows; of what is given twice the last, as it has been looked up."""
    found = parse_qsl(path.partition("?")[2], keep_blank_values=True)
    plain = {name: value for name, value in found if name in CHAT_LIST.query and value}
    return [
        (name, value if _is_filter(name) else plain.pop(name))
        for name, value in found
        if _is_filter(name) or name in plain
    ]


def _is_filter(name: str) -> bool:
    return name.startswith(_METADATA) and name.endswith("]")


def _sent(mark: str, query: list[Pair], model: str) -> str:
    """The query with the mark. It stands for the model: the provider knows that by another name."""
    name = MODEL if model else TENANT
    pairs = [pair for pair in query if pair[0] != "model"]
    return urlencode([*pairs, (f"{_METADATA}{name}]", marks_of(mark, model)[name])])

"""What was made before, a response or a stored completion: only its maker knows it, only its tenant may ask for it.

An id that is not known is refused here, and so is one of another tenant, in the same words: no provider is asked.
"""

from extproc.exchange import Exchange, Maker
from extproc.refusal import BadRequest, NoLookUp, NotFound
from extproc.steps.plan import plan_by_id
from extproc.steps.policy import may_use, models_of, take_model
from extproc.surfaces import CHAT_LIST, OF_RESPONSES, OF_STORED
from headgate.feed.replicas import ReplicaState
from headgate.snapshot import TargetRow

_RUNNING = (ReplicaState.READY, ReplicaState.DRAINING)
_GONE = "the replica of the engine that had it in its memory is gone"


def find_previous(exchange: Exchange) -> None:
    """Fills `response_id` where the request goes on from another response; refuses what is kept for nobody."""
    document = exchange.document
    if exchange.surface not in OF_RESPONSES:
        return
    if document.get("conversation") is not None and not exchange.incoming.wanted_target:
        raise BadRequest(
            "Conversations are kept at one provider and for no tenant, so this gateway takes none: send "
            "'previous_response_id', or name the provider in the header 'x-headgate-target'.",
            param="conversation",
            code="unsupported_parameter",
        )
    exchange.response_id = document.get("previous_response_id") or ""


def keep_maker(exchange: Exchange) -> None:
    """Leaves in `targets` the one that made the previous response, or another model at the same provider.

    Fills `replica`.
    """
    name = exchange.response_id
    if not name:
        return
    require_look_up(exchange)
    forget_others(exchange)
    found = _targets_of(exchange.maker, exchange.targets) if exchange.maker else []
    if not found and _has_lost_key(exchange.maker, exchange.targets):
        raise BadRequest(
            f"The response '{_shown(name)}' was made with a credential that the gateway no longer has at its "
            "provider. Send the whole conversation.",
            param="previous_response_id",
            code="previous_response_elsewhere",
        )
    if exchange.maker and not found:
        if wanted := exchange.incoming.wanted_target:
            where, way = f"not made at the provider '{wanted}'", "Remove the header 'x-headgate-target'"
        else:
            where = f"made at a provider that the model '{exchange.model}' does not have"
            way = f"Go on with the model '{exchange.maker.model}'"
        raise BadRequest(
            f"The response '{_shown(name)}' was {where}. {way}, or send the whole conversation.",
            param="previous_response_id",
            code="previous_response_elsewhere",
        )
    if not found:
        raise BadRequest(
            f"Previous response with id '{_shown(name)}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    if not _lead_to_replica(exchange, found[0]):
        raise BadRequest(
            f"Previous response with id '{_shown(name)}' not found: {_GONE}. Send the whole conversation.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    exchange.targets = found[:1]


def ask_maker(exchange: Exchange) -> None:
    """Fills `model`, `row`, `targets`, `replica` and `plan` of a request about what was made before."""
    if exchange.surface is CHAT_LIST:
        return
    require_look_up(exchange)
    forget_others(exchange)
    maker, models, is_stored = exchange.maker, models_of(exchange), exchange.surface in OF_STORED
    for name in (maker.model, *models) if maker else ():
        found = _targets_of(maker, models.get(name, []), is_stored=is_stored) if maker else []
        if found:
            take_model(exchange, name, found[:1])
            exchange.chain = tuple(found[:1])
            if not _lead_to_replica(exchange, found[0]):
                raise not_found(exchange, _GONE)
            plan_by_id(exchange)
            return
    lost = any(_has_lost_key(maker, targets, is_stored=is_stored) for targets in models.values())
    raise not_found(exchange, "it was made with a credential that the gateway no longer has at its provider" * lost)


def forget_others(exchange: Exchange) -> None:
    """What a model has made that the key may not use is as unknown as another tenant's."""
    if exchange.maker and not may_use(exchange, exchange.maker.model):
        exchange.maker = None


def _targets_of(maker: Maker, targets: list[TargetRow], *, is_stored: bool = False) -> list[TargetRow]:
    """The maker's own target first, then others of its provider's account.

    Of a provider with several keys these are those with the maker's key. What was made when it had one key is asked
    of the first, what was made with one of several and has one now, of that.
    """
    same = [one for one in _at_provider(maker, targets, is_stored=is_stored) if is_account_of(maker, one)]
    return sorted(same, key=lambda target: target.model != maker.upstream_model)


def is_account_of(maker: Maker, target: TargetRow) -> bool:
    """Whether the target goes to the provider with the maker's key, as far as both have one among several."""
    return target.provider == maker.provider and (not maker.key or target.key in (None, maker.key))


def _has_lost_key(maker: Maker | None, targets: list[TargetRow], *, is_stored: bool = False) -> bool:
    """Whether the maker's provider is there, and has several keys, without the maker's."""
    keys = [target.key for target in _at_provider(maker, targets, is_stored=is_stored)] if maker else []
    return any(keys) and maker is not None and bool(maker.key) and maker.key not in keys


def _at_provider(maker: Maker, targets: list[TargetRow], *, is_stored: bool) -> list[TargetRow]:
    return [one for one in targets if one.provider == maker.provider and (one.stored if is_stored else one.responses)]


def _lead_to_replica(exchange: Exchange, target: TargetRow) -> bool:
    """Fills `replica` where an engine's alone has it in its memory; whether that one can still be asked."""
    address = exchange.maker.replica if exchange.maker and target.spread else ""
    known = exchange.replicas.of(target.cluster) if address else None
    if known is not None and not any(one.address == address and one.state in _RUNNING for one in known):
        return False
    exchange.replica = address
    return True


def not_found(exchange: Exchange, reason: str = "") -> NotFound:
    """The same for an id that is nobody's and for another tenant's; `reason` for what was the tenant's own."""
    name = _shown(exchange.response_id)
    why = f": {reason}" if reason else ""
    if exchange.surface not in OF_STORED:
        return NotFound(f"Response with id '{name}' not found{why}.", code="response_not_found")
    param = "after" if exchange.surface is CHAT_LIST else None
    return NotFound(f"Chat completion with id '{name}' not found{why}.", param=param, code="completion_not_found")


def require_look_up(exchange: Exchange) -> None:
    """Refuses where nobody could say who made it."""
    if exchange.was_found:
        return
    headers = {"retry-after": "1"}
    if exchange.surface in OF_STORED:
        words = "The gateway cannot look up stored completions right now. Retry after a short wait."
        raise NoLookUp(words, code="completion_ids_unavailable", headers=headers)
    words = "The gateway cannot look up responses right now. Retry after a short wait."
    raise NoLookUp(words, code="response_ids_unavailable", headers=headers)


def _shown(name: str) -> str:
    return name if len(name) <= 128 else f"{name[:128]}…"

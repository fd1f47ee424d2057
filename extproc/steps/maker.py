"""Responses that were made before: only the target that made one knows it, and only its own tenant may ask for it.

An id that is not known is refused here, and so is one of another tenant, in the same words: no provider is asked.
"""

from extproc.exchange import Exchange, Maker
from extproc.refusal import BadRequest, NoLookUp, NotFound
from extproc.steps.plan import plan_by_id
from extproc.steps.policy import models_of
from extproc.surfaces import OF_RESPONSES
from headgate.snapshot import TargetRow


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
    """Leaves in `targets` the one that made the previous response, or another model at the same provider."""
    name = exchange.response_id
    if not name:
        return
    _require_look_up(exchange)
    found = _targets_of(exchange.maker, exchange.targets) if exchange.maker else []
    if exchange.maker and not found:
        raise BadRequest(
            f"The response '{_shown(name)}' was made at a provider that the model '{exchange.model}' does not have. "
            f"Go on with the model '{exchange.maker.model}', or send the whole conversation.",
            param="previous_response_id",
            code="previous_response_elsewhere",
        )
    if not found:
        raise BadRequest(
            f"Previous response with id '{_shown(name)}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    exchange.targets = found[:1]


def ask_maker(exchange: Exchange) -> None:
    """Fills `model`, `row`, `targets` and `plan` of a request about a response."""
    _require_look_up(exchange)
    maker, models = exchange.maker, models_of(exchange)
    for name in (maker.model, *models) if maker else ():
        found = _targets_of(maker, models.get(name, [])) if maker else []
        if found:
            exchange.model, exchange.row = name, exchange.snapshot.models[name]
            exchange.targets, exchange.chain = found[:1], tuple(found[:1])
            plan_by_id(exchange)
            return
    raise NotFound(f"Response with id '{_shown(exchange.response_id)}' not found.", code="response_not_found")


def _targets_of(maker: Maker, targets: list[TargetRow]) -> list[TargetRow]:
    """The maker's own target first, then others of its provider's account."""
    same = [target for target in targets if target.provider == maker.provider and target.responses]
    return sorted(same, key=lambda target: target.model != maker.upstream_model)


def _require_look_up(exchange: Exchange) -> None:
    if not exchange.was_found:
        raise NoLookUp(
            "The gateway cannot look up responses right now. Retry after a short wait.",
            code="response_ids_unavailable",
            headers={"retry-after": "1"},
        )


def _shown(name: str) -> str:
    return name if len(name) <= 128 else f"{name[:128]}…"

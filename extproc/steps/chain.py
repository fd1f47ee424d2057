"""The chain: which targets are asked, one attempt after the other.

A target that is left out has a reason: the client wanted another one, it cannot do what is asked, the prompt is too
long for it, or it is known not to work now. Where only the last would leave nothing, the least bad are asked.
"""

from collections.abc import Callable, Sequence
from functools import partial

from extproc.exchange import Exchange
from extproc.native import is_native, native_fit
from extproc.refusal import BadRequest, ContextTooLong, Forbidden, unsupported
from extproc.steps.keys import choose_keys, spare_keys
from extproc.steps.order import in_order, note_first, states_of
from extproc.tokens.room import asked_for, room
from extproc.translate import direction_of
from extproc.translate.direction import Target
from headgate.feed.replicas import ReplicaState
from headgate.feed.states import State
from headgate.snapshot import TargetRow


def rank_by_cost(exchange: Exchange) -> None:
    """Ranks once more what goes by costs, now that the prompt has been counted."""
    if exchange.row.strategy == "cheapest" and exchange.sizes:
        exchange.targets = in_order(exchange, exchange.targets)


def draw_chain(exchange: Exchange) -> None:
    """Fills `chain`: the target of each attempt. No other replica could go on from what one has in its memory."""
    single = _fallback_is_off(exchange) or bool(exchange.replica)
    drawn = tuple(_working(exchange, _roomy(exchange, exchange.targets)))
    others, replicas = partial(spare_keys, exchange), partial(_replicas, exchange)
    exchange.chain = drawn[:1] if single else attempts(drawn, exchange.row.max_attempts, others, replicas)


def note_choice(exchange: Exchange) -> None:
    """Tells those who choose next."""
    note_first(exchange, exchange.chain[0])


def rank_targets(exchange: Exchange) -> None:
    """Leaves in `targets` those that can do what is asked, most preferred first."""
    if not exchange.to_count:  # a count that is answered here needs none
        able = _able(exchange, exchange.targets)
        exchange.targets = in_order(exchange, choose_keys(exchange, able) if exchange.row.has_pools else able)


def _no_keys(_target: TargetRow) -> Sequence[TargetRow]:
    return ()


def _endpoints(target: TargetRow) -> int:
    return target.endpoints


def _replicas(exchange: Exchange, target: TargetRow) -> int:
    """How many there are: one name may stand for several."""
    known = exchange.replicas.of(target.cluster) if target.spread else None
    return max(target.endpoints, sum(one.state is ReplicaState.READY for one in known)) if known else target.endpoints


def attempts(
    targets: tuple[TargetRow, ...],
    most: int,
    others: Callable[[TargetRow], Sequence[TargetRow]] = _no_keys,
    replicas: Callable[[TargetRow], int] = _endpoints,
) -> tuple[TargetRow, ...]:
    """Each target once, as far as `most` goes; what is left goes to `others`, with further keys of the first ones,
    then to further replicas of them.
    """
    targets = targets[:most]
    spare = most - len(targets)
    chain: list[TargetRow] = []
    for target in targets:
        further = others(target)[:spare] if target.pool and spare else ()
        again = min(spare - len(further), replicas(target) - 1)
        spare -= len(further) + again
        chain += [target, *further, *[target] * again]
    return tuple(chain)


def keep_wanted(exchange: Exchange) -> None:
    """Leaves in `targets` those of the provider that the request names, where the tenant may name one."""
    wanted = exchange.incoming.wanted_target
    if not wanted:
        return
    if exchange.tenant is None or not exchange.tenant.pins:
        raise Forbidden(
            "This tenant may not choose the target of a request: remove the header 'x-headgate-target'.",
            param="x-headgate-target",
            code="target_not_allowed",
        )
    found = [target for target in exchange.targets if target.provider == wanted]
    if not found:
        names = ", ".join(dict.fromkeys(target.provider for target in exchange.targets))
        raise BadRequest(
            f"The header 'x-headgate-target' names no target of the model '{exchange.model}'; it has {names}.",
            param="x-headgate-target",
            code="unknown_target",
        )
    exchange.targets = found


def _fallback_is_off(exchange: Exchange) -> bool:
    if not exchange.incoming.fallback:
        return False
    value = exchange.incoming.fallback.strip().lower()
    if value not in ("on", "off"):
        raise BadRequest(
            "The header 'x-headgate-fallback' takes 'on' or 'off'.", param="x-headgate-fallback", code="invalid_value"
        )
    return value == "off"


def _able(exchange: Exchange, targets: list[TargetRow]) -> list[TargetRow]:
    """Those that can do what is asked; with `drop_unsupported` also those that would leave something out."""
    surface = exchange.surface
    lacking = {
        index: _lacking(exchange, target)
        for index, target in enumerate(targets)
        if target.preset is not None or not is_native(target, surface)
    }
    if not lacking:
        return targets
    able = [target for index, target in enumerate(targets) if _can(exchange, lacking.get(index, ()))]
    return able or _refuse(exchange, targets, lacking)


def _can(exchange: Exchange, lacking: tuple[str, ...] | None) -> bool:
    return lacking is not None and (not lacking or exchange.row.drop_unsupported)


def _lacking(exchange: Exchange, target: TargetRow) -> tuple[str, ...] | None:
    """What a target of another API, or with a preset, cannot do of the request.

    None when it cannot answer such requests at all.
    """
    if is_native(target, exchange.surface):
        fit = native_fit(target, exchange.surface, exchange.document.values)
        return fit.unsupported if fit else ()
    direction = direction_of(exchange.surface.name, target.api)
    if direction is None:
        return None
    asked = Target(target.provider, target.model, target.usage, target.max_output_tokens, target.preset)
    return direction.unsupported(exchange.document.values, asked)


def _refuse(
    exchange: Exchange, targets: list[TargetRow], lacking: dict[int, tuple[str, ...] | None]
) -> list[TargetRow]:
    names = tuple(dict.fromkeys(name for some in lacking.values() for name in some or ()))
    if not names:
        raise BadRequest(
            f"No provider of the model '{exchange.model}' has the endpoint /v1{exchange.surface.path}.",
            param="model",
            code="no_target",
        )
    providers = tuple(dict.fromkeys(target.provider for index, target in enumerate(targets) if lacking[index]))
    raise unsupported(names, providers)


def _roomy(exchange: Exchange, targets: list[TargetRow]) -> list[TargetRow]:
    """Those whose context window takes the prompt and what may follow, where the prompt's length is known."""
    known = {model: size.longest for model, size in (exchange.at_least | exchange.sizes).items()}
    if not known:
        return targets
    asked = asked_for(exchange.surface.name, exchange.document.get)
    roomy = [target for target in targets if _has_room(target, known.get(target.counted_as), asked)]
    if not roomy:
        widest = max(targets, key=lambda target: target.context_window or 0)
        window, tokens = widest.context_window or 0, known[widest.counted_as]
        output = asked if asked > 1 else None  # 1 is for a client that does not say
        raise ContextTooLong(exchange.model, window, tokens, output, exchange.surface.prompt)
    return roomy


def _has_room(target: TargetRow, tokens: int | None, asked: int) -> bool:
    return target.context_window is None or tokens is None or room(tokens, asked, target.context_window)


def _working(exchange: Exchange, targets: list[TargetRow]) -> list[TargetRow]:
    """Those in the best state that one of them is in: all the good ones, if there are any, and those that are low."""
    if len(targets) == 1:
        return targets
    states = states_of(exchange, targets)
    best = max(min(states), State.LOW)
    return [target for target, state in zip(targets, states, strict=True) if state <= best]

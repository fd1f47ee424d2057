"""What a request may cost at each target: for the order of targets alone, so that estimates are good enough."""

import time
from math import ceil

from extproc.exchange import Exchange
from extproc.steps.bound import default_limit
from extproc.steps.plan import answers_of, prompts_of
from extproc.surfaces import EMBEDDINGS
from extproc.tokens.room import limit_of
from headgate.feed.allowances import Need
from headgate.snapshot import TargetRow

_BYTES_PER_TOKEN = 4


def costs_of(exchange: Exchange, targets: list[TargetRow]) -> list[float] | None:
    """Millionths of a USD, one for each target; None where one of them has no price."""
    output = _output_tokens(exchange)
    found: list[float] = []
    for target in targets:
        if target.usd is None:
            return None
        of_prompt, of_answer = _usd_now(target, target.usd)
        found.append(_prompt_tokens(exchange, target) * of_prompt + output * of_answer)
    return found


def _usd_now(target: TargetRow, first: tuple[float, float]) -> tuple[float, float]:
    found, now_ms = first, time.time() * 1000 if target.usd_later else 0.0
    for from_ms, of_prompt, of_answer in target.usd_later:
        if from_ms <= now_ms:
            found = of_prompt, of_answer
    return found


def need_of(exchange: Exchange, target: TargetRow) -> Need:
    """What a request may take of a provider's own limits: providers count what it asks for, so far as it says."""
    asked = limit_of(exchange.surface.name, exchange.document.get) or 0
    return Need(ceil(_prompt_tokens(exchange, target)), asked * answers_of(exchange) * prompts_of(exchange))


def _prompt_tokens(exchange: Exchange, target: TargetRow) -> float:
    """As it was counted, for this target or another one; until then by the body's size."""
    model = target.counted_as
    size = exchange.sizes.get(model) or next(iter(exchange.sizes.values()), None)
    return size.total * exchange.factor_of(*model) if size else len(exchange.raw_body) / _BYTES_PER_TOKEN


def _output_tokens(exchange: Exchange) -> float:
    """As long as the model's answers are on average, and no longer than is asked for."""
    if exchange.surface is EMBEDDINGS:
        return 0
    asked = limit_of(exchange.surface.name, exchange.document.get)
    most = (default_limit(exchange) if asked is None else asked) * answers_of(exchange) * prompts_of(exchange)
    usual = exchange.figures.answer_tokens(exchange.base_model)
    if usual is None:
        return most
    return min(usual, most) if asked is not None else usual

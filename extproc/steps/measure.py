"""How long the prompt is, where that decides something: a target's context window, or a client that asks for it.

Most requests need no count: a prompt cannot have more tokens than its bytes allow. What has to be counted is left to
the service, which may take its time over it.
"""

from extproc.exchange import Answer, Exchange
from extproc.refusal import unsupported
from extproc.surfaces import COUNT_TOKENS
from extproc.tokens.prompt import prompt_of
from extproc.tokens.room import asked_for, room_at_a_glance
from extproc.tokens.rules import rule_of
from extproc.translate.anthropic_openai.count import count_answer, uncounted
from headgate.snapshot import TargetRow


def measure(exchange: Exchange) -> None:
    """Fills `to_count`, and `prompt_tokens` with what is known without counting."""
    if exchange.surface is COUNT_TOKENS:
        _to_answer(exchange, exchange.targets[0])
        return
    windows = [target.context_window for target in exchange.targets if target.context_window is not None]
    if not windows or _is_short(exchange.raw_body, min(windows)):
        return
    for target in exchange.targets:
        if target.context_window is not None and target.model not in exchange.to_count:
            _look(exchange, target, target.context_window)


def answer_count(exchange: Exchange) -> Answer | None:
    """Answers a count that the first target's API has no endpoint for."""
    if exchange.surface is not COUNT_TOKENS or not exchange.prompt_tokens:
        return None
    (tokens,) = exchange.prompt_tokens.values()
    return Answer(count_answer(tokens), COUNT_TOKENS)


def _is_short(body: bytes, window: int) -> bool:
    """Whether it fits in any case: at most 1.7 tokens for a byte, templates included, but for pictures."""
    return len(body) * 2 < window and b"image" not in body


def _look(exchange: Exchange, target: TargetRow, window: int) -> None:
    get = exchange.document.get
    prompt = prompt_of(exchange.surface.name, get, rule_of(target.model, target.api))
    fits = room_at_a_glance(prompt, asked_for(exchange.surface.name, get), window)
    if fits is None:
        exchange.to_count[target.model] = prompt
    elif not fits:
        exchange.prompt_tokens[target.model] = prompt.at_least.longest


def _to_answer(exchange: Exchange, target: TargetRow) -> None:
    if target.api == COUNT_TOKENS.api:
        return
    missing = uncounted(exchange.document.values)
    if missing and not exchange.row.drop_unsupported:
        raise unsupported(missing, (target.provider,))
    rule = rule_of(target.model, target.api)
    exchange.to_count[target.model] = prompt_of(COUNT_TOKENS.name, exchange.document.get, rule)

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
from extproc.tokens.tally import Prompt
from extproc.translate.anthropic_openai.count import count_answer, uncounted
from headgate.snapshot import TargetRow

# Members and parts of a body that may have many tokens in few bytes, or ask for many.
_DENSE = (b"audio", b"document", b"file", b"image", b"max_")
_AROUND = 900  # tokens at most around messages and tools: templates, Claude's tool prompt


def measure(exchange: Exchange) -> None:
    """Fills `to_count`, and `prompt_tokens` with what is known without counting."""
    if exchange.surface is COUNT_TOKENS:
        _to_answer(exchange, exchange.targets[0])
        return
    bounded = [(target, target.context_window) for target in exchange.targets if target.context_window is not None]
    if bounded and not _is_short(exchange.raw_body, min(window for _, window in bounded)):
        _look(exchange, bounded)


def answer_count(exchange: Exchange) -> Answer | None:
    """Answers a count that the first target's API has no endpoint for."""
    if exchange.surface is not COUNT_TOKENS or not exchange.prompt_tokens:
        return None
    (tokens,) = exchange.prompt_tokens.values()
    return Answer(count_answer(tokens), COUNT_TOKENS)


def _is_short(body: bytes, window: int) -> bool:
    """Whether it fits in any case: no tokenizer makes two tokens of a byte."""
    return len(body) * 2 + _AROUND < window and not any(word in body for word in _DENSE)


def _look(exchange: Exchange, bounded: list[tuple[TargetRow, int]]) -> None:
    name, get = exchange.surface.name, exchange.document.get
    prompts: dict[tuple[str, str], Prompt] = {}
    for target, window in bounded:
        model = target.api, target.model
        if model not in prompts:
            prompts[model] = prompt_of(name, get, rule_of(target.model, target.api))
        fits = room_at_a_glance(prompts[model], asked_for(name, get), window)
        if fits is None:
            exchange.to_count[model] = prompts[model]
        elif not fits:
            exchange.prompt_tokens[model] = prompts[model].at_least.longest


def _to_answer(exchange: Exchange, target: TargetRow) -> None:
    if target.api == COUNT_TOKENS.api:
        return
    missing = uncounted(exchange.document.values)
    if missing and not exchange.row.drop_unsupported:
        raise unsupported(missing, (target.provider,))
    rule = rule_of(target.model, target.api)
    exchange.to_count[target.api, target.model] = prompt_of(COUNT_TOKENS.name, exchange.document.get, rule)

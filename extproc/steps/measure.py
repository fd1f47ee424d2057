"""How long the prompt is, where that decides something: a context window, a limit or budget by tokens, a client's
question.

Other requests need no count: a prompt cannot have more tokens than its bytes allow. What has to be counted is left to
the service, which may take its time over it.
"""

import msgspec

from extproc.exchange import Answer, Exchange, TargetModel
from extproc.native import is_native
from extproc.refusal import unsupported
from extproc.steps.bound import default_limit
from extproc.surfaces import COUNT_TOKENS, RESPONSE_TOKENS
from extproc.tokens.prompt import prompt_of
from extproc.tokens.room import asked_for, limit_of, room, room_at_a_glance
from extproc.tokens.rules import rule_of
from extproc.tokens.tally import Prompt
from extproc.translate.anthropic_openai.count import count_answer, uncounted
from headgate.snapshot import TargetRow

# Members and parts of a body that may have many tokens in few bytes, or ask for many.
_DENSE = (b"audio", b"document", b"file", b"image", b"max_")
_COUNTS = (COUNT_TOKENS, RESPONSE_TOKENS)
_PROVIDERS_OWN = ("conversation", "previous_response_id")  # what a prompt has of these is kept there
_AROUND = 900  # tokens at most around messages and tools: templates, Claude's tool prompt


def ask_count(exchange: Exchange) -> None:
    """Fills `to_count` for a client that asks for a count which the first target's API has no endpoint for."""
    target, surface = exchange.targets[0], exchange.surface
    if surface not in _COUNTS or is_native(target, surface):
        return
    missing = _uncounted(exchange)
    if missing and not exchange.row.drop_unsupported:
        raise unsupported(missing, (target.provider,))
    rule = rule_of(target.base_model, target.api)
    exchange.to_count[target.counted_as] = prompt_of(surface.name, exchange.document.get, rule)


def _uncounted(exchange: Exchange) -> tuple[str, ...]:
    """What of the prompt a count that is made here leaves out."""
    if exchange.surface is COUNT_TOKENS:
        return uncounted(exchange.document.values)
    return tuple(name for name in _PROVIDERS_OWN if exchange.document.get(name) is not None)


def answer_count(exchange: Exchange) -> Answer | None:
    """Answers with the count that was asked for."""
    if exchange.surface not in _COUNTS or not exchange.sizes:
        return None
    (size,) = exchange.sizes.values()
    if exchange.surface is COUNT_TOKENS:
        return Answer(count_answer(size.longest), COUNT_TOKENS)
    return Answer(_input_tokens(size.longest), RESPONSE_TOKENS)


def _input_tokens(tokens: int) -> bytes:
    """https://platform.openai.com/docs/api-reference/responses/input-tokens"""
    return msgspec.json.encode({"object": "response.input_tokens", "input_tokens": tokens})


def measure(exchange: Exchange) -> None:
    """Fills `to_count`, `at_least` with what is known without counting, and, where limits need it, `counted`."""
    if exchange.surface in _COUNTS:
        return
    name, get = exchange.surface.name, exchange.document.get
    asked = asked_for(name, get)
    # What a client does not limit, we do: with room for that, a window needs no count.
    wanted = default_limit(exchange) if exchange.has_token_limits and limit_of(name, get) is None else asked
    windows = [target.context_window for target in exchange.targets if target.context_window is not None]
    prompts: dict[TargetModel, Prompt] = {}
    if windows and not _is_short(exchange.raw_body, min(windows) - wanted):
        _look(exchange, prompts, asked, max(asked, wanted))
    if exchange.has_token_limits or exchange.in_background or exchange.has_token_budgets:
        _count_first(exchange, prompts, asked)


def _is_short(body: bytes, most: int) -> bool:
    """Whether it fits in any case: no tokenizer makes two tokens of a byte."""
    return len(body) * 2 + _AROUND <= most and not any(word in body for word in _DENSE)


def _look(exchange: Exchange, prompts: dict[TargetModel, Prompt], asked: int, wanted: int) -> None:
    for target in exchange.targets:
        if target.context_window is None:
            continue
        model = target.counted_as
        prompt = _prompt(exchange, prompts, model)
        fits = room_at_a_glance(prompt, asked, target.context_window)
        if fits is False:
            exchange.at_least[model] = prompt.at_least
        elif fits is None or (wanted > asked and not room_at_a_glance(prompt, wanted, target.context_window)):
            exchange.to_count[model] = prompt


def _count_first(exchange: Exchange, prompts: dict[TargetModel, Prompt], asked: int) -> None:
    """Has the prompt counted as each target does that may turn out to be the first with room for it."""
    for target in exchange.targets:
        model = target.counted_as
        if _is_too_long(exchange, target, asked):
            continue
        exchange.counted = exchange.counted or model
        if model not in exchange.to_count:
            exchange.to_count[model] = _prompt(exchange, prompts, model)
            return


def _is_too_long(exchange: Exchange, target: TargetRow, asked: int) -> bool:
    """Whether that is known at a glance. Another target of the same name may have more room."""
    bound = exchange.at_least.get(target.counted_as)
    window = target.context_window
    return bound is not None and window is not None and not room(bound.longest, asked, window)


def _prompt(exchange: Exchange, prompts: dict[TargetModel, Prompt], model: TargetModel) -> Prompt:
    if model not in prompts:
        api, name = model
        prompts[model] = prompt_of(exchange.surface.name, exchange.document.get, rule_of(name, api))
    return prompts[model]

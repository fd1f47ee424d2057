"""What a request may use at most, for tenants with limits by tokens or money: its prompt, and what may be generated.

What bounds the answer stands in the body in a field of fixed width, since the limiter may grant less than that. All
attempts are made from this body.
"""

from math import ceil

from extproc.exchange import Exchange, TargetModel, Use
from extproc.steps.plan import answers_of, prompts_of
from extproc.steps.units import use_of
from extproc.surfaces import CHAT, COMPLETIONS, EMBEDDINGS, RESPONSE_COMPACT, RESPONSES
from extproc.tokens.room import limit_of
from extproc.tokens.rules import rule_of
from extproc.tokens.unlisted import unlisted_tokens
from headgate.contract import MAX_CHARS
from headgate.presets import PRESETS
from headgate.snapshot import TargetRow

_UNBOUNDED = (EMBEDDINGS, RESPONSE_COMPACT)  # no parameter limits what is generated, if anything is
_MOST: int = 10**MAX_CHARS - 1
_ANSWERS_LIMIT = 2**18  # more than any provider gives; the product of both stays below 2**53
_COMPLETION_TOKENS = 16  # what an answer has where nobody says more: so it is in that API


def default_limit(exchange: Exchange) -> int:
    """How much may be generated where the client does not say, before any target is looked at."""
    most = exchange.row.default_max_tokens
    if exchange.surface in _UNBOUNDED or exchange.surface.passes:
        return 0
    return min(most, _COMPLETION_TOKENS) if exchange.surface is COMPLETIONS else most


def bound_answer(exchange: Exchange) -> None:
    """Fills `use` and `lowered_to`, and writes the limit into the body, where the tenant's limits need it."""
    if exchange.surface.is_free or not (exchange.has_token_limits or exchange.in_background):
        return
    exchange.use = use_at_most(exchange)
    limit = exchange.use.answer
    if exchange.surface.passes or not limit or not exchange.has_token_limits:
        return
    asked = limit_of(exchange.surface.name, exchange.document.get)
    if asked is not None and limit < asked:
        exchange.lowered_to = limit
    exchange.json.set_field(_name(exchange), limit, MAX_CHARS)


def use_at_most(exchange: Exchange) -> Use:
    """What the request may use with its chain."""
    if exchange.counted is None:
        raise RuntimeError("a prompt that limits go by was not counted")  # never unlimited for it
    if exchange.surface.passes:
        return use_of(exchange, *_prompt_tokens(exchange, exchange.counted))
    limit = _limit(exchange)
    answers = answers_of(exchange) * prompts_of(exchange) if limit else 1
    prompt, counted = _prompt_tokens(exchange, exchange.counted)
    if unlisted := unlisted_tokens(exchange.surface.name, exchange.json.members):
        prompt, counted = prompt + unlisted, None
    return Use(prompt, counted, limit, min(answers, _ANSWERS_LIMIT), exchange.in_background)


def _prompt_tokens(exchange: Exchange, other: TargetModel) -> tuple[int, int | None]:
    """Corrected, and not, if it was counted as the first attempt's target does; otherwise by the nearest there is."""
    first = exchange.chain[0].counted_as
    if first in exchange.sizes:
        counted = exchange.sizes[first].total
        return ceil(counted * exchange.factor_of(*first)), counted
    size = exchange.sizes.get(other) or exchange.to_count[other].guess
    return ceil(size.total * exchange.factor_of(*other)), None


def _limit(exchange: Exchange) -> int:
    surface, get = exchange.surface, exchange.document.get
    asked = limit_of(surface.name, get)
    if asked is None:
        nothing = surface in _UNBOUNDED or (surface is not CHAT and get("max_tokens") == 0)
        return 0 if nothing else _unasked(exchange)
    longest = [target.max_output_tokens for target in exchange.chain]
    known = [most for most in longest if most is not None]
    return min(asked, max(known) if len(known) == len(longest) else asked, _MOST)


def _unasked(exchange: Exchange) -> int:
    """A limit that the client did not ask for must be right for each target."""
    limits = [default_limit(exchange), _MOST]
    for target in exchange.chain:
        size = exchange.sizes.get(target.counted_as)
        if target.max_output_tokens is not None:
            limits.append(target.max_output_tokens)
        if target.context_window is not None and size:
            limits.append(target.context_window - size.longest)
    return max(1, min(limits))


def _name(exchange: Exchange) -> str:
    """The member that says it, the only one: of two that a client gives, the other one becomes null."""
    if exchange.surface is RESPONSES:
        return "max_output_tokens"
    if exchange.surface is not CHAT:
        other = "max_completion_tokens"  # engines may know it, that API does not
        if exchange.surface is COMPLETIONS and exchange.document.get(other) is not None:
            exchange.json.set(other, None)
        return "max_tokens"
    names = ("max_completion_tokens", "max_tokens")
    given = [name for name in names if exchange.document.get(name) is not None]
    if len(given) == 1:
        return given[0]
    # OpenAI's reasoning models take the new name alone, other makers' engines may know only the old one.
    name, other = names if any(map(_knows_new_name_alone, exchange.chain)) else names[::-1]
    if given:
        exchange.json.set(other, None)
    return name


def _knows_new_name_alone(target: TargetRow) -> bool:
    if target.api != "openai" or (target.preset and "max_completion_tokens" in PRESETS[target.preset].renamed):
        return False
    return rule_of(target.base_model).family == "openai"

"""What happens to a request inside `ext_proc`, in order: the second of the two lists to know.

The first is `headgate/edge/filters.py`, Envoy's filters. A step is a function of the exchange: it fills in what it
learns, raises a Refusal, or returns an Answer that ends the matter. Steps do no IO.
"""

from collections.abc import Callable

from extproc.exchange import Answer, Exchange
from extproc.steps.bound import bound_answer
from extproc.steps.chain import draw_chain, keep_wanted, note_choice, rank_by_cost, rank_targets
from extproc.steps.maker import ask_maker, find_previous, keep_maker
from extproc.steps.measure import answer_count, ask_count, measure
from extproc.steps.models import answer_models
from extproc.steps.parse import parse
from extproc.steps.plan import make_plan, write_body
from extproc.steps.policy import resolve_model
from extproc.steps.room import require_room
from extproc.steps.split import choose_variant
from extproc.steps.spread import spread
from extproc.steps.stored import find_stored, list_stored, mark_stored, mark_update
from extproc.steps.surface import find_surface
from extproc.steps.units import count_units
from extproc.steps.usage import ask_for_usage
from extproc.steps.version import choose_version

Step = Callable[[Exchange], Answer | None]

# With the request's headers.
ON_HEADERS: tuple[Step, ...] = (
    find_surface,
    require_room,
    answer_models,
)

# With its whole body.
ON_BODY: tuple[Step, ...] = (
    parse,
    resolve_model,
    keep_wanted,
    find_previous,
    find_stored,
)

# When it is known who made the response that the request goes on from, if it does, or what marks what is stored.
ON_MAKER: tuple[Step, ...] = (
    keep_maker,
    choose_version,
    choose_variant,
    ask_count,
    rank_targets,
    measure,
)

# Instead, where the request is about what was made before: when its maker is known.
ON_RESPONSE: tuple[Step, ...] = (
    list_stored,
    ask_maker,
    mark_update,
)

# When all of `to_count` has been counted.
ON_COUNT: tuple[Step, ...] = (
    answer_count,
    rank_by_cost,
    draw_chain,
    count_units,
)

# When all providers of the chain have room for it, of those that have a budget.
ON_CHAIN: tuple[Step, ...] = (
    note_choice,
    spread,
    ask_for_usage,
    bound_answer,
    mark_stored,
    write_body,
    make_plan,
)


def run(steps: tuple[Step, ...], exchange: Exchange) -> Answer | None:
    """Takes the exchange through the steps; the first answer ends it. Raises Refusal."""
    for step in steps:
        answer = step(exchange)
        if answer is not None:
            return answer
    return None

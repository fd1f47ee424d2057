"""What OpenAI's API knows as kinds of usage, in the store's words: which surfaces each is made of, and which of its
figures and groups are known here. Data, and how one row of sums becomes one result; nothing is asked for here.

What nobody has recorded is refused by name, never answered with a zero.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from headgate.usage_questions import Dimension, SumRow

# A group's name in the API, and what the store groups by for it.
_CALLERS: Mapping[str, tuple[Dimension, ...]] = {
    "project_id": ("project",),
    "user_id": ("user",),
    "api_key_id": ("key_id",),
}
_USUAL: Mapping[str, tuple[Dimension, ...]] = {**_CALLERS, "model": ("model",)}
TENANT_GROUP = "tenant_id"  # ours: for those who see several tenants
_OF_USAGE: Mapping[str, Dimension] = {
    "project_ids": "project",
    "user_ids": "user",
    "api_key_ids": "key_id",
    "models": "model",
}

SOURCES = {"image.generation": "images", "image.edit": "image_edits", "image.variation": "image_variations"}
_SOURCE_OF = {surface: source for source, surface in SOURCES.items()}
# What an amount is of: in a line item's name, and as OpenAI's `quantity_unit`, which knows no searches.
_UNITS: Mapping[str, tuple[str, str | None]] = {
    "": ("tokens", "tokens"),
    "image": ("images", "images"),
    "character": ("characters", "characters"),
    "second": ("seconds", "duration_seconds"),
    "search": ("searches", None),
}
_NANO_DIGITS = -9


@dataclass(frozen=True, slots=True)
class Kind:
    """One path below `/v1/organization`.

    `counts` makes a result's figures. `groups`: what it can be grouped by; `filters`: a parameter, and what of the
    store it names. `surfaces` None: all. `unrecorded_…`: OpenAI's that can't be answered here.
    """

    object: str
    surfaces: tuple[str, ...] | None
    counts: Callable[[SumRow], dict[str, Any]]
    groups: Mapping[str, tuple[Dimension, ...]] = field(default_factory=lambda: _USUAL)
    filters: Mapping[str, Dimension] = field(default_factory=lambda: _OF_USAGE)
    unrecorded_groups: tuple[str, ...] = ()
    unrecorded_filters: tuple[str, ...] = ()
    is_costs: bool = False

    @property
    def members(self) -> tuple[str, ...]:
        """What every result has beside its figures, null unless it was grouped by."""
        return (*self.groups, *self.unrecorded_groups)


def _completions(row: SumRow) -> dict[str, Any]:
    uncached = row.prompt_tokens - row.cached_tokens - row.cache_write_tokens
    return {
        "input_tokens": row.prompt_tokens,
        "input_cached_tokens": row.cached_tokens,
        "input_cache_write_tokens": row.cache_write_tokens,
        "input_uncached_tokens": max(0, uncached),
        "output_tokens": row.completion_tokens,
        "num_model_requests": row.requests,
    }


def _input(row: SumRow) -> dict[str, Any]:
    return {"input_tokens": row.prompt_tokens, "num_model_requests": row.requests}


def _units(name: str) -> Callable[[SumRow], dict[str, Any]]:
    return lambda row: {name: row.units, "num_model_requests": row.requests}


def _amount(row: SumRow) -> dict[str, Any]:
    return {"amount": {"value": dollars(row.price_nano), "currency": "usd"}, **_quantity(row)}


def _quantity(row: SumRow) -> dict[str, Any]:
    if "unit" not in row.group:
        return {"quantity": None, "quantity_unit": None}
    unit = row.group["unit"]
    counted = row.units if unit else row.prompt_tokens + row.completion_tokens
    return {"quantity": counted, "quantity_unit": _UNITS[unit][1]}


def dollars(nano: int) -> Decimal:
    """Nano-USD, exactly, without zeros at the end."""
    value = Decimal(nano).scaleb(_NANO_DIGITS)
    return value.quantize(Decimal(1)) if value == value.to_integral_value() else value.normalize()


KINDS: Mapping[str, Kind] = {
    "usage/completions": Kind(
        "organization.usage.completions.result",
        ("chat", "completions", "messages", "responses", "responses.compact"),
        _completions,
        {**_USUAL, "batch": ()},
        unrecorded_groups=("service_tier",),
    ),
    "usage/embeddings": Kind("organization.usage.embeddings.result", ("embeddings",), _input),
    "usage/moderations": Kind("organization.usage.moderations.result", ("moderations",), _input),
    "usage/images": Kind(
        "organization.usage.images.result",
        tuple(SOURCES.values()),
        _units("images"),
        {**_USUAL, "source": ("surface",)},
        unrecorded_groups=("size",),
        unrecorded_filters=("sizes",),
    ),
    "usage/audio_speeches": Kind("organization.usage.audio_speeches.result", ("speech",), _units("characters")),
    "usage/audio_transcriptions": Kind(
        "organization.usage.audio_transcriptions.result", ("transcriptions", "translations"), _units("seconds")
    ),
    "costs": Kind(
        "organization.costs.result",
        None,
        _amount,
        {**_CALLERS, "line_item": ("model", "surface", "unit")},
        {"project_ids": "project", "api_key_ids": "key_id"},
        is_costs=True,
    ),
}
# What OpenAI has beside them, and this gateway does not have at all.
UNKNOWN_KINDS: Mapping[str, str] = {
    "usage/vector_stores": "vector stores",
    "usage/code_interpreter_sessions": "code interpreter sessions",
    "usage/file_search_calls": "file searches",
    "usage/web_search_calls": "web searches",
}


def result_of(kind: Kind, row: SumRow, grouped: tuple[str, ...]) -> dict[str, Any]:
    """One result. What a request did not say (no user, no project) is null, as is what was not grouped by."""
    named = {name: _value(kind, name, row.group) if name in grouped else None for name in kind.members}
    if TENANT_GROUP in grouped:
        named[TENANT_GROUP] = row.group["tenant"] or None
    return {"object": kind.object, **kind.counts(row), **named}


def _value(kind: Kind, name: str, group: Mapping[Dimension, str]) -> Any:
    if name == "batch":
        return False  # there are no batches here
    if name == "source":
        return _SOURCE_OF.get(group["surface"])
    if name == "line_item":
        return line_item(group["model"], group["surface"], group["unit"])
    (dimension,) = kind.groups[name]
    return group[dimension] or None


def line_item(model: str, surface: str, unit: str) -> str:
    """What is paid for: `chat, embeddings, tokens`."""
    return f"{model}, {surface}, {_UNITS[unit][0]}"

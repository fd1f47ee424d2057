"""Parameters of chat completions that every direction from them reads in the same way: which there are, how long the
answer may get, where it stops, and which form it is to have.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from extproc.translate.chat_notes import Notes
from extproc.translate.direction import Target
from extproc.translate.walk import checked_kind, count_of, list_of, object_of, shown, text_of

# What all of them have a place for. `top_k` is not OpenAI's, but many servers of its API have it.
CARRIED = frozenset(
    {
        "function_call",
        "functions",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "model",
        "parallel_tool_calls",
        "reasoning_effort",
        "response_format",
        "stop",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    }
)
# Where a provider has no place for them, no answer depends on it: whose it is, and how it is cached.
WITHOUT_EFFECT = ("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "safety_identifier", "user")

# Where there is no such mode.
JSON_ONLY = "Answer with one JSON object and nothing else: no other text before or after it, no code fence."


def look_at(
    body: dict[str, Any],
    notes: Notes,
    *,
    carried: Container[str],
    left_out: Container[str],
    no_place: Mapping[str, tuple[Any, ...]],
) -> None:
    """Names what is not carried: left out, or unsupported unless it has one of the values that ask for nothing, which
    `no_place` has."""
    for name, value in body.items():
        if value is None:
            continue
        if name in left_out:
            notes.leave_out(name)
        elif name not in carried and value not in no_place.get(name, ()):
            notes.no_place(shown(name))


def look_at_stream_options(body: dict[str, Any], notes: Notes) -> None:
    """Usage is always in the streams that we make."""
    for name, value in object_of(body.get("stream_options") or {}, "stream_options").items():
        if name != "include_usage" and value:
            notes.no_place(f"stream_options.{shown(name)}")


def limit_of(body: dict[str, Any]) -> int | None:
    """The lower of the two names' values; both are promises that no more is written."""
    names = ("max_completion_tokens", "max_tokens")
    return min((count_of(body[name], name) for name in names if body.get(name) is not None), default=None)


def top_k_of(body: dict[str, Any]) -> int | None:
    """How many tokens the next one is drawn from; None: from all, which is also written as 0 and -1."""
    value = body.get("top_k")
    return None if value is None or (value in (0, -1) and not isinstance(value, bool)) else count_of(value, "top_k")


def most_of(body: dict[str, Any], target: Target) -> int | None:
    """How long the answer may get; None: as long as the model can."""
    asked, most = limit_of(body), target.max_output_tokens
    return min(asked, most or asked) if asked else None


def lowered_limit(body: dict[str, Any], target: Target) -> int | None:
    """The limit of the answer, where it is lower than what the client asked for."""
    limit, asked = most_of(body, target), limit_of(body)
    return limit if limit and asked and limit < asked else None


def stops_of(body: dict[str, Any], notes: Notes, *, most: int | None = None, blank: bool = True) -> list[str]:
    """Where the answer is to stop: so many sequences, none of them empty, nor `blank` (white space alone) if not
    allowed. Others have no place."""
    stop = body.get("stop")
    if stop is None:
        return []
    single = isinstance(stop, str)
    texts = list[str]()
    for number, text in enumerate([stop] if single else list_of(stop, "stop")):
        path = "stop" if single else f"stop[{number}]"
        said = text_of(text, path)
        if (said if blank else said.strip()) and (most is None or len(texts) < most):
            texts.append(said)
        else:
            notes.no_place(path)
    return texts


@dataclass(frozen=True, slots=True)
class Format:
    """What a client says of the answer's form."""

    kind: str
    given: dict[str, Any]  # the schema and its name
    path: str  # of that

    @property
    def schema(self) -> dict[str, Any]:
        """The schema; empty where any JSON will do. Raises BadRequest."""
        return object_of(self.given.get("schema") or {}, f"{self.path}.schema")

    @property
    def description(self) -> str | None:
        """What the schema is of. Raises BadRequest."""
        said = self.given.get("description")
        return None if said is None else text_of(said, f"{self.path}.description")


def format_of(body: dict[str, Any], notes: Notes) -> Format | None:
    """The form, if it is anything but text. Raises BadRequest."""
    path, wanted = "response_format", body.get("response_format")
    if wanted is None:
        return None
    kind = checked_kind(object_of(wanted, path).get("type"), f"{path}.type", ("text", "json_object", "json_schema"))
    if kind == "text":
        return None
    path = f"{path}.json_schema"
    if kind == "json_object":
        return Format(kind, {}, path)
    given = object_of(wanted.get("json_schema"), path)
    notes.only(given, ("name", "description", "schema", "strict"), path)
    return Format(kind, given, path)

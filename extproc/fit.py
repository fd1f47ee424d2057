"""What has to change in a request of OpenAI's API for a server that differs from it (headgate/presets.py). Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from headgate.presets import PRESETS, Preset

_HEADER_LIMIT = 1_000  # characters of `x-headgate-dropped`


@dataclass(frozen=True, slots=True)
class Fit:
    """The changes. `messages` is None where they stay as they are, and so are `items`, the input of responses;
    `lowest` is the limit of an answer limited twice.

    `unsupported` are the client's parameters that the server has no place for, `left_out` those that make no
    difference to the answer; both are among what is removed.
    """

    removed: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    messages: list[Any] | None = None
    items: list[Any] | None = None
    lowest: int | None = None
    unsupported: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def dropped(self) -> tuple[str, ...]:
        """All that the client is told of."""
        return (*self.unsupported, *self.left_out)


_NOTHING = Fit()


def fit_of(name: str | None, body: dict[str, Any]) -> Fit | None:
    """The changes for a preset; None where the body is right as it is."""
    preset = PRESETS.get(name) if name else None
    if preset is None:
        return None
    refused = [name for name in preset.refused if name in body]
    odd = [name for name, values in preset.only.items() if body.get(name) is not None and body[name] not in values]
    aside = [name for name in preset.left_out if name in body]
    messages, refused_inside, aside_inside = _messages(preset, body.get("messages"))
    renamed, twice = _renamed(preset, body)
    fit = Fit(
        removed=(*refused, *odd, *aside, *twice),
        renamed=renamed,
        messages=messages,
        lowest=_lowest(body, twice),
        unsupported=(*(name for name in refused if _asks(preset, name, body[name])), *odd, *refused_inside),
        left_out=(*(name for name in aside if body[name] is not None), *aside_inside),
    )
    return None if fit == _NOTHING else fit


def has_endpoint(name: str | None, surface: str) -> bool:
    """Whether a server has the endpoint of a surface that passes, as far as its preset says."""
    preset = PRESETS.get(name) if name else None
    return preset is None or surface in preset.passes


def fitted(body: dict[str, Any], fit: Fit | None) -> dict[str, Any]:
    """A body with the changes."""
    if fit is None:
        return body
    names = dict(fit.renamed)
    made = {names.get(name, name): value for name, value in body.items() if name not in fit.removed}
    if fit.lowest is not None:
        made["max_tokens"] = fit.lowest
    if fit.messages is not None:
        made["messages"] = fit.messages
    return made


def header_text(names: tuple[str, ...]) -> str:
    """Names for `x-headgate-dropped`, no longer than a header should be."""
    text = ", ".join(names)
    return text if len(text) <= _HEADER_LIMIT else f"{text[:_HEADER_LIMIT].rpartition(', ')[0]}, ..."


def _asks(preset: Preset, name: str, value: Any) -> bool:
    return value is not None and value not in preset.refused[name]


def _renamed(preset: Preset, body: dict[str, Any]) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """New names; and the old ones that are removed, since the new one is there as well or nothing is said."""
    given = [(old, new) for old, new in preset.renamed.items() if old in body]
    twice = tuple(old for old, new in given if new in body or body[old] is None)
    return tuple(pair for pair in given if pair[0] not in twice), twice


def _lowest(body: dict[str, Any], twice: tuple[str, ...]) -> int | None:
    """Both names of the limit are promises that no more is written; None where `max_tokens` is right already."""
    if "max_completion_tokens" not in twice or body["max_completion_tokens"] is None:
        return None
    other: int = body["max_completion_tokens"]
    given = body.get("max_tokens")
    return other if given is None or other < given else None


def _messages(preset: Preset, messages: Any) -> tuple[list[Any] | None, list[str], list[str]]:
    """The messages where they change, and the members that are refused and left out, the latter without positions."""
    unsupported, left_out = list[str](), dict[str, None]()
    if not isinstance(messages, list):
        return None, unsupported, []
    made = list[Any]()
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            made.append(message)
            continue
        gone = tuple(_members(preset.refused_of_messages, message))
        unsupported += [f"messages[{index}].{name}" for name in gone if message[name] is not None]
        aside = tuple(_members(preset.left_out_of_messages, message))
        left_out |= {f"messages.{name}": None for name in aside if message[name] is not None}
        kept = {name: value for name, value in message.items() if name not in (*gone, *aside)}
        if not preset.developer and message.get("role") == "developer":
            kept["role"] = "system"
        made.append(kept)
    return (made if made != messages else None), unsupported, list(left_out)


def _members(names: tuple[str, ...], message: dict[str, Any]) -> Iterator[str]:
    if message.get("role") not in ("tool", "function"):  # there, the name says which tool it was
        yield from (name for name in names if name in message)

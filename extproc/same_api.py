"""The body for a target that speaks the client's own API: the client's, but for the model, the stream options and
what the target's preset says.

Edits keep the client's bytes. A body may have been edited so for another target before.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from extproc.document import Document
from extproc.fit import Fit
from extproc.form import Form
from extproc.surface import Surface
from extproc.translate.anthropic_openai.echoes import messages_for_anthropic


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a target is sent beside what the client wrote. `asked_*` is what the client wanted of stream options.

    `marks`: what `metadata` have besides.
    """

    model: str
    usage: str
    asked_usage: bool
    asked_each: bool
    fit: Fit | None = None
    marks: Mapping[str, str] = field(default_factory=dict)


def write_same_api(document: Document | Form, surface: Surface, wanted: Wanted) -> None:
    """Edits a body for a target that speaks the client's own API."""
    if document.get("model") != wanted.model:
        document.set("model", wanted.model)
    if surface.passes or isinstance(document, Form):
        return
    if wanted.fit is not None:
        _write_fit(document, wanted.fit)
    if wanted.marks:
        _write_marks(document, wanted.marks)
    if surface.api == "anthropic":
        _drop_echoes(document)
    elif surface.asks_usage and document.get("stream") is True:
        _write_options(document, wanted)


def _write_fit(document: Document, fit: Fit) -> None:
    document.remove(*fit.removed)
    for name, new in fit.renamed:
        document.rename(name, new)
    if fit.lowest is not None:
        document.set("max_tokens", fit.lowest)
    if fit.messages is not None:
        document.set("messages", fit.messages)
    if fit.items is not None:
        document.set("input", fit.items)


def _write_marks(document: Document, marks: Mapping[str, str]) -> None:
    if document.get("metadata") is None:
        document.set("metadata", dict(marks))
        return
    for name, value in marks.items():
        document.set_inside("metadata", name, value)


def _drop_echoes(document: Document) -> None:
    """Takes out of a conversation what another provider's translated answers have left there."""
    messages = document.get("messages")
    fit = messages_for_anthropic(messages) if isinstance(messages, list) else None
    if fit is not None:
        document.set("messages", fit)


def _write_options(document: Document, wanted: Wanted) -> None:
    given = document.get("stream_options")
    options = stream_options(given, wanted)
    if options is None and wanted.usage == "unasked":
        document.remove("stream_options")
    elif options != given:
        _edit_options(document, given, options)


def _edit_options(document: Document, given: object, wanted: dict[str, object] | None) -> None:
    """Adds members in their place, so that what the client wrote stays as it is; rewrites only to remove."""
    if isinstance(given, dict) and wanted is not None and given.keys() <= wanted.keys():
        for name, value in wanted.items():
            if given.get(name) is not value:
                document.set_inside("stream_options", name, value)
    else:
        document.set("stream_options", wanted)


def stream_options(given: Any, wanted: Wanted) -> dict[str, Any] | None:
    """OpenAI's `stream_options` for a provider that reports usage so; `given` may be what another one was sent."""
    options = dict(given) if isinstance(given, dict) else {}
    for name, asked in (("include_usage", wanted.asked_usage), ("continuous_usage_stats", wanted.asked_each)):
        if wanted.usage == "unasked" or (options.get(name) is True and not asked):
            options.pop(name, None)
    if wanted.usage in ("final", "continuous"):
        options["include_usage"] = True
    if wanted.usage == "continuous":
        options["continuous_usage_stats"] = True
    return options if options or given == {} else None

"""The body for a target that speaks the client's own API: the client's, but for the model and the stream options.

Edits keep the client's bytes. A body may have been edited so for another target before.
"""

from typing import Any

from extproc.document import Document


def write_same_api(
    document: Document, model: str, usage: str, *, streams: bool, asked_usage: bool, asked_each: bool
) -> None:
    """Edits a body for a target that speaks the client's own API, OpenAI's stream options included.

    The body may have been edited so for another target before.
    """
    if document.get("model") != model:
        document.set("model", model)
    if streams:
        given = document.get("stream_options")
        wanted = stream_options(given, usage, asked_usage=asked_usage, asked_each=asked_each)
        if wanted != given:
            _edit_options(document, given, wanted)


def _edit_options(document: Document, given: object, wanted: dict[str, object] | None) -> None:
    """Adds members in their place, so that what the client wrote stays as it is; rewrites only to remove."""
    if isinstance(given, dict) and wanted is not None and given.keys() <= wanted.keys():
        for name, value in wanted.items():
            if given.get(name) is not value:
                document.set_inside("stream_options", name, value)
    else:
        document.set("stream_options", wanted)


def stream_options(given: Any, usage: str, *, asked_usage: bool, asked_each: bool) -> dict[str, Any] | None:
    """OpenAI's `stream_options` for a provider that reports `usage` so; `asked_*` is what the client wanted."""
    options = dict(given) if isinstance(given, dict) else {}
    for name, asked in (("include_usage", asked_usage), ("continuous_usage_stats", asked_each)):
        if options.get(name) is True and not asked:
            del options[name]
    if usage != "none":
        options["include_usage"] = True
    if usage == "continuous":
        options["continuous_usage_stats"] = True
    return options if options or given == {} else None

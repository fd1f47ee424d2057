"""What the client wants to see of usage in a stream, and what of the provider's reports it must not see."""

from extproc.document import Document
from extproc.exchange import Exchange
from extproc.form import Form


def ask_for_usage(exchange: Exchange) -> None:
    """Fills `streams`, `asked_usage`, `asked_each`, `hide_usage_chunk` and `hide_usage_member`."""
    document, surface = exchange.document, exchange.surface
    exchange.streams = surface.streams and _wants_stream(document)
    if not (surface.asks_usage and exchange.streams):
        return
    asked = document.get("stream_options") or {}
    exchange.asked_usage = asked.get("include_usage") is True
    exchange.asked_each = asked.get("continuous_usage_stats") is True
    reporting = [target for target in exchange.chain if target.usage != "none" or target.api != surface.api]
    if not reporting:
        return
    exchange.hide_usage_chunk = not exchange.asked_usage
    # Providers that do not report continuously put "usage":null into every chunk once asked.
    continuous = any(target.usage == "continuous" for target in reporting)
    exchange.hide_usage_member = not exchange.asked_usage or (continuous and not exchange.asked_each)


def _wants_stream(document: Document | Form) -> bool:
    """Of events. Speech has a parameter of its own for it."""
    return document.get("stream") is True or document.get("stream_format") == "sse"

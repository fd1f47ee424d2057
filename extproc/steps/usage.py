"""Has the provider report usage in streams, and notes what of it the client must not see."""

from extproc.exchange import Exchange


def ask_for_usage(exchange: Exchange) -> None:
    """Edits `stream_options`; fills `hide_usage_chunk` and `hide_usage_member`."""
    document, surface, target = exchange.document, exchange.surface, exchange.target
    if not surface.streams or document.get("stream") is not True or target.usage == "none":
        return
    asked = document.get("stream_options") or {}
    client_wants_usage = asked.get("include_usage") is True
    client_wants_each = client_wants_usage and asked.get("continuous_usage_stats") is True
    wanted = {"include_usage": True}
    if target.usage == "continuous":
        wanted["continuous_usage_stats"] = True
    missing = {name: True for name in wanted if asked.get(name) is not True}
    if missing and not asked:
        document.set("stream_options", wanted)
    else:
        for name in missing:
            document.set_inside("stream_options", name, True)
    exchange.hide_usage_chunk = not client_wants_usage
    # Providers that do not report continuously put "usage":null into every chunk once asked.
    exchange.hide_usage_member = not (client_wants_each if target.usage == "continuous" else client_wants_usage)

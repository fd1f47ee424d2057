"""A tool call's arguments: JSON text from the model, which the client gets as an object."""

import re

import msgspec

_token = re.compile(r'"(?:[^"\\]|\\.)*"?|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_CLOSERS = {"{": "}", "[": "]"}
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])  # reads no numbers, so their digits stay


def object_of(arguments: str, cut_off: bool) -> str | None:
    """The object, in the model's own spelling; None when it is none. Of one `cut_off`, what had arrived whole.

    Models write nothing, or null, for a call without arguments.
    """
    if arguments.strip() in ("", "null"):
        return "{}"
    if _is_object(arguments):
        return arguments
    closed = _closed(arguments) if cut_off else ""
    return closed if _is_object(closed) else None


def _is_object(text: str) -> bool:
    try:
        _object.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True


def _closed(text: str) -> str:
    """The text up to its last whole value, with what is open there closed. Keys without values go."""
    opened, before, at = list[str](), "", 0
    for match in _token.finditer(text):
        part = match[0]
        is_key = opened[-1:] == ["{"] and before in ("{", ",")
        _follow(opened, part)
        if part in "{}[]" or (part not in ",:" and not is_key and _is_value(part)):
            at = match.end()
        before = part
    opened = []
    for match in _token.finditer(text, 0, at):
        _follow(opened, match[0])
    return text[:at] + "".join(_CLOSERS[part] for part in reversed(opened))


def _follow(opened: list[str], part: str) -> None:
    if part in _CLOSERS:
        opened.append(part)
    elif part in "}]" and opened:
        opened.pop()


def _is_value(part: str) -> bool:
    try:
        msgspec.json.decode(part)
    except (msgspec.DecodeError, UnicodeError):
        return False
    return True

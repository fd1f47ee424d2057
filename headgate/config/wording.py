"""The words of configuration messages: paths, found values, nearest names.

Every text that quotes something from the file goes through here, so that it stays on one line, short and free
of control characters. A caller must not pass the value of a secret-like field to `found` or `quoted`.
"""

import difflib
import json
import re
from collections.abc import Iterable
from typing import Any

KeyPath = tuple[str | int, ...]

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
# `{api_key:sk-…}`: without a space after the colon, YAML reads the secret as a part of the key.
_SWALLOWED_VALUE = re.compile(
    r"(?i)^\s*([a-z0-9_-]*(?:key|secret|password|token|sha256|authorization)):.+$", re.DOTALL
)
_LONGEST = 60


def shown_path(path: KeyPath) -> str:
    """`models.chat.targets[1].provider`; keys with odd characters are quoted: `models["org/name"]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{quoted(part)}]"
    return text


def quoted(text: str) -> str:
    """Text in double quotes, shortened, on one line, printable in any terminal."""
    text = _SWALLOWED_VALUE.sub(r"\1:***", text)
    if len(text) > _LONGEST * 2:
        text = text[:_LONGEST] + "…"
    return json.dumps(text, ensure_ascii=not text.isprintable())


def kind(value: Any) -> str:
    """What sort of thing a value is, without any of its content."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "text"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return "a number"


def found(value: Any) -> str:
    """A value as a message shows it: scalars as they are, collections by their kind."""
    if isinstance(value, str):
        return quoted(value)
    if value is None or isinstance(value, bool | dict | list):
        return kind(value)
    text = str(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def nearest(name: str, known: Iterable[str], *, label: str = "known", cutoff: float = 0.6) -> str:
    """` (did you mean "x"?)`, else the known names: ` (known: a, b)`."""
    names = list(known)
    close = difflib.get_close_matches(name[:200], names, n=3, cutoff=cutoff)
    close.sort(key=lambda known_name: sorted(known_name) != sorted(name))  # rmp is rpm rather than rps
    if not close:  # difflib looks at case: Local and LOCAL are worth finding too
        close = [known_name for known_name in names if known_name.lower() == name.lower()][:1]
    if close:
        return f" (did you mean {quoted(close[0])}?)"
    if not names:
        return f" ({label}: none)"
    listed = ", ".join(name if name.isprintable() else quoted(name) for name in names[:12])
    return f" ({label}: {listed}{', …' if len(names) > 12 else ''})"

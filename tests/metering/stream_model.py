"""What a metered stream must look like, computed another way than the filter does: event by event with a JSON parser.

Nothing is serialised again: what is hidden is cut out of the provider's own text by position.
"""

import json
import re
from collections.abc import Iterator
from json.decoder import scanstring
from typing import Any

from stand_in import Counts, Metered

_LINE = re.compile(rb"[^\n]*\n|[^\n]+")
_DATA = re.compile(rb"^data: ?(.*?)(?=\r?$)", re.MULTILINE)
_SPACE = re.compile(r"[ \t\n\r]*")
_GENERATED = {"content", "text", "reasoning_content", "reasoning", "arguments", "refusal"}
_scan = json.JSONDecoder().raw_decode


def expected(stream: bytes, *, hide_chunk: bool = False, hide_member: bool = False) -> Metered:
    """The client's bytes and the counts for a whole stream."""
    out: list[bytes] = []
    counts: Counts = (None, None, None, None, None)
    events = size = 0
    for event in _events(stream):
        at, text = _payload(event)
        if text is None:
            out.append(event)
            continue
        value = json.loads(text)
        if isinstance(value.get("usage"), dict):
            counts = _counts(value["usage"])
        kept, dropped = _without_usage(text, value, hide_chunk=hide_chunk, hide_member=hide_member)
        if dropped:
            continue
        out.append(event[:at] + kept.encode() + event[at + len(text.encode()) :])
        lengths = [len(generated.encode()) for generated in _generated(value)]
        events, size = events + any(lengths), size + sum(lengths)
    return Metered(b"".join(out), counts, events, size)


def events_of(stream: bytes) -> Iterator[str]:
    """The JSON objects of all complete events."""
    return (text for event in _events(stream) if (text := _payload(event)[1]) is not None)


def _events(stream: bytes) -> Iterator[bytes]:
    """Lines up to a blank one, and what is left."""
    event = b""
    for line in _LINE.findall(stream):
        event += line
        if line in (b"\n", b"\r\n"):
            yield event
            event = b""
    yield event


def _payload(event: bytes) -> tuple[int, str | None]:
    found = _DATA.search(event) if event.endswith((b"\n\n", b"\n\r\n")) else None
    if not found or not found[1].startswith(b"{"):
        return 0, None
    return found.start(1), found[1].decode()


def _without_usage(text: str, value: dict[str, Any], *, hide_chunk: bool, hide_member: bool) -> tuple[str, bool]:
    usage = value.get("usage")
    if "usage" not in value or not (usage is None or isinstance(usage, dict)):
        return text, False
    totals = value.get("choices") == []
    if totals and usage is not None:
        return text, hide_chunk
    return (_cut(text) if hide_member else text), False


def _cut(text: str) -> str:
    """The text without its top-level member `usage` and one comma."""
    members = list(_members(text))
    index = [key for key, _, _ in members].index("usage")
    if index == 0:
        until = members[1][1] if len(members) > 1 else members[0][2]
        return text[: members[0][1]] + text[until:]
    comma = text.index(",", members[index - 1][2])
    return text[:comma] + text[members[index][2] :]


def _members(text: str) -> Iterator[tuple[str, int, int]]:
    """Key, where the key's quote stands, where the value ends."""
    at = _SPACE.match(text, 1).end()
    while text[at] == '"':
        start = at
        key, at = scanstring(text, at + 1)
        at = _SPACE.match(text, _SPACE.match(text, at).end() + 1).end()
        _, end = _scan(text, at)
        yield key, start, end
        at = _SPACE.match(text, end).end()
        if text[at] != ",":
            return
        at = _SPACE.match(text, at + 1).end()


def _generated(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in _GENERATED and isinstance(inner, str):
                yield inner
            else:
                yield from _generated(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _generated(inner)


def _counts(usage: dict[str, Any]) -> Counts:
    prompt_details = usage.get("prompt_tokens_details") or {}
    completion_details = usage.get("completion_tokens_details") or {}
    return (
        usage.get("prompt_tokens"),
        usage.get("completion_tokens"),
        prompt_details.get("cached_tokens"),
        prompt_details.get("cache_write_tokens", prompt_details.get("cache_creation_tokens")),
        completion_details.get("reasoning_tokens"),
    )

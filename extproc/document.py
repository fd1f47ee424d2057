"""A JSON object that keeps its bytes: parsed for reading, edited by splicing, otherwise returned as written.

Numbers keep their spelling, keys their order, white space its place. Pure. Errors carry exact positions.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from extproc.refusal import BadRequest

# Members are read one by one in Python, 2 µs each; no API has a hundred parameters.
MEMBERS_LIMIT = 10_000

_space: Callable[[str, int], re.Match[str] | None] = re.compile(r"[ \t\n\r]*").match


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an object: its parsed value and where key and value stand in the text."""

    value: Any
    start: int
    end: int
    key: tuple[int, int]


def _no_constant(name: str) -> Any:
    raise BadRequest(f"The JSON body contains {name}, which JSON does not have.", code="invalid_json")


_write = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_decoder = json.JSONDecoder(parse_constant=_no_constant)
# The C scanners behind json.loads, which also say where a value ends.
_scan_value: Callable[[str, int], tuple[Any, int]] = _decoder.scan_once  # type: ignore[attr-defined]
_scan_string: Callable[[str, int], tuple[str, int]] = json.decoder.scanstring  # type: ignore[attr-defined]


# The scanner's own words, where they do not fit into a sentence of ours.
_MESSAGES = {
    "Invalid control character at": "an unescaped control character in a string",
    "Unterminated string starting at": "a string without an end, which starts",
}


class Document:
    """A parsed body with pending edits."""

    def __init__(self, body: bytes) -> None:
        """Raises BadRequest for anything but one JSON object without duplicate keys at its top level."""
        self._body = body
        self._text = _decoded(body)
        self._edits: list[tuple[int, int, str]] = []
        self._field: tuple[int, int, str] | None = None  # one of the edits: its text ends with the field
        self._field_chars = 0
        self._written: dict[str, Any] = {}
        self._removed: set[str] = set()
        self.field_at: int | None = None
        try:
            self.members, end = _scan_object(self._text, _skip(self._text, 0), path="")
            end = _skip(self._text, end)
            if end != len(self._text):
                raise _malformed(self._text, end, "something follows the end of the object")
        except json.JSONDecodeError as error:
            raise _malformed(self._text, error.pos, _MESSAGES.get(error.msg, error.msg.lower())) from None
        except RecursionError:
            raise BadRequest("The JSON body is nested too deeply.", code="invalid_json") from None
        except ValueError:  # int() refuses numbers of thousands of digits
            raise BadRequest("The JSON body contains a number with too many digits.", code="invalid_json") from None

    def get(self, name: str) -> Any:
        """The parsed value of a top-level member; None when absent or null."""
        member = self.members.get(name)
        return member.value if member else None

    @property
    def values(self) -> dict[str, Any]:
        """All top-level members, parsed."""
        return {name: member.value for name, member in self.members.items()}

    @property
    def edited(self) -> dict[str, Any]:
        """The same with what `set` and `set_field` have written."""
        return self.values | self._written

    def check_inside(self, outer: str) -> None:
        """Raises BadRequest when the object `outer`, if it is there, has a key twice."""
        member = self.members.get(outer)
        if member and isinstance(member.value, dict):
            _scan_object(self._text, member.start, path=outer)

    def set(self, name: str, value: Any) -> None:
        """Sets a top-level member, in its place or at the end."""
        self._written[name] = value
        self._set(self.members, 0, len(self._text), name, value)

    def set_field(self, name: str, number: int, chars: int) -> None:
        """Sets a top-level member to a number in a field of so many characters, spaces before it.

        `render` says in `field_at` where in the body the field is, in bytes.
        """
        self._written[name] = number
        self._set_text(self.members, 0, len(self._text), name, str(number).rjust(chars))
        self._field, self._field_chars = self._edits[-1], chars

    def rename(self, name: str, new: str) -> None:
        """Gives a member that the client wrote another name; nothing else of it changes."""
        self._edits.append((*self.members[name].key, _write(new)))

    def remove(self, *names: str) -> None:
        """Takes out members that the client wrote, in one call for all; one member at least has to stay."""
        self._removed |= {name for name in names if name in self.members}

    def set_inside(self, outer: str, name: str, value: Any) -> None:
        """Sets a member of the object `outer`; creates it when it is absent or null."""
        member = self.members.get(outer)
        if member is None or member.value is None:
            self.set(outer, {name: value})
            return
        members, _ = _scan_object(self._text, member.start, path=outer)
        self._set(members, member.start, member.end, name, value)

    def render(self) -> bytes:
        """The body with all edits in it."""
        edits = self._edits_left() if self._removed else self._edits
        if not edits:
            return self._body
        body, parts, at = memoryview(self._body), list[bytes | memoryview](), 0
        for edit in sorted(edits, key=lambda edit: edit[0]):
            start, end, text = edit
            parts += [body[at : self._byte(start)], text.encode()]
            at = self._byte(end)
            if edit is self._field:
                self.field_at = sum(map(len, parts)) - self._field_chars
        return b"".join([*parts, body[at:]])

    def _edits_left(self) -> list[tuple[int, int, str]]:
        """The edits outside of what is removed, and the removals, each with the comma before or behind it."""
        members, spans = list(self.members.items()), list[tuple[int, int]]()
        for index, (name, member) in enumerate(members):
            if name in self._removed:
                first = len(spans) == index
                span = (
                    (member.key[0], members[index + 1][1].key[0])
                    if first
                    else (members[index - 1][1].end, member.end)
                )
                spans.append(span)
        kept = [edit for edit in self._edits if not any(start <= edit[0] < end for start, end in spans)]
        return [*((start, end, "") for start, end in spans), *kept]

    def _byte(self, at: int) -> int:
        """Where the character `at` starts in the body; counted from the nearer end, which an edit is close to."""
        if len(self._text) == len(self._body):
            return at
        if at <= len(self._text) // 2:
            return len(self._text[:at].encode())
        return len(self._body) - len(self._text[at:].encode())

    def _set(self, members: dict[str, Member], start: int, end: int, name: str, value: Any) -> None:
        self._set_text(members, start, end, name, _write(value))

    def _set_text(self, members: dict[str, Member], start: int, end: int, name: str, text: str) -> None:
        if name in members:
            self._edits.append((members[name].start, members[name].end, text))
        elif members:
            last = max(member.end for member in members.values())
            self._edits.append((last, last, f",{_write(name)}:{text}"))
        else:
            brace = self._text.index("{", start, end) + 1
            comma = "," if any(edit[0] == brace for edit in self._edits) else ""
            self._edits.append((brace, brace, f"{comma}{_write(name)}:{text}"))


def _decoded(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(
            f"The body is not valid UTF-8: byte {error.start + 1} cannot be read.", code="invalid_json"
        ) from None


def _skip(text: str, at: int) -> int:
    match = _space(text, at)
    return match.end() if match else at


def _scan_object(text: str, at: int, path: str) -> tuple[dict[str, Member], int]:
    """The members of the object at `at`, and where it ends. Raises JSONDecodeError or BadRequest."""
    if text[at : at + 1] != "{":
        raise _malformed(text, at, "expected an object: {...}")
    members: dict[str, Member] = {}
    at = _skip(text, at + 1)
    if text[at : at + 1] == "}":
        return members, at + 1
    while True:
        if text[at : at + 1] != '"':
            raise _malformed(text, at, "expected a key in double quotes")
        key_at = at
        key, key_end = _scan_string(text, at + 1)
        at = _skip(text, key_end)
        if text[at : at + 1] != ":":
            raise _malformed(text, at, "expected ':' after a key")
        start = _skip(text, at + 1)
        try:
            value, at = _scan_value(text, start)
        except StopIteration as stop:
            raise _malformed(text, stop.value, "expected a value") from None
        if key in members or len(members) == MEMBERS_LIMIT:
            raise _one_key_too_many(text, key_at, members, f"{path}.{key}" if path else key)
        members[key] = Member(value, start, at, (key_at, key_end))
        at = _skip(text, at)
        separator = text[at : at + 1]
        if separator == "}":
            return members, at + 1
        if separator != ",":
            raise _malformed(text, at, "expected ',' or '}'")
        at = _skip(text, at + 1)


def _position(text: str, at: int) -> str:
    line = text.count("\n", 0, at) + 1
    return f"line {line}, column {at - text.rfind(chr(10), 0, at)}"


def _malformed(text: str, at: int, what: str) -> BadRequest:
    return BadRequest(f"The body is not valid JSON: {what} at {_position(text, at)}.", code="invalid_json")


def _one_key_too_many(text: str, at: int, members: dict[str, Member], path: str) -> BadRequest:
    if len(members) == MEMBERS_LIMIT:
        return BadRequest(f"An object of the body has more than {MEMBERS_LIMIT} keys.", code="too_many_values")
    return BadRequest(
        f"The key '{path[:64]}' is given twice; the second one is at {_position(text, at)}.",
        param=path[:64],
        code="duplicate_key",
    )

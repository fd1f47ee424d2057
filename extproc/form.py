"""A form (multipart/form-data) that keeps its bytes: its fields parsed for reading, one rewritten, files left alone.

It is asked as `extproc.document` is. Files are never copied but with the whole body.
"""

import re
from dataclasses import dataclass
from typing import Any

from extproc.multipart import Part, boundary_of, parts_of
from extproc.refusal import BadRequest
from extproc.surface import Surface, Types, Upload

_HEAD_BYTES = 64  # of a file, for whoever wants to know what it is
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"-?(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})(?:[eE][+-]?[0-9]{1,2})?")
_FLAGS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Field:
    """A member: what it says, and where."""

    value: Any
    part: Part


class Form:
    """A parsed form with a pending edit. Parameters that the surface does not know are not looked into."""

    field_at: None = None

    def __init__(self, body: bytes, content_type: str, surface: Surface) -> None:
        """Raises BadRequest for what is no form, and for a parameter that is there twice."""
        self._body = body
        self._boundary = boundary_of(content_type)
        self._edit: tuple[Part, bytes] | None = None
        self.members: dict[str, Field] = {}
        for part in parts_of(body, self._boundary):
            types = surface.parameters.get(part.name)
            if part.name in self.members and types and list not in types.allowed:
                raise BadRequest(
                    f"The parameter '{part.name}' is there twice.", param=part.name, code="duplicate_key"
                )
            _check_brackets(part.name, surface)
            self.members.setdefault(part.name, Field(_value(body, part, types), part))

    def get(self, name: str) -> Any:
        """What a parameter says; None when it is absent."""
        member = self.members.get(name)
        return member.value if member else None

    @property
    def values(self) -> dict[str, Any]:
        """All parameters."""
        return {name: member.value for name, member in self.members.items()}

    @property
    def edited(self) -> dict[str, Any]:
        """The same with what `set` has written."""
        return self.values | ({self._edit[0].name: self._edit[1].decode()} if self._edit else {})

    def set(self, name: str, value: str) -> None:
        """Gives a field that is there another text. Raises BadRequest where the form's own boundary is in it."""
        text = value.encode()
        if b"--" + self._boundary in text:
            raise BadRequest("The form's boundary stands in the name of a model; choose another one.", param=name)
        self._edit = self.members[name].part, text

    def render(self) -> bytes:
        """The body with the edit in it."""
        if self._edit is None:
            return self._body
        part, text = self._edit
        body = memoryview(self._body)
        return b"".join((body[: part.start], text, body[part.end :]))


def _check_brackets(name: str, surface: Surface) -> None:
    """Some servers read `model[]` as `model`."""
    base = name.partition("[")[0]
    types = surface.parameters.get(base)
    if base != name and types and list not in types.allowed:
        raise BadRequest(f"Unknown parameter '{name}': did you mean '{base}'?", param=name, code="unknown_parameter")


def _value(body: bytes, part: Part, types: Types | None) -> Any:
    """The text, as the type that the parameter has where it is one; a file by its size and first bytes."""
    if types is None or part.filename is not None:
        head = body[part.start : min(part.end, part.start + _HEAD_BYTES)]
        return Upload(part.end - part.start, head)
    try:
        text = body[part.start : part.end].decode() if part.charset == "utf-8" else None
    except UnicodeDecodeError:
        text = None
    if text is None:
        raise BadRequest(f"The parameter '{part.name}' is not UTF-8 text.", param=part.name, code="invalid_value")
    if bool in types.allowed and text in _FLAGS:
        return _FLAGS[text]
    if int in types.allowed and _WHOLE.fullmatch(text):
        return int(text)
    if float in types.allowed and _NUMBER.fullmatch(text):
        return float(text)
    return text

"""multipart/form-data as offsets into the body: where each part's content stands, and what its head says of it.

Reads what RFC 2046 (section 5.1) and RFC 7578 allow and nothing that servers read differently: a body that one of
them could take apart in another way than this module is refused, since its `model` would then be another one there.
Time grows with the body's length, whatever is in it. Pure.
"""

import re
from dataclasses import dataclass

from extproc.refusal import BadRequest

PARTS_LIMIT = 1_000  # a request of OpenAI's has a few dozen parameters and pictures at most
_HEAD_LIMIT = 8 * 2**10  # bytes of a part's head

_TYPE = "multipart/form-data"
# Section 5.1.1: up to 70 of these, the last one no space.
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PARAMETER = re.compile(rf';[ \t]*({_WORD})[ \t]*=[ \t]*(?:({_WORD})|"((?:[^"\\]|\\.)*)")[ \t]*')
_FIELD = re.compile(rf"({_WORD}):[ \t]*([^\r\n\0]*?)[ \t]*")
_NAME = re.compile(r"[!#$&-\[\]-~]+")  # no quote, backslash, per cent or space: clients escape those in two ways
_PLAIN_ENCODINGS = ("7bit", "8bit", "binary")
_PLAIN_CHARSETS = ("utf-8", "us-ascii")


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its content is body[start:end]. Without a `filename` it is a field, whose text has a `charset`."""

    name: str
    start: int
    end: int
    filename: str | None = None
    charset: str = "utf-8"


def is_form(content_type: str) -> bool:
    """Whether a body is of this kind, by its content type."""
    return content_type.partition(";")[0].strip().lower() == _TYPE


def boundary_of(content_type: str) -> bytes:
    """What stands between the parts. Raises BadRequest."""
    kind, semicolon, rest = content_type.partition(";")
    found = _parameters(semicolon + rest)
    boundary = found.get("boundary", "") if found is not None else ""
    if kind.strip().lower() != _TYPE or not _BOUNDARY.fullmatch(boundary):
        raise BadRequest(
            f"The header 'Content-Type: {_TYPE}' needs one 'boundary' of 1 to 70 characters, as RFC 2046 has it.",
            param="content-type",
            code="invalid_content_type",
        )
    return boundary.encode()


def parts_of(body: bytes, boundary: bytes) -> list[Part]:
    """The parts, in their order. Raises BadRequest."""
    delimiter = b"--" + boundary
    at = body.find(delimiter)
    if at < 0:
        raise _malformed("the boundary that the header 'Content-Type' names is nowhere in it")
    _check_line(body, at)
    parts: list[Part] = []
    while True:
        at += len(delimiter)
        if body.startswith(b"--", at):
            _check_end(body, at + 2, delimiter)
            return parts
        at = _line_end(body, at)
        following = body.find(delimiter, at)
        if following < 0:
            raise _malformed("it ends before its closing boundary")
        _check_line(body, following)
        if len(parts) == PARTS_LIMIT:
            raise BadRequest(f"The form has too many parts: at most {PARTS_LIMIT} are read.", code="too_many_values")
        parts.append(_part(body, at, following - 2))
        at = following


def _part(body: bytes, at: int, end: int) -> Part:
    """The part whose head begins at `at`; its content ends at `end`."""
    head_end = body.find(b"\r\n\r\n", at, min(end, at + _HEAD_LIMIT))
    if head_end < 0:
        raise _malformed(f"a part has no head, or one of more than {_HEAD_LIMIT} bytes", at)
    fields = _fields(body[at:head_end], at)
    disposition = fields.get("content-disposition", "")
    kind, semicolon, rest = disposition.partition(";")
    said = _parameters(semicolon + rest)
    if kind.strip().lower() != "form-data" or said is None or "name" not in said or "name*" in said:
        raise _malformed("a part needs the head 'Content-Disposition: form-data; name=\"...\"'", at)
    if not _NAME.fullmatch(said["name"]):
        raise _malformed("a part has a name that no parameter has", at)
    if fields.get("content-transfer-encoding", "binary").lower() not in _PLAIN_ENCODINGS:
        raise _malformed("a part has a 'Content-Transfer-Encoding', which RFC 7578 has done away with", at)
    filename = said.get("filename", said.get("filename*"))
    return Part(said["name"], head_end + 4, end, filename, _charset(fields.get("content-type", "")))


def _fields(head: bytes, at: int) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in head.decode("utf-8", "surrogateescape").split("\r\n"):
        match = _FIELD.fullmatch(line)
        if match is None or match[1].lower() in fields:
            raise _malformed("a part has a head that is none", at)
        fields[match[1].lower()] = match[2]
    return fields


def _parameters(text: str) -> dict[str, str] | None:
    """What follows a header's value; None where it is malformed, or names one twice."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _PARAMETER.match(text, at)
        if match is None or match[1].lower() in found:
            return None
        found[match[1].lower()] = match[2] if match[2] is not None else match[3]
        at = match.end()
    return found


def _charset(content_type: str) -> str:
    kind, semicolon, rest = content_type.partition(";")
    if kind.strip().lower().startswith("multipart/"):
        raise _malformed("a part has parts of its own")
    charset = (_parameters(semicolon + rest) or {}).get("charset", "utf-8").lower()
    return "utf-8" if charset in _PLAIN_CHARSETS else charset


def _check_line(body: bytes, at: int) -> None:
    """A boundary begins a line. What looks like one elsewhere, some servers would take for one."""
    if at and body[at - 2 : at] != b"\r\n":
        raise _malformed("its boundary stands in the middle of a line", at)


def _line_end(body: bytes, at: int) -> int:
    """Behind the line break that follows a boundary, and the spaces that may stand before it."""
    end = body.find(b"\r\n", at, at + _HEAD_LIMIT)
    if end < 0 or body[at:end].strip(b" \t"):
        raise _malformed("its boundary is followed by something else than a line break", at)
    return end + 2


def _check_end(body: bytes, at: int, delimiter: bytes) -> None:
    if body.find(delimiter, at) >= 0:
        raise _malformed("it goes on behind its closing boundary", at)


def _malformed(what: str, at: int | None = None) -> BadRequest:
    where = "" if at is None else f" (byte {at + 1})"
    return BadRequest(f"The body is not a valid form (multipart/form-data): {what}{where}.", code="invalid_multipart")

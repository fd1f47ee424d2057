"""Requests for pictures, speech, transcripts, moderations and rankings: the fields the simulator knows. Pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from engines.simulator.bodies import decoded
from engines.simulator.errors import BodyError
from engines.simulator.faults import NOTHING, Simulate

Body = TypeVar("Body")

_HEAD: Final = re.compile(rb'name="([^"]*)"(; filename=)?')
_SOUND_BYTES_PER_S: Final = 4_000  # compressed speech


class PictureBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /v1/images/generations` and `/edits`."""

    model: str
    prompt: str
    n: Annotated[int, Meta(ge=1, le=10)] | None = None
    stream: bool | None = None
    partial_images: Annotated[int, Meta(ge=0, le=3)] | None = None
    simulate: Simulate = NOTHING


class SpeechBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /v1/audio/speech`."""

    model: str
    input: Annotated[str, Meta(max_length=4096)]
    voice: Any
    stream_format: Literal["audio", "sse"] | None = None
    simulate: Simulate = NOTHING


class ModerationBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /v1/moderations`."""

    model: str
    input: str | list[Any]
    simulate: Simulate = NOTHING


class RerankBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /v1/rerank`."""

    model: str
    query: str
    documents: list[str]
    top_n: Annotated[int, Meta(ge=1)] | None = None
    simulate: Simulate = NOTHING


@dataclass(frozen=True, slots=True)
class Heard:
    """A form with a sound: how large it is and how long it lasts, and what is wanted of it."""

    size_bytes: int
    seconds: int
    response_format: str
    wants_stream: bool


def body_reader(kind: type[Body]) -> Callable[[bytes], Body]:
    """Return what decodes a JSON body of that kind, and raises `BodyError`."""
    decoder = msgspec.json.Decoder(kind)
    return lambda raw: decoded(raw, decoder)


def heard(raw: bytes, content_type: str) -> Heard:
    """Read a form for a transcript. Raises `BodyError`."""
    fields, files = _parts(raw, content_type)
    if "model" not in fields:
        raise BodyError("Form is missing the field `model`", "model")
    if "file" not in files:
        raise BodyError("Form is missing the file `file`", "file")
    sound = files["file"]
    per_s = int.from_bytes(sound[28:32], "little") if sound[:4] == b"RIFF" else _SOUND_BYTES_PER_S
    return Heard(
        len(sound),
        -(-len(sound) // max(per_s, 1)),
        fields.get("response_format", "json"),
        fields.get("stream") == "true",
    )


def edit_body(raw: bytes, content_type: str) -> PictureBody:
    """Read a form for an edit or a variation of a picture; it has to have one. Raises `BodyError`."""
    fields, files = _parts(raw, content_type)
    if not {"image", "image[]"} & files.keys():
        raise BodyError("Form is missing the file `image`", "image")
    said: dict[str, Any] = {"prompt": "", **fields}
    said |= {name: int(fields[name]) for name in ("n", "partial_images") if fields.get(name, "").isdecimal()}
    said["stream"] = fields.get("stream") == "true"
    try:
        return msgspec.convert(said, PictureBody)
    except msgspec.ValidationError as error:
        raise BodyError(str(error)) from error


def _parts(raw: bytes, content_type: str) -> tuple[dict[str, str], dict[str, bytes]]:
    _, found, boundary = content_type.partition("boundary=")
    if not found:
        raise BodyError("The request needs `Content-Type: multipart/form-data; boundary=...`")
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    for part in (b"\r\n" + raw).split(b"\r\n--" + boundary.strip('"').encode())[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        match = _HEAD.search(head)
        if match is None:
            raise BodyError("A part of the form has no name")
        name = match[1].decode("utf-8", "replace")
        if match[2]:
            files[name] = content
        else:
            fields[name] = content.decode("utf-8", "replace")
    return fields, files

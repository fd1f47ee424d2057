"""Parts of what is said: Responses' text, images and files as chat's content parts."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from extproc.refusal import BadRequest
from extproc.translate.responses_openai.notes import Notes
from extproc.translate.walk import list_of, object_of, text_of

Json = dict[str, Any]

TEXTS = ("input_text",)
SHOWN = ("input_text", "input_image", "input_file")
ANSWERED = ("output_text", "refusal", "input_text")

_HINT = "prompt_cache_breakpoint"
_DETAILS = ("auto", "low", "high")


@dataclass(slots=True)
class Part:
    """A chat part; `places` are the client's paths for its members, by their paths within it."""

    made: Json
    places: dict[str, str] = field(default_factory=dict)


def parts_of(content: Any, path: str, notes: Notes, kinds: tuple[str, ...]) -> list[Part]:
    """The parts of a content, which may be of these kinds. Raises BadRequest."""
    if isinstance(content, str):
        return [Part(text_part(content), {"": path})]
    parts = list[Part]()
    for number, part in enumerate(list_of(content, path)):
        here = f"{path}[{number}]"
        kind = text_of(object_of(part, here).get("type"), f"{here}.type")
        if kind not in kinds:
            notes.no_place(f"{here}.type")
        elif (made := _READERS[kind](part, here, notes)) is not None:
            made.places[""] = here
            parts.append(made)
    return parts


def text_part(text: str) -> Json:
    """Text in a chat message."""
    return {"type": "text", "text": text}


def content_of(parts: list[Json]) -> str | list[Json]:
    """One text as a plain string, which every server takes."""
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        text: str = parts[0]["text"]
        return text
    return parts or ""


def _text(part: Json, path: str, notes: Notes) -> Part:
    notes.only(part, ("type", "text", _HINT, "annotations", "logprobs"), path)
    return _hinted(text_part(text_of(part.get("text"), f"{path}.text")), part, {})


def _refusal(part: Json, path: str, notes: Notes) -> Part:
    notes.only(part, ("type", "refusal"), path)
    return Part({"type": "refusal", "refusal": text_of(part.get("refusal"), f"{path}.refusal")})


def _image(part: Json, path: str, notes: Notes) -> Part | None:
    notes.only(part, ("type", "image_url", "file_id", "detail", _HINT), path)
    if part.get("file_id") is not None:
        notes.no_place(f"{path}.file_id")
        return None
    image: Json = {"url": _present(part, "image_url", path)}
    detail = part.get("detail")
    if detail in _DETAILS:
        image["detail"] = detail
    elif detail is not None:
        notes.no_place(f"{path}.detail")
    places = {".image_url": path, ".image_url.url": f"{path}.image_url"}
    return _hinted({"type": "image_url", "image_url": image}, part, places)


def _file(part: Json, path: str, notes: Notes) -> Part | None:
    notes.only(part, ("type", "file_data", "file_id", "file_url", "filename", "detail", _HINT), path)
    if part.get("detail") not in (None, "auto"):
        notes.no_place(f"{path}.detail")
    if part.get("file_url") is not None:
        notes.no_place(f"{path}.file_url")
        return None
    name = "file_data" if part.get("file_id") is None else "file_id"
    file = {name: _present(part, name, path)}
    if part.get("filename") is not None:
        file["filename"] = text_of(part["filename"], f"{path}.filename")
    return _hinted({"type": "file", "file": file}, part, {".file": path})


def _present(part: Json, name: str, path: str) -> str:
    if part.get(name) is None:
        raise BadRequest(
            f"Missing required parameter: '{path}.{name}'.", param=f"{path}.{name}", code="missing_required_parameter"
        )
    return text_of(part[name], f"{path}.{name}")


def _hinted(made: Json, part: Json, places: dict[str, str]) -> Part:
    """With the prompt-cache hint, which both APIs have."""
    if part.get(_HINT) is not None:
        made[_HINT] = part[_HINT]
    return Part(made, places)


_READERS: dict[str, Callable[[Json, str, Notes], Part | None]] = {
    "input_text": _text,
    "output_text": _text,
    "refusal": _refusal,
    "input_image": _image,
    "input_file": _file,
}

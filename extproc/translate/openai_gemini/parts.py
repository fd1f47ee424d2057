"""Parts of messages: OpenAI's text, images, sound and files as Gemini's parts.

Gemini takes many kinds of files by the type that it is told; it fetches those given by URL, and wants their type too.
"""

import mimetypes
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from extproc.refusal import BadRequest
from extproc.translate.chat_notes import HINTS, Notes
from extproc.translate.openai_gemini.models import Abilities
from extproc.translate.walk import list_of, object_of, text_of

Part = dict[str, Any]

# https://ai.google.dev/gemini-api/docs/image-understanding and document-processing
_IMAGES = ("image/jpeg", "image/png", "image/webp", "image/heic", "image/heif")
_FILES = ("application/pdf", *_IMAGES)
_SOUNDS = {"wav": "audio/wav", "mp3": "audio/mp3"}

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w.+-]+=[^;,]*)*);base64,", re.ASCII)
_PDF_IN_BASE64 = "JVBERi0"  # %PDF-
_TEXT_NAMES = (".txt", ".md", ".csv", ".json", ".xml", ".html", ".yaml", ".yml", ".log")


def parts_of(content: Any, path: str, model: Abilities, notes: Notes, kinds: tuple[str, ...]) -> list[Part]:
    """The parts of a message's content, which may be of these kinds. Empty text is no part: Gemini takes none."""
    if content is None:
        return []
    if isinstance(content, str):
        return [{"text": content}] if content else []
    parts = list[Part]()
    for number, part in enumerate(list_of(content, path)):
        here = f"{path}[{number}]"
        kind = text_of(object_of(part, here).get("type"), f"{here}.type")
        if kind not in kinds:
            notes.no_place(f"{here}.type")
            continue
        notes.leave_hints(part)
        notes.only(part, ("type", kind, *HINTS), here)
        parts += _READERS[kind](part.get(kind), f"{here}.{kind}", model, notes)
    return parts


def _text(value: Any, path: str, _: Abilities, __: Notes) -> list[Part]:
    text = text_of(value, path)
    return [{"text": text}] if text else []


def _image(value: Any, path: str, model: Abilities, notes: Notes) -> list[Part]:
    image = object_of(value, path)
    notes.only(image, ("url", "detail"), path)
    if image.get("detail") == "low":  # the others ask for no less than Gemini always does
        notes.no_place(f"{path}.detail")
    url, path = text_of(image.get("url"), f"{path}.url"), f"{path}.url"
    if url.startswith(("https://", "http://")):
        return _fetched(url, path, model, notes)
    media_type, data = _from_data_url(url)
    if media_type is None:
        raise BadRequest(
            f"'{path}' is neither an http(s) URL nor a base64 data URL.", param=path, code="invalid_image_url"
        )
    media_type = "image/jpeg" if media_type == "image/jpg" else media_type  # not registered, but in wide use
    return _inline(media_type, data) if media_type in _IMAGES else _none(path, notes)


def _fetched(url: str, path: str, model: Abilities, notes: Notes) -> list[Part]:
    """Gemini has to be told the type, which nothing but the URL's ending says."""
    media_type, _ = mimetypes.guess_type(_path_of(url))
    if not model.by_url or not url.startswith("https://") or media_type not in _IMAGES:
        return _none(path, notes)
    return [{"fileData": {"fileUri": url, "mimeType": media_type}}]


def _path_of(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:  # brackets that hold no address
        return ""


def _sound(value: Any, path: str, _: Abilities, notes: Notes) -> list[Part]:
    sound = object_of(value, path)
    notes.only(sound, ("data", "format"), path)
    data, kind = text_of(sound.get("data"), f"{path}.data"), text_of(sound.get("format"), f"{path}.format")
    return _inline(_SOUNDS[kind], data) if kind in _SOUNDS else _none(f"{path}.format", notes)


def _file(value: Any, path: str, _: Abilities, notes: Notes) -> list[Part]:
    file = object_of(value, path)
    notes.only(file, ("file_id", "file_data", "filename"), path)
    if file.get("file_id") is not None:
        return _none(f"{path}.file_id", notes)  # a name in another provider's store
    name = text_of(file.get("filename") or "", f"{path}.filename")
    text = text_of(file.get("file_data"), f"{path}.file_data")
    media_type, data = _from_data_url(text)
    if media_type is None or media_type == "application/octet-stream":
        media_type = _guessed(data, name.lower())
    if media_type == "application/json":
        media_type = "text/plain"
    if media_type not in _FILES and not media_type.startswith(("text/", "audio/", "video/")):
        return _none(f"{path}.file_data", notes)
    return [*([{"text": name}] if name else []), *_inline(media_type, data)]


def _guessed(data: str, name: str) -> str:
    """The type of a file that comes without one."""
    if data.startswith(_PDF_IN_BASE64) or name.endswith(".pdf"):
        return "application/pdf"
    return "text/plain" if name.endswith(_TEXT_NAMES) else ""


def _from_data_url(text: str) -> tuple[str | None, str]:
    """Media type and data; no type if it is not a base64 data URL."""
    match = _DATA_URL.match(text)
    if match is None:
        return None, text
    return (match[1] or "text/plain").lower(), text[match.end() :]


def _inline(media_type: str, data: str) -> list[Part]:
    return [{"inlineData": {"mimeType": media_type, "data": data}}]


def _none(path: str, notes: Notes) -> list[Part]:
    notes.no_place(path)
    return []


_READERS: dict[str, Callable[[Any, str, Abilities, Notes], list[Part]]] = {
    "text": _text,
    "refusal": _text,
    "image_url": _image,
    "input_audio": _sound,
    "file": _file,
}

"""Parts of messages: OpenAI's text, images, sound and files as content blocks of Converse. Bytes only: it fetches no
URL. Empty text is no block: Converse takes none.
"""

import re
from collections.abc import Callable
from typing import Any

from extproc.refusal import BadRequest
from extproc.translate.chat_notes import HINTS, Notes
from extproc.translate.openai_bedrock.models import Model
from extproc.translate.walk import list_of, object_of, text_of

Block = dict[str, Any]

_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_OFFICE = "application/vnd.openxmlformats-officedocument."
_DOCUMENTS = {
    "application/json": "txt",
    "application/msword": "doc",
    "application/pdf": "pdf",
    "application/vnd.ms-excel": "xls",
    f"{_OFFICE}spreadsheetml.sheet": "xlsx",
    f"{_OFFICE}wordprocessingml.document": "docx",
    "text/csv": "csv",
    "text/html": "html",
    "text/markdown": "md",
}
_ENDINGS = {f".{kind}": kind for kind in ("pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md")}
_TEXT_ENDINGS = dict.fromkeys((".json", ".xml", ".yaml", ".yml", ".log"), "txt")
_SOUNDS = ("wav", "mp3")
_NAME_LIMIT = 180  # characters; Converse takes 200, and a number may follow

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w.+-]+=[^;,]*)*);base64,", re.ASCII)
_PDF_IN_BASE64 = "JVBERi0"  # %PDF-
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9 ()\[\]-]+")


class Parts:
    """Reads the parts of one request; remembers which names its documents have, no two of which may be alike."""

    def __init__(self, model: Model, notes: Notes) -> None:
        self._model = model
        self._notes = notes
        self._names = set[str]()

    def of(self, content: Any, path: str, kinds: tuple[str, ...]) -> list[Block]:
        """The blocks of a message's content, whose parts may be of these kinds, with the points to cache up to."""
        if content is None:
            return []
        if isinstance(content, str):
            return [{"text": content}] if content.strip() else []
        blocks = list[Block]()
        for number, part in enumerate(list_of(content, path)):
            here = f"{path}[{number}]"
            kind = text_of(object_of(part, here).get("type"), f"{here}.type")
            if kind not in kinds:
                self._notes.no_place(f"{here}.type")
                continue
            known = ("type", kind, "citations", *HINTS) if kind == "file" else ("type", kind, *HINTS)
            self._notes.only(part, known, here)
            if (block := _READERS[kind](self, part, kind, f"{here}.{kind}")) is not None:
                blocks += [block, *self.cache_point(part, here)]
        return blocks

    def cache_point(self, holder: dict[str, Any], path: str, *, of_tools: bool = False) -> list[Block]:
        """What stands behind the block whose part, message or tool asks for caching, in either API's words."""
        mark, point = holder.get("cache_control"), holder.get("prompt_cache_breakpoint")
        if mark is None and point is None:
            return []
        name = "cache_control" if mark is not None else "prompt_cache_breakpoint"
        ttl = object_of(mark if mark is not None else point, f"{path}.{name}").get("ttl")
        if not (self._model.caches_tools if of_tools else self._model.caches):
            self._notes.leave_out(name)
            return []
        if mark is None and ttl not in (None, "30m"):
            self._notes.leave_out(f"{name}.ttl")
        wanted = "1h" if mark is None else ttl
        if wanted not in (None, "5m") and not (wanted == "1h" and self._model.caches_longer):
            self._notes.leave_out(f"{name}.ttl")
            wanted = None
        longer = {"ttl": wanted} if wanted and self._model.caches_longer else {}
        return [{"cachePoint": {"type": "default", **longer}}]

    def _text(self, part: dict[str, Any], kind: str, path: str) -> Block | None:
        text = text_of(part.get(kind), path)
        return {"text": text} if text.strip() else None

    def _image(self, part: dict[str, Any], kind: str, path: str) -> Block | None:
        image = object_of(part.get(kind), path)
        self._notes.only(image, ("url", "detail"), path)
        if image.get("detail") == "low":  # the others ask for no less than what is always done
            self._notes.no_place(f"{path}.detail")
        path = f"{path}.url"
        url = text_of(image.get("url"), path)
        media_type, data = _from_data_url(url)
        if media_type is None and not url.startswith(("https://", "http://")):
            raise BadRequest(
                f"'{path}' is neither an http(s) URL nor a base64 data URL.", param=path, code="invalid_image_url"
            )
        if media_type not in _IMAGES:
            return self._none(path)
        return {"image": {"format": _IMAGES[media_type], "source": {"bytes": data}}}

    def _sound(self, part: dict[str, Any], kind: str, path: str) -> Block | None:
        sound = object_of(part.get(kind), path)
        self._notes.only(sound, ("data", "format"), path)
        data, form = text_of(sound.get("data"), f"{path}.data"), text_of(sound.get("format"), f"{path}.format")
        if form not in _SOUNDS:
            return self._none(f"{path}.format")
        return {"audio": {"format": form, "source": {"bytes": data}}}

    def _file(self, part: dict[str, Any], kind: str, path: str) -> Block | None:
        file = object_of(part.get(kind), path)
        self._notes.only(file, ("file_id", "file_data", "filename"), path)
        if file.get("file_id") is not None:
            return self._none(f"{path}.file_id")  # a name in another provider's store
        name = text_of(file.get("filename") or "", f"{path}.filename")
        media_type, data = _from_data_url(text_of(file.get("file_data"), f"{path}.file_data"))
        form = _format_of(media_type, data, name.lower())
        if form is None:
            return self._none(f"{path}.file_data")
        made: Block = {"format": form, "name": self._named(name), "source": {"bytes": data}}
        if (citations := part.get("citations")) is not None:
            here = f"{path.removesuffix('.file')}.citations"
            self._notes.only(object_of(citations, here), ("enabled",), here)
            made |= {"citations": {"enabled": True}} if citations.get("enabled") else {}
        return {"document": made}

    def _named(self, filename: str) -> str:
        """The file's name in the few characters that Converse knows, and unlike all before it."""
        plain = _NOT_IN_NAMES.sub(" ", filename.rpartition(".")[0] or filename)
        name = " ".join(plain.split())[:_NAME_LIMIT].strip() or "document"
        made, number = name, 1
        while made in self._names:
            number += 1
            made = f"{name} {number}"
        self._names.add(made)
        return made

    def _none(self, path: str) -> Block | None:
        self._notes.no_place(path)
        return None


def _format_of(media_type: str | None, data: str, name: str) -> str | None:
    """Converse's word for a file's type; without one, its first bytes and the ending of its name decide."""
    if media_type is not None and media_type != "application/octet-stream":
        return _DOCUMENTS.get(media_type) or ("txt" if media_type.startswith("text/") else None)
    if data.startswith(_PDF_IN_BASE64):
        return "pdf"
    ending = f".{name.rpartition('.')[2]}"
    return _ENDINGS.get(ending) or _TEXT_ENDINGS.get(ending)


def _from_data_url(text: str) -> tuple[str | None, str]:
    """Media type and data; no type if it is not a base64 data URL."""
    match = _DATA_URL.match(text)
    if match is None:
        return None, text
    return (match[1] or "text/plain").lower(), text[match.end() :]


_READERS: dict[str, Callable[[Parts, dict[str, Any], str, str], Block | None]] = {
    "text": Parts._text,
    "refusal": Parts._text,
    "image_url": Parts._image,
    "input_audio": Parts._sound,
    "file": Parts._file,
}

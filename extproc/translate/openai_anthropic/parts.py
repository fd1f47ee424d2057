"""Parts of messages: text, images, files; OpenAI's content parts to Anthropic's content blocks."""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

from extproc.refusal import BadRequest
from extproc.translate.walk import Walk, list_of, object_of, text_of

Block = dict[str, Any]

IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w.+-]+=[^;,]*)*);base64,", re.ASCII)
_PDF_IN_BASE64 = "JVBERi0"  # %PDF-
_TEXT_NAMES = (".txt", ".md", ".csv", ".json", ".xml", ".html", ".yaml", ".yml", ".log")
_HINTS = ("cache_control", "prompt_cache_breakpoint")


def blocks_of(content: Any, path: str, walk: Walk, kinds: tuple[str, ...]) -> list[Block]:
    """The blocks of a message's content, whose parts may be of these kinds. Empty text is no block: Anthropic
    takes none."""
    if content is None:
        return []
    if isinstance(content, str):
        return [text_block(content)] if content.strip() else []
    blocks = list[Block]()
    for number, part in enumerate(list_of(content, path)):
        here = f"{path}[{number}]"
        kind = text_of(object_of(part, here).get("type"), f"{here}.type")
        if kind not in kinds:
            walk.no_place(f"{here}.type")
        elif (block := _PARTS[kind](part, here, walk)) is not None:
            blocks.append(block)
    return blocks


def text_block(text: str) -> Block:
    """Text that the model reads."""
    return {"type": "text", "text": text}


def hinted(block: Block, holder: dict[str, Any], path: str, walk: Walk) -> Block:
    """The block with the prompt-cache hint that its part, message or tool has, in either API's words."""
    if (mark := holder.get("cache_control")) is not None:
        block["cache_control"] = object_of(mark, f"{path}.cache_control")
    elif (point := holder.get("prompt_cache_breakpoint")) is not None:
        here = f"{path}.prompt_cache_breakpoint"
        if object_of(point, here).get("ttl") in (None, "30m"):
            block["cache_control"] = {"type": "ephemeral", "ttl": "1h"}  # the shortest that lasts for 30 minutes
        else:
            walk.no_place(f"{here}.ttl")
    return block


def _text(part: dict[str, Any], path: str, walk: Walk) -> Block | None:
    walk.only(part, ("type", "text", *_HINTS), path)
    text = text_of(part.get("text"), f"{path}.text")
    return hinted(text_block(text), part, path, walk) if text.strip() else None


def _refusal(part: dict[str, Any], path: str, walk: Walk) -> Block | None:
    walk.only(part, ("type", "refusal"), path)
    text = text_of(part.get("refusal"), f"{path}.refusal")
    return text_block(text) if text.strip() else None


def _image(part: dict[str, Any], path: str, walk: Walk) -> Block | None:
    walk.only(part, ("type", "image_url", *_HINTS), path)
    here = f"{path}.image_url"
    image = object_of(part.get("image_url"), here)
    walk.only(image, ("url", "detail"), here)
    if image.get("detail") == "low":  # the others ask for no less than Anthropic always does
        walk.no_place(f"{here}.detail")
    url = text_of(image.get("url"), f"{here}.url")
    source = _image_source(url, f"{here}.url", walk)
    return None if source is None else hinted({"type": "image", "source": source}, part, path, walk)


def _image_source(url: str, path: str, walk: Walk) -> Block | None:
    if url.startswith(("https://", "http://")):
        return {"type": "url", "url": url}
    media_type, data = _from_data_url(url)
    if media_type is None:
        raise BadRequest(
            f"'{path}' is neither an http(s) URL nor a base64 data URL.", param=path, code="invalid_image_url"
        )
    if media_type == "image/jpg":  # not a registered type, but in wide use
        media_type = "image/jpeg"
    if media_type not in IMAGES:
        walk.no_place(path)
        return None
    return {"type": "base64", "media_type": media_type, "data": data}


def _file(part: dict[str, Any], path: str, walk: Walk) -> Block | None:
    walk.only(part, ("type", "file", "citations", *_HINTS), path)
    here = f"{path}.file"
    file = object_of(part.get("file"), here)
    walk.only(file, ("file_id", "file_data", "filename"), here)
    if file.get("file_id") is not None:
        walk.no_place(f"{here}.file_id")  # a name in another provider's store
        return None
    name = text_of(file.get("filename") or "", f"{here}.filename")
    source = _file_source(text_of(file.get("file_data"), f"{here}.file_data"), name, f"{here}.file_data", walk)
    if source is None:
        return None
    block: Block = {"type": "document", "source": source}
    if name:
        block["title"] = name
    if (citations := part.get("citations")) is not None:
        block["citations"] = object_of(citations, f"{path}.citations")
    return hinted(block, part, path, walk)


def _file_source(text: str, name: str, path: str, walk: Walk) -> Block | None:
    media_type, data = _from_data_url(text)
    if media_type is None or media_type == "application/octet-stream":
        media_type = _guessed(data, name.lower())
    if media_type == "application/pdf":
        return {"type": "base64", "media_type": media_type, "data": data}
    if media_type.startswith("text/") or media_type == "application/json":
        return {"type": "text", "media_type": "text/plain", "data": _decoded(data, path)}
    walk.no_place(path)
    return None


def _guessed(data: str, name: str) -> str:
    """The type of a file that comes without one."""
    if data.startswith(_PDF_IN_BASE64) or name.endswith(".pdf"):
        return "application/pdf"
    return "text/plain" if name.endswith(_TEXT_NAMES) else ""


def _decoded(data: str, path: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        raise BadRequest(
            f"'{path}' is not UTF-8 text in base64, as its type or file name says.", param=path, code="invalid_value"
        ) from None


def _from_data_url(text: str) -> tuple[str | None, str]:
    """Media type and data; no type if it is not a base64 data URL."""
    match = _DATA_URL.match(text)
    if match is None:
        return None, text
    return (match[1] or "text/plain").lower(), text[match.end() :]


_PARTS: dict[str, Callable[[dict[str, Any], str, Walk], Block | None]] = {
    "text": _text,
    "refusal": _refusal,
    "image_url": _image,
    "file": _file,
}

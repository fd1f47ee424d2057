"""Parts of messages: text and images; Cohere's have the shape of OpenAI's, and take less."""

import re
from typing import Any

from extproc.refusal import BadRequest
from extproc.translate.chat_notes import HINTS, Notes
from extproc.translate.openai_anthropic.parts import IMAGES
from extproc.translate.openai_cohere.models import Abilities
from extproc.translate.walk import list_of, object_of, text_of

Part = dict[str, Any]

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)(?:;[\w.+-]+=[^;,]*)*;base64,", re.ASCII | re.IGNORECASE)
_DETAILS = ("auto", "low", "high")


def parts_of(content: Any, path: str, model: Abilities, notes: Notes, kinds: tuple[str, ...]) -> list[Part]:
    """The parts of a message's content, which may be of these kinds. Empty text is no part: Cohere takes none."""
    if content is None:
        return []
    if isinstance(content, str):
        return [text_part(content)] if content else []
    parts = list[Part]()
    for number, part in enumerate(list_of(content, path)):
        here = f"{path}[{number}]"
        kind = text_of(object_of(part, here).get("type"), f"{here}.type")
        if kind not in kinds or (kind == "image_url" and not model.images):
            notes.no_place(f"{here}.type")
            continue
        notes.leave_hints(part)
        notes.only(part, ("type", kind, *HINTS), here)
        if kind == "image_url":
            parts += _image(part.get(kind), f"{here}.{kind}", notes)
        elif text := text_of(part.get(kind), f"{here}.{kind}"):
            parts.append(text_part(text))
    return parts


def text_part(text: str) -> Part:
    """Text that the model reads."""
    return {"type": "text", "text": text}


def _image(value: Any, path: str, notes: Notes) -> list[Part]:
    image = object_of(value, path)
    notes.only(image, ("url", "detail"), path)
    url, here = text_of(image.get("url"), f"{path}.url"), f"{path}.url"
    if not url.startswith(("https://", "http://")):
        match = _DATA_URL.match(url)
        if match is None:
            raise BadRequest(
                f"'{here}' is neither an http(s) URL nor a base64 data URL.", param=here, code="invalid_image_url"
            )
        if match[1].lower() not in (*IMAGES, "image/jpg"):
            notes.no_place(here)
            return []
    made: Part = {"url": url}
    if (detail := image.get("detail")) in _DETAILS:
        made["detail"] = detail
    elif detail is not None:
        notes.no_place(f"{path}.detail")
    return [{"type": "image_url", "image_url": made}]

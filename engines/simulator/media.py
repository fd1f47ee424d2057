"""Pictures, speech, transcripts, moderations and rankings, made of nothing but the request, and they say so. Pure."""

import base64
import hashlib
import struct
import zlib
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from engines.simulator.media_bodies import Heard, ModerationBody, PictureBody, RerankBody
from engines.simulator.stream import Event
from engines.simulator.usage import word_count

PICTURE_TOKENS: Final = 272  # gpt-image's smallest
_RATE: Final = 8_000  # samples of sound in a second
_SAMPLES_PER_CHARACTER: Final = 400
_FORMATS: Final = {"srt": "application/x-subrip", "vtt": "text/vtt", "text": "text/plain; charset=utf-8"}
_CATEGORIES: Final = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)


def pictures(body: PictureBody, created: int, model: str) -> bytes:
    """Return an answer with `n` small pictures."""
    count = body.n or 1
    data = [{"b64_json": _png(f"{body.prompt} {index}")} for index in range(count)]
    return msgspec.json.encode({"created": created, "model": model, "data": data, "usage": _used(body, count)})


def picture_events(body: PictureBody, created: int, kind: str) -> Iterator[Event]:
    """Return the same as events: of each picture so many unfinished ones, then itself with its usage."""
    step = 0
    for index in range(body.n or 1):
        picture = {"b64_json": _png(f"{body.prompt} {index}"), "created_at": created, "size": "1x1"}
        picture |= {"quality": "low", "background": "opaque", "output_format": "png"}
        for part in range(body.partial_images or 0):
            event = {"type": f"{kind}.partial_image", **picture, "partial_image_index": part}
            yield _event(step, event)
            step += 1
        yield _event(step, {"type": f"{kind}.completed", **picture, "usage": _used(body, 1)})
        step += 1


def silence(text: str) -> bytes:
    """Return a WAV file of silence, as long as reading the text aloud would take."""
    samples = bytes(2 * _SAMPLES_PER_CHARACTER * len(text))
    form = struct.pack("<IHHIIHH", 16, 1, 1, _RATE, 2 * _RATE, 2, 16)
    rest = b"WAVEfmt " + form + b"data" + struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", len(rest)) + rest


def speech_events(text: str, model: str) -> Iterator[Event]:
    """Return the same in pieces."""
    sound, step = silence(text), 0
    for step, at in enumerate(range(0, len(sound), 2 * _RATE)):
        piece = base64.b64encode(sound[at : at + 2 * _RATE]).decode()
        yield _event(step, {"type": "speech.audio.delta", "audio": piece, "model": model})
    words, made = max(1, word_count(text)), len(text)
    usage = {"input_tokens": words, "output_tokens": made, "total_tokens": words + made}
    yield _event(step + 1, {"type": "speech.audio.done", "usage": usage})


def transcript(heard: Heard, model: str) -> tuple[bytes, str]:
    """Return an answer that says how much was heard, and its content type."""
    text, end = _said(heard), f"{heard.seconds // 3600:02}:{heard.seconds // 60 % 60:02}:{heard.seconds % 60:02}"
    written = {
        "text": f"{text}\n",
        "srt": f"1\n00:00:00,000 --> {end},000\n{text}\n\n",
        "vtt": f"WEBVTT\n\n00:00:00.000 --> {end}.000\n{text}\n\n",
    }
    if heard.response_format in written:
        return written[heard.response_format].encode(), _FORMATS[heard.response_format]
    answer: dict[str, Any] = {"text": text, "model": model}
    if heard.response_format == "verbose_json":
        answer |= {"task": "transcribe", "language": "english", "duration": heard.seconds, "segments": []}
    return msgspec.json.encode(answer | {"usage": {"type": "duration", "seconds": heard.seconds}}), "application/json"


def transcript_events(heard: Heard) -> Iterator[Event]:
    """Return the same word by word."""
    words = _said(heard).split(" ")
    for step, word in enumerate(words):
        yield _event(step, {"type": "transcript.text.delta", "delta": f"{' ' if step else ''}{word}"})
    heard_tokens, made = 10 * heard.seconds, len(words)
    usage = {"type": "tokens", "input_tokens": heard_tokens, "output_tokens": made}
    usage["total_tokens"] = heard_tokens + made
    yield _event(len(words), {"type": "transcript.text.done", "text": " ".join(words), "usage": usage})


def moderation(body: ModerationBody, answer_id: str, model: str) -> bytes:
    """Return an answer by which nothing is harmful: nobody has looked."""
    asked = body.input if isinstance(body.input, list) else [body.input]
    of_one_prompt = all(isinstance(one, dict) for one in asked)
    result = {
        "flagged": False,
        "categories": dict.fromkeys(_CATEGORIES, False),
        "category_scores": dict.fromkeys(_CATEGORIES, 0.0),
        "category_applied_input_types": {name: [] for name in _CATEGORIES},
    }
    return msgspec.json.encode(
        {"id": answer_id, "model": model, "results": [result] * (1 if of_one_prompt else len(asked))}
    )


def ranking(body: RerankBody, answer_id: str, model: str) -> bytes:
    """Return the documents, those with most of the query's words first."""
    words = set(body.query.lower().split())
    shares = [len(words & set(text.lower().split())) / max(1, len(words)) for text in body.documents]
    places = sorted(range(len(shares)), key=lambda place: (-shares[place], place))
    results = [
        {"index": place, "document": {"text": body.documents[place]}, "relevance_score": shares[place]}
        for place in places[: body.top_n]
    ]
    tokens = sum(word_count(text) + word_count(body.query) for text in body.documents)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return msgspec.json.encode({"id": answer_id, "model": model, "usage": usage, "results": results})


def _said(heard: Heard) -> str:
    return f"A simulated transcript of {heard.size_bytes} bytes of sound."


def _used(body: PictureBody, count: int) -> dict[str, Any]:
    words, made = max(1, word_count(body.prompt)), PICTURE_TOKENS * count
    details = {"text_tokens": words, "image_tokens": 0}
    return {
        "input_tokens": words,
        "output_tokens": made,
        "total_tokens": words + made,
        "input_tokens_details": details,
    }


def _png(text: str) -> str:
    """One pixel, whose colour the text decides."""
    colour = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:3]
    size = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", size), (b"IDAT", zlib.compress(b"\0" + colour)), (b"IEND", b""))
    parts = [struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
             for name, data in chunks]  # fmt: skip
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(parts)).decode()


def _event(step: int, event: dict[str, Any]) -> Event:
    return Event(step, b"data: " + msgspec.json.encode(event) + b"\n\n", True)

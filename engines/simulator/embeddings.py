"""Deterministic unit vectors for texts. Pure."""

import base64
import hashlib
import math
import struct
from array import array
from typing import Any, Final

import msgspec

from engines.simulator.bodies import EmbeddingsBody, prompts_of
from engines.simulator.faults import spaced
from engines.simulator.usage import DECOY, word_count

DEFAULT_DIMENSIONS: Final = 384


def embeddings_reply(body: EmbeddingsBody, model: str) -> bytes:
    """Return the body of an embeddings answer. Raises `BodyError` on an empty or mixed input."""
    texts, simulate = prompts_of(body.input, "input"), body.simulate
    dimensions = body.dimensions or DEFAULT_DIMENSIONS
    as_base64 = body.encoding_format == "base64"
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": _written(unit_vector(text, dimensions), as_base64),
        }
        for index, text in enumerate(texts)
    ]
    tokens = max(1, sum(map(word_count, texts)))
    reply: dict[str, Any] = {"object": "list", "model": model}
    usage = None if simulate.null_usage else {"prompt_tokens": tokens, "total_tokens": tokens}
    if simulate.nested_usage:
        reply["x_vendor"] = DECOY
    if simulate.usage_first and not simulate.no_usage:
        reply["usage"] = usage
    reply["data"] = data
    if not simulate.no_usage:
        reply.setdefault("usage", usage)
    encoded = msgspec.json.encode(reply)
    return spaced(encoded) if simulate.spaces else encoded


def unit_vector(text: str, dimensions: int) -> tuple[float, ...]:
    """Return the vector of a text: float32 numbers from its hash, of length 1."""
    digest = hashlib.shake_256(text.encode("utf-8", "surrogatepass")).digest(4 * dimensions)
    centred = [number / 0x7FFF_FFFF - 1.0 for number in struct.unpack(f"<{dimensions}I", digest)]
    length = math.hypot(*centred) or 1.0
    return tuple(array("f", [number / length for number in centred]))


def _written(vector: tuple[float, ...], as_base64: bool) -> str | tuple[float, ...]:
    if not as_base64:
        return vector
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()

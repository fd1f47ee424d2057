"""What a picture, a sound or a document costs, as far as its first bytes say. Pure; sources are in docs/tokens.md."""

import binascii
import struct
from typing import Any

from extproc.tokens.rules import Patches, Rule, Tiles

UNKNOWN = (1024, 1024)  # a picture whose size is not known: behind a URL or a file's id
PAGE = 3_000  # tokens of a document's page: its text and its picture
PAGE_BYTES = 65_536  # of a document, for each page that it is taken to have
_SOUND_PER_S = 10
_SOUND_BYTES_PER_S = 4_000  # compressed speech
_LEAST_PER_S = 1_000  # bytes: less is no sound
_WAV = struct.Struct("<4s4x4s4s4xHHI6xH")  # up to the bits of a sample, where the format comes first
_SAMPLED = (
    1,
    3,
    6,
    7,
    0xFFFE,
)  # formats whose samples are all of one size: integers, floats, A-law, mu-law, and which
_HEAD = 2**17  # characters of base64 in which a JPEG has its size: EXIF and colour profiles come before it


def picture_tokens(size: tuple[int, int] | None, rule: Rule, *, low: bool = False) -> int:
    """What a picture of that many pixels costs; `low` is OpenAI's `detail`."""
    width, height = size or UNKNOWN
    if isinstance(rule.picture, Tiles):
        return rule.picture.base if low else _tiled(width, height, rule.picture)
    return _patched(width, height, rule.picture)


def _tiled(width: int, height: int, rule: Tiles) -> int:
    scale = min(1.0, 2048 / max(width, height, 1))
    scale = min(scale, 768 / max(min(width, height), 1))
    across, down = (max(1, -(-round(side * scale) // 512)) for side in (width, height))
    return rule.base + rule.each * across * down


def _patched(width: int, height: int, rule: Patches) -> int:
    longer = max(width, height, 1)
    if rule.edge and longer > rule.edge:
        width, height = width * rule.edge // longer, height * rule.edge // longer
    patches = max(1, -(-width // rule.side)) * max(1, -(-height // rule.side))
    return -(-min(patches, rule.most) * rule.percent // 100)


def document_tokens(data: Any) -> int:
    """What a document costs that is given as base64; anything else is taken for one page."""
    size_bytes = len(data) * 3 // 4 if isinstance(data, str) else 0
    return PAGE * max(1, -(-size_bytes // PAGE_BYTES))


def sound_tokens(data: Any) -> int:
    """What a sound costs that is given as base64: by its length in time, which a WAV file says."""
    if not isinstance(data, str):
        return _SOUND_PER_S
    return _SOUND_PER_S * sound_seconds(_decoded(data, 64), len(data) * 3 // 4)


def sound_seconds(head: bytes, size_bytes: int) -> int:
    """How long a sound lasts, by its first bytes and its size: a WAV file says how many bytes a second has."""
    return -(-size_bytes // max(_wav_bytes_per_s(head) or _SOUND_BYTES_PER_S, _LEAST_PER_S))


def _wav_bytes_per_s(head: bytes) -> int:
    """By what decoders go by, not by the rate in bytes that stands there too and may be anything; 0 if unknown."""
    if len(head) < _WAV.size:
        return 0
    riff, wave, chunk, tag, channels, samples_per_s, bits = _WAV.unpack_from(head)
    is_known = (riff, wave, chunk) == (b"RIFF", b"WAVE", b"fmt ") and tag in _SAMPLED
    return samples_per_s * channels * bits // 8 if is_known else 0


def url_data(url: Any) -> tuple[str, str] | None:
    """Media type and base64 of a `data:` URL."""
    if not isinstance(url, str) or not url.startswith("data:"):
        return None
    head, comma, data = url.partition(",")
    return (head[5:].partition(";")[0], data) if comma and head.endswith(";base64") else None


def plain_text(media_type: Any, data: Any) -> str | None:
    """A base64 document's text, where it is nothing but text."""
    if not isinstance(media_type, str) or not media_type.startswith("text/") or not isinstance(data, str):
        return None
    try:
        return binascii.a2b_base64(data).decode(errors="replace")
    except ValueError:
        return None


def picture_size(data: Any) -> tuple[int, int] | None:
    """Width and height of a PNG, GIF, WebP or JPEG that is given as base64; None when they cannot be read."""
    if not isinstance(data, str):
        return None
    head = _decoded(data, 64)
    if head.startswith(b"\xff\xd8"):
        return _jpeg(_decoded(data, _HEAD))
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _sides(head[16:20], head[20:24], "big")
    if head.startswith((b"GIF87a", b"GIF89a")):
        return _sides(head[6:8], head[8:10], "little")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _webp(head)
    return None


def _decoded(data: str, characters: int) -> bytes:
    try:
        return binascii.a2b_base64(data[:characters])
    except ValueError:
        return b""


def _sides(width: bytes, height: bytes, order: str) -> tuple[int, int] | None:
    found = (_int(width, order), _int(height, order))
    return found if all(found) else None


def _int(data: bytes, order: str) -> int:
    return int.from_bytes(data, "big" if order == "big" else "little")


def _webp(head: bytes) -> tuple[int, int] | None:
    """RFC 9649: the three kinds of first chunk."""
    kind = head[12:16]
    if kind == b"VP8 " and len(head) >= 30:
        return _int(head[26:28], "little") & 0x3FFF, _int(head[28:30], "little") & 0x3FFF
    if kind == b"VP8L" and len(head) >= 25:
        bits = _int(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X" and len(head) >= 30:
        return _int(head[24:27], "little") + 1, _int(head[27:30], "little") + 1
    return None


def _jpeg(head: bytes) -> tuple[int, int] | None:
    """Segment by segment to the frame's header (ITU T.81, B.2.2)."""
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return _sides(head[at + 7 : at + 9], head[at + 5 : at + 7], "big")
        bare = marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD8
        at += (1 if marker == 0xFF else 2) if bare else 2 + max(2, _int(head[at + 2 : at + 4], "big"))
    return None

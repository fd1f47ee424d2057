"""Virtual keys as text: `hg-` and 43 URL-safe characters. What makes one, what one looks like, how one is stored.

Keys that the database knows end in a checksum: the CRC-32 of the 37 random characters before it (222 bits), as
base64url without padding. It saves look-ups of what was mistyped and proves nothing. Keys of gateway.yaml need none.
No IO but the system's randomness, and nothing here keeps or prints a key.
"""

import hmac
import re
import secrets
import zlib
from base64 import urlsafe_b64encode
from hashlib import sha256

PREFIX = "hg-"
KEY_CHARS = 46
KEY = re.compile(r"hg-[A-Za-z0-9_-]{43}", re.ASCII)
_RANDOM, _SHOWN = 37, 8


def make_key() -> str:
    """A new key with a checksum. To be shown once."""
    drawn = secrets.token_urlsafe(28)[:_RANDOM]
    return f"{PREFIX}{drawn}{checksum_of(drawn)}"


def split_key(text: str) -> tuple[str, str] | None:
    """The 37 characters and the 6 after them; None for what can't be a key."""
    if not KEY.fullmatch(text):
        return None
    at = len(PREFIX) + _RANDOM
    return text[len(PREFIX) : at], text[at:]


def checksum_of(drawn: str) -> str:
    """The 6 characters that follow those 37."""
    return urlsafe_b64encode(zlib.crc32(drawn.encode()).to_bytes(4, "big")).decode().rstrip("=")


def has_checksum(text: str) -> bool:
    """Whether the database may know it. Of other keys, one in 2^32 has a right one by chance."""
    parts = split_key(text)
    return parts is not None and checksum_of(parts[0]) == parts[1]


def digest_of(key: str, pepper: bytes) -> bytes:
    """What the database stores of a key: 32 bytes, useless without the pepper."""
    return hmac.digest(pepper, key.encode(), sha256)


def shown_of(key: str) -> str:
    """What may be shown of a key for good, so that people know it again: its first 8 characters."""
    return key[:_SHOWN]

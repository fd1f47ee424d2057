"""What a provider wants back of its model's thinking, where the client's API has one text to carry it: as the
`encrypted_content` of Responses' reasoning items, as the `signature` of Messages' thinking blocks.

It is nothing secret: the signatures of Anthropic's and Google's are, in a form that clients pass on unread. What
others have put there is not read here.
"""

import base64
import binascii
from typing import Any, TypeGuard

import msgspec

_MARK = "headgate1."


class Sealed(msgspec.Struct, omit_defaults=True):
    """Anthropic's blocks of thinking; Google's signatures of calls, by the call's id."""

    thinking_blocks: list[dict[str, Any]] = []
    signatures: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self.thinking_blocks or self.signatures)


_decoder = msgspec.json.Decoder(Sealed)


def is_sealed(text: Any) -> TypeGuard[str]:
    """Whether `seal` has made it, by its looks."""
    return isinstance(text, str) and text.startswith(_MARK)


def seal(sealed: Sealed) -> str | None:
    """The text for the client; None where there is nothing to say."""
    if not sealed:
        return None
    return _MARK + base64.urlsafe_b64encode(msgspec.json.encode(sealed)).decode()


def unseal(text: Any) -> Sealed | None:
    """What `seal` was given; None for what it has not made."""
    if not is_sealed(text):
        return None
    try:
        return _decoder.decode(base64.b64decode(text.removeprefix(_MARK), altchars=b"-_", validate=True))
    except (binascii.Error, msgspec.DecodeError, ValueError, RecursionError):
        return None

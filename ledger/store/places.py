"""Where a page of an answer ended, as a text that the asker gives back. Pure.

It is no secret, and trusted in nothing: what it says is bound like every other value of the question, whose tenant
stays the question's own.
"""

import base64
import binascii
import hashlib

import msgspec

from headgate.usage_questions import Question, Sums
from ledger.store.question_rules import Invalid

_LONGEST = 65_536


class _Place(msgspec.Struct, array_like=True, frozen=True):
    question: bytes
    at: list[int | str]


def place_text(question: Question, at: list[int | str]) -> str:
    """`at` for the question that goes on there."""
    packed = msgspec.msgpack.encode(_Place(_digest(question), at))
    return base64.urlsafe_b64encode(packed).decode()


def read_place(question: Question) -> list[int | str] | None:
    """What `after` says, None without one. Raises Invalid for what is no place of this question."""
    if question.after is None:
        return None
    try:
        if len(question.after) > _LONGEST:
            raise Invalid("after: is too long")
        packed = base64.urlsafe_b64decode(question.after.encode())
        place = msgspec.msgpack.decode(packed, type=_Place)
    except (msgspec.DecodeError, binascii.Error, UnicodeError) as error:
        raise Invalid("after: is no earlier answer's next") from error
    if place.question != _digest(question) or [type(value) for value in place.at] != _types(question):
        raise Invalid("after: is of another question")
    if any(isinstance(value, int) and not 0 <= value + 1 < 2**53 for value in place.at):
        raise Invalid("after: is no earlier answer's next")
    return place.at


def _digest(question: Question) -> bytes:
    same = msgspec.structs.replace(question, after=None, limit=1)
    return hashlib.blake2b(msgspec.json.encode(same, order="sorted"), digest_size=12).digest()


def _types(question: Question) -> list[type]:
    if isinstance(question, Sums):
        return [int, *(str for _ in question.by)]
    return [str, int, str, int, str]

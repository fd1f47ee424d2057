"""Idempotency-Keys: what a request was answered, kept in the transaction that did what it asked for.

So a request that is sent twice, at once or after a crash, is done once: the second one waits for its turn to write
and then finds the answer. A refusal is rolled back with everything else and not kept. Answers may hold what is
shown once, a key: whoever keeps one seals it first.
"""

import datetime as dt
from hashlib import sha256

from sqlalchemy import delete, insert, select

from control.canonical import canonical
from control.store.base import table_of
from control.store.failures import OtherRequest
from control.store.tables import AnswerRow
from control.store.unit import Writer
from control.store.values import Answer

KEPT = dt.timedelta(hours=24)
_COLUMNS = tuple(table_of(AnswerRow).c[name] for name in Answer.__slots__)


def key_digest(principal: str, route: str, key: str) -> bytes:
    """What an Idempotency-Key is known by: whoever sends it, and for what."""
    return sha256(canonical([principal, route, key])).digest()


def find_answer(writer: Writer, digest: bytes, body_digest: bytes) -> Answer | None:
    """What the request was answered, if it was. Raises OtherRequest when the key was used for another body."""
    row = writer.row(select(*_COLUMNS).where(AnswerRow.key_digest == digest, AnswerRow.expires_at > writer.now))
    if row is None:
        return None
    found = Answer(**row._mapping)
    if found.body_digest != body_digest:
        raise OtherRequest("this Idempotency-Key was used for another request; take a new one")
    return found


def keep_answer(writer: Writer, answer: Answer) -> None:
    """In place of one that is too old."""
    writer.run(delete(AnswerRow).where(AnswerRow.key_digest == answer.key_digest))
    writer.run(insert(AnswerRow).values({name: getattr(answer, name) for name in Answer.__slots__}))


def forget_answers(writer: Writer) -> int:
    """Remove those that are too old; how many."""
    return writer.run(delete(AnswerRow).where(AnswerRow.expires_at <= writer.now))

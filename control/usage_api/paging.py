"""Buckets of time, and which of them are on a page. Pure.

A cursor says where the next page begins, and by a digest which question it belongs to. It says nothing of who asks:
whose usage is read is decided anew for each page.
"""

import base64
import binascii
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import msgspec

from control.usage_api.kinds import Kind, result_of
from control.usage_api.parameters import MOST_SECONDS, Wanted
from control.usage_api.refusal import Refused, invalid
from headgate.usage_questions import SumRow, SumsAnswer

_PREFIX = "page_"


class _Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """`after` is the store's, of the question about `since_s` to `until_s`, whose first bucket is at `shown_s`."""

    digest: bytes
    since_s: int
    until_s: int
    after: str | None = None
    shown_s: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """Time that is asked for. `after`: what of it was on the page before, up to somewhere in the bucket that
    begins at `shown_s`. `asked_s`: where the last question about it began."""

    since_s: int
    until_s: int
    after: str | None
    shown_s: int
    asked_s: int


def pieces(page: Page, wanted: Wanted) -> list[Page]:
    """What is asked for one by one: buckets that are cut off, and the whole ones, whose sums the store has kept."""
    width_s = wanted.bucket.seconds
    first_s = min(page.until_s, page.since_s + -page.since_s % width_s)
    last_s = max(first_s, page.until_s - page.until_s % width_s)
    if page.after is not None:
        return [page]
    edges = sorted({page.since_s, first_s, last_s, page.until_s})
    return [Page(since_s, until_s, None, since_s, since_s) for since_s, until_s in itertools.pairwise(edges)]


def up_to(page: Page, piece: Page) -> Page:
    """The page, with all from its beginning to the end of a piece."""
    return Page(page.since_s, piece.until_s, page.after, page.shown_s, piece.asked_s)


def page_of(path: str, wanted: Wanted, now_s: int) -> Page:
    """What is to be asked. Without time in it, nothing is: it lies ahead. Raises Refused for a cursor."""
    end_s = _end_s(wanted, now_s)
    if wanted.page is None:
        return Page(wanted.since_s, _page_end_s(wanted, wanted.since_s, end_s), None, wanted.since_s, wanted.since_s)
    cursor = _read(wanted.page)
    if cursor is None or cursor.digest != _digest(path, wanted):
        raise _foreign()
    is_inside = wanted.since_s <= cursor.since_s <= cursor.shown_s < MOST_SECONDS
    if cursor.after is None:
        if not is_inside:
            raise _foreign()
        return Page(cursor.since_s, _page_end_s(wanted, cursor.since_s, end_s), None, cursor.since_s, cursor.since_s)
    most_s = _page_end_s(wanted, cursor.since_s, MOST_SECONDS if wanted.until_s is None else wanted.until_s)
    if not (is_inside and cursor.shown_s < cursor.until_s <= most_s):
        raise _foreign()
    return Page(cursor.since_s, cursor.until_s, cursor.after, cursor.shown_s, cursor.since_s)


def shown(path: str, kind: Kind, wanted: Wanted, page: Page, answer: SumsAnswer | None, now_s: int) -> dict[str, Any]:
    """OpenAI's page of buckets. `answer` None: there is nothing to count."""
    rows = answer.rows if answer else []
    width_s = wanted.bucket.seconds
    results: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        if _is_use(row):
            results.setdefault(row.start_s // width_s, []).append(result_of(kind, row, wanted.groups))
    cursor = _next(path, wanted, page, rows, answer.next if answer else None, now_s)
    until_s = page.until_s
    if cursor and cursor.after is not None:
        until_s = cursor.shown_s + 1  # that bucket, and none behind it
    data = []
    for start_s, end_s in buckets(page.since_s, page.until_s, width_s):
        found = results.get(start_s // width_s, [])
        if start_s == page.shown_s and page.after is not None and not found:
            continue  # the page before had all of it
        if page.shown_s <= start_s < until_s:
            data.append({"object": "bucket", "start_time": start_s, "end_time": end_s, "results": found})
    return {"object": "page", "data": data, "has_more": cursor is not None, "next_page": _written(cursor)}


def buckets(since_s: int, until_s: int, width_s: int) -> Iterator[tuple[int, int]]:
    """Begin and end of each, by UTC's calendar; the first and the last are as long as what is asked for."""
    while since_s < until_s:
        end_s = min(until_s, (since_s // width_s + 1) * width_s)
        yield since_s, end_s
        since_s = end_s


def _is_use(row: SumRow) -> bool:
    """Of those that were refused nothing was used: they are no result."""
    return any((row.requests, row.prompt_tokens, row.completion_tokens, row.units, row.price_nano))


def _end_s(wanted: Wanted, now_s: int) -> int:
    """Of the bucket of now: what begins later has nothing yet."""
    end_s = (now_s // wanted.bucket.seconds + 1) * wanted.bucket.seconds
    return end_s if wanted.until_s is None else min(wanted.until_s, end_s)


def _page_end_s(wanted: Wanted, since_s: int, end_s: int) -> int:
    width_s = wanted.bucket.seconds
    return min(end_s, (since_s // width_s + wanted.limit) * width_s)


def _next(
    path: str, wanted: Wanted, page: Page, rows: Sequence[SumRow], after: str | None, now_s: int
) -> _Cursor | None:
    digest = _digest(path, wanted)
    if after is not None:
        shown_s = max(page.shown_s, page.asked_s, rows[-1].start_s if rows else 0)
        return _Cursor(digest, page.asked_s, page.until_s, after, shown_s)
    if page.until_s < _end_s(wanted, now_s):
        return _Cursor(digest, page.until_s, page.until_s, None, page.until_s)
    return None


def _digest(path: str, wanted: Wanted) -> bytes:
    said = (
        path,
        wanted.since_s,
        wanted.until_s,
        wanted.bucket.width,
        wanted.groups,
        sorted(wanted.where.items()),
        wanted.tenants,
        wanted.is_empty,
    )
    return sha256(msgspec.json.encode(said)).digest()[:9]


def _written(cursor: _Cursor | None) -> str | None:
    if cursor is None:
        return None
    return _PREFIX + base64.urlsafe_b64encode(msgspec.msgpack.encode(cursor)).decode()


def _read(text: str) -> _Cursor | None:
    try:
        data = base64.b64decode(text.removeprefix(_PREFIX), altchars=b"-_", validate=True)
        return msgspec.msgpack.decode(data, type=_Cursor)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return None


def _foreign() -> Refused:
    return invalid("page", "page: expected next_page of an answer to the same question")

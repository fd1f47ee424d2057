"""What may be asked of the usage store on run/usage.sock, and what it answers: a JSON line for a JSON line.

`Marks` asks about the store itself. An `Export` is answered by many lines: rows, then one `ExportEnd`; or a `Failure`
wherever it breaks off. Shapes alone: the store's own part checks the values, whoever asks. Who may see which tenant
is decided by who asks: `tenant` None is everybody, and only for those who may see all.
"""

from decimal import Decimal
from typing import Literal

import msgspec

Dimension = Literal[
    "tenant",
    "model",
    "provider",
    "upstream_model",
    "key_id",
    "user",
    "project",
    "surface",
    "unit",
    "estimated",
    "variant",
]
Width = Literal["minute", "hour", "day", "month"]

MOST_SUMS = 10_000  # rows of one answer; `next` goes on
MOST_EXPORTED = 100_000  # likewise, of an export
MOST_VALUES = 1_000  # that one dimension of `where` may name
LAST_S = 4_102_444_800  # the year 2100: nothing is asked of it
LINE_BYTES = 16 * 2**20  # no line of a question or an answer is longer


class Sums(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="ask", tag="sums"):
    """Sums over requests that began from `since_s` to before `until_s` (Unix seconds, exact).

    One row for each bucket of `width` (of UTC's calendar; None: all the time is one) and each group of `by` that
    has requests. `where` names the values that a dimension may have; of `estimated` "true" and "false". `after` is
    an earlier answer's `next`, of the same question. Times that are whole minutes, hours or days are answered from
    smaller tables.
    """

    tenant: str | None
    since_s: int
    until_s: int
    width: Width | None = None
    by: tuple[Dimension, ...] = ()
    where: dict[Dimension, tuple[str, ...]] = {}
    after: str | None = None
    limit: int = 1_000


class Export(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="ask", tag="export"):
    """The rows themselves, in order of tenant and time. `after` is an earlier `ExportEnd.next`."""

    tenant: str | None
    since_s: int
    until_s: int
    where: dict[Dimension, tuple[str, ...]] = {}
    after: str | None = None
    limit: int = 10_000


class Marks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="ask", tag="marks"):
    """How far gateways have stored. `stored`: as the store says it; else only what this one's writer knows of itself,
    for which the store is not even opened.
    """

    stored: bool = False


class SumRow(msgspec.Struct, frozen=True, kw_only=True):
    """One bucket of one group. `start_s` is where its bucket begins, of `width` None the question's `since_s`.

    `price_nano` is what customers pay, in nano-USD. `cost` is what providers take, in USD, of the requests whose
    cost is known; None where it is of none. `units` add up only where all are of one `unit`: group by it.
    """

    start_s: int
    group: dict[Dimension, str]
    requests: int
    prompt_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    units: int
    estimated_requests: int
    price_nano: int
    cost: Decimal | None


class SumsAnswer(msgspec.Struct, frozen=True, kw_only=True, tag_field="answer", tag="sums"):
    """In order of time, then group. `next` is None when these are the last.

    `stored_until_ms`: what ended before is in the store (Unix ms), 0 where nothing is known to be.
    """

    rows: list[SumRow]
    next: str | None
    stored_until_ms: int


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway's writer has stored something of a month (202611), `batch` the last of it, in this `run` of its.

    A store that has a mark has all of the run up to there; one that has it no more was put back, or made anew.
    """

    gateway: str
    run: int
    month: int
    batch: int


class MarksAnswer(msgspec.Struct, frozen=True, kw_only=True, tag_field="answer", tag="marks"):
    """`gateway` is the one that answers, `own` its last mark, None where it has stored nothing since it runs."""

    gateway: str
    own: Mark | None
    stored: list[Mark]


class ExportedRow(msgspec.Struct, frozen=True, kw_only=True, tag_field="answer", tag="row"):
    """One row of the store, as ledger/rows.py describes it. `sign` -1 takes an earlier row of that request back."""

    request_id: str
    sign: int
    ended_ms: int
    began_ms: int
    tenant: str
    key_id: str
    user: str
    project: str
    surface: str
    model: str
    provider: str
    upstream_model: str
    provider_key: str
    variant: str
    status: int
    flags: str
    attempts: int
    streamed: bool
    requests: int
    prompt_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    unit: str
    units: int
    estimated: bool
    reason: str
    price_nano: int
    cost: Decimal | None
    bytes_in: int
    bytes_out: int
    content_events: int
    first_byte_ms: int | None
    first_token_ms: int | None
    duration_ms: int
    trace_id: str
    price_generation: int


class ExportEnd(msgspec.Struct, frozen=True, kw_only=True, tag_field="answer", tag="end"):
    """All rows were sent. `next` is None when these are the last."""

    next: str | None
    stored_until_ms: int


class Failure(msgspec.Struct, frozen=True, kw_only=True, tag_field="answer", tag="failure"):
    """There is no answer, or no more of it. The text says why, and is for people.

    "invalid": no such question can be answered; "too_much": ask for less; "away": the store has no answer now.
    """

    kind: Literal["invalid", "too_much", "away"]
    error: str


Question = Sums | Export  # of usage
Asked = Question | Marks
Answer = SumsAnswer | MarksAnswer | ExportedRow | ExportEnd | Failure

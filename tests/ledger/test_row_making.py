"""Rows of lines: what is charged, told of exactly once, and of lines that hold anything nevertheless one."""

import datetime as dt
from decimal import Decimal

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from headgate.prices import PriceRow
from ledger.journal.making import end_line_of, erased, estimate_of, row_of, taken_back
from ledger.journal.packing import decoded, encoded, packed, unpacked
from ledger.pricing.pricing import Pricing
from ledger.rows import Row
from ledger.settling.charges import NO_CHARGE, charge_of
from ledger.settling.usage import Amounts, Where
from ledger.spool.lines import Line, parsed

PRICE = PriceRow(Decimal("2.5"), Decimal("1.25"), Decimal("2.5"), Decimal(10))
PLACE = Where("acme", 1, "ci", "chat", "x")
NOW = 1_790_000_000_000
LINE = Line(
    type="end",
    request_id="0c0c5f0a-0000-4000-8000-000000000000",
    time="2026-11-22T10:00:05.000Z",
    tenant="acme",
    key_id="ci",
    user="ann",
    surface="chat",
    model="chat",
    target="openai",
    upstream_model="gpt",
    attempts=1,
    status=200,
    flags="-",
    prompt_tokens=100,
    completion_tokens=20,
    cached_tokens=40,
    reasoning_tokens=5,
    duration_ms=3000,
    request_ms=1000,
    streamed=True,
    reserved=True,
    price_generation=3,
)


def made(line: Line) -> Row:
    return row_of(line, charge_of(line, Pricing(PRICE)), read_ms=NOW, key=b"\x01" * 16)


def test_a_row_says_what_was_charged() -> None:
    row = made(LINE)
    at = int(dt.datetime(2026, 11, 22, 10, 0, 5, tzinfo=dt.UTC).timestamp() * 1000)
    assert (row.ended_ms, row.began_ms) == (at, at - 2000)
    assert (row.prompt_tokens, row.cached_tokens, row.completion_tokens, row.reasoning_tokens) == (100, 40, 20, 5)
    assert (row.price_nano, row.estimated, row.requests, row.sign) == (400_000, False, 1, 1)
    assert (row.tenant, row.key_id, row.user, row.provider, row.price_generation) == (
        "acme",
        "ci",
        "ann",
        "openai",
        3,
    )
    assert decoded(encoded(row)) == row
    assert unpacked(packed([encoded(row)] * 3)) == [row] * 3


def test_a_tenants_retention_counts_from_the_requests_beginning() -> None:
    row = made(LINE)
    assert row.kept_until_s == 0
    kept = row_of(LINE, NO_CHARGE, kept_for_s=86_400, read_ms=NOW, key=b"")
    assert kept.kept_until_s == row.began_ms // 1000 + 86_400
    assert decoded(estimate_of("r", PLACE, Amounts(1), "lease", 5000, 9000, 60).encoded).kept_until_s == 65


def test_counts_that_contradict_each_other_have_no_discount() -> None:
    row = made(msgspec.structs.replace(LINE, cached_tokens=101, reasoning_tokens=21))
    assert (row.prompt_tokens, row.cached_tokens, row.completion_tokens, row.reasoning_tokens) == (100, 0, 20, 20)


def test_what_was_not_reported_is_estimated() -> None:
    row = made(msgspec.structs.replace(LINE, prompt_tokens=None, completion_tokens=None, content_events=7))
    assert (row.estimated, row.completion_tokens, row.cached_tokens) == (True, 7, 0)


def test_refused_requests_have_rows_and_connections_none() -> None:
    refused = msgspec.structs.replace(LINE, attempts=0, status=429, reserved=False, prompt_tokens=None)
    row = row_of(refused, NO_CHARGE, read_ms=NOW, key=b"")
    assert (row.requests, row.status, row.price_nano, row.prompt_tokens) == (0, 429, 0, 0)
    connection = msgspec.structs.replace(LINE, surface="responses.websocket", status=101)
    assert end_line_of(connection, NO_CHARGE, b"", 9, NOW).row is None


def test_nobodys_rows_are_told_apart() -> None:
    nobody = Line("end", None, time=LINE.time, status=400)
    first, again, other = (end_line_of(nobody, NO_CHARGE, b"{}", at, NOW) for at in (9, 9, 50))
    assert first == again
    assert first.key != other.key
    rows = [decoded(line.row.encoded) for line in (first, other) if line.row]
    assert [row.request_id for row in rows] == [first.key.hex(), other.key.hex()]
    assert {row.tenant for row in rows} == {""}


def test_what_takes_a_row_back_equals_it() -> None:
    draft = estimate_of("r", PLACE, Amounts(1, 10, 5, 700), "lease", 5, 9)
    row, back = decoded(draft.encoded), decoded(taken_back(draft.encoded).encoded)
    assert (row.estimated, row.reason, row.user, row.price_nano) == (True, "lease", "", 700)
    assert back == msgspec.structs.replace(row, sign=-1)


def test_an_erased_row_is_nobodys() -> None:
    row = made(msgspec.structs.replace(LINE, trace_id="t"))
    gone = erased(row, "acme", "del_1")
    assert (gone.tenant, gone.key_id, gone.user, gone.trace_id) == ("del_1", "", "", "")
    assert gone.price_nano == row.price_nano
    assert erased(row, "globex", "del_1") is row


numbers = st.one_of(st.none(), st.integers(-(10**30), 10**30), st.floats(allow_nan=False, allow_infinity=False))
texts = st.one_of(st.none(), st.text(), st.sampled_from([LINE.time, "0001-01-01", "9999-12-31T23:59:59Z", "chat"]))
values = {
    field.name: texts if "str" in str(field.type) else st.booleans() if "bool" in str(field.type) else numbers
    for field in msgspec.structs.fields(Line)
}


@given(st.fixed_dictionaries({}, optional=values))
def test_whatever_a_line_holds_it_has_a_row(fields: dict[str, object]) -> None:
    line = parsed(msgspec.json.encode({"request_id": None} | fields | {"type": "end"}))
    if line is None:
        return
    draft = end_line_of(line, charge_of(line, Pricing(PRICE)), b"", 1, NOW).row
    if draft:
        row = decoded(draft.encoded)
        assert unpacked(packed([draft.encoded])) == [row]
        assert min(row.prompt_tokens, row.cached_tokens, row.completion_tokens, row.bytes_in, row.duration_ms) >= 0
        assert row.ended_ms >= 0

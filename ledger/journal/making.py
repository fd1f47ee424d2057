"""Makes the rows of requests: of `end` lines, of reservations charged without one, and what takes those back.

Lines may hold anything: counts that can't be any are 0, or unknown where a row can say so. Pure.
"""

from decimal import Decimal

import msgspec

from headgate.contract import CONNECTION_SURFACE
from ledger.journal.entries import Draft
from ledger.journal.packing import decoded, encoded
from ledger.journal.seen import key_of, key_of_nobodys
from ledger.pricing.prices import known_units, may_cost
from ledger.rows import Row
from ledger.settling.charges import MOST_TOKENS, Charge
from ledger.settling.usage import Amounts, EndLine, Where
from ledger.spool.line_times import began_ms, ended_ms
from ledger.spool.lines import Line

ANYBODYS = {"key_id": "", "user": "", "project": "", "trace_id": ""}  # of a deleted tenant's rows

_TIMES_MS = range(253_402_300_800_000)  # the years that others can write down, up to 9999


def end_line_of(
    line: Line, charge: Charge, text: bytes, at: int, read_ms: int, kept_for_s: int | None = None
) -> EndLine:
    """What an `end` line, as it stands in its file, leaves beside what is charged for it.

    A WebSocket's own has no row: it is no request, and what is asked for on it has lines of its own.
    """
    is_somebodys = line.tenant and line.request_id
    key = key_of(line.request_id or "") if is_somebodys else key_of_nobodys(text, at)
    if line.surface == CONNECTION_SURFACE:
        return EndLine(key, at)
    row = row_of(line, charge, charge.cost, kept_for_s=kept_for_s, read_ms=read_ms, key=key)
    return EndLine(key, at, Draft(row.ended_ms, encoded(row)))


def row_of(
    line: Line,
    charge: Charge,
    cost: Decimal | None = None,
    kept_for_s: int | None = None,
    *,
    read_ms: int,
    key: bytes,
) -> Row:
    """The row of an `end` line. `read_ms` is for lines that do not say when, `key` for those without an id.

    `cost` is what the provider takes, `kept_for_s` how long the store keeps it, None for its own time.
    """
    ended = _time(ended_ms(line), read_ms)
    began = _time(began_ms(line), ended)
    cached, written = _count(line.cached_tokens), _count(line.cache_write_tokens)
    fit = cached + written <= charge.input  # where they contradict the prompt's, there is no discount for them
    return Row(
        request_id=line.request_id or key.hex(),
        sign=1,
        ended_ms=ended,
        began_ms=began,
        tenant=line.tenant or "",
        key_id=line.key_id or "",
        user=line.user or "",
        project=line.project or "",
        surface=line.surface or "",
        model=line.model or "",
        provider=line.target or "",
        upstream_model=line.upstream_model or "",
        provider_key=line.provider_key or "",
        variant=line.variant or "",
        status=_count(line.status),
        flags=line.flags or "",
        attempts=_count(line.attempts),
        streamed=bool(line.streamed),
        requests=charge.requests,
        prompt_tokens=charge.input,
        cached_tokens=cached if fit else 0,
        cache_write_tokens=written if fit else 0,
        completion_tokens=charge.output,
        reasoning_tokens=min(_count(line.reasoning_tokens), charge.output),
        unit=line.unit or "",
        units=_units(line),
        estimated=charge.estimated,
        reason="",
        price_nano=charge.usd_nano,
        cost=cost,
        bytes_in=_count(line.bytes_in),
        bytes_out=_count(line.bytes_out),
        content_events=_count(line.content_events),
        first_byte_ms=_known(line.first_byte_ms),
        first_token_ms=_known(line.first_token_ms),
        duration_ms=_count(line.duration_ms),
        trace_id=line.trace_id or "",
        price_generation=_count(line.price_generation),
        kept_until_s=_kept_until_s(began, kept_for_s),
    )


def estimate_of(
    request_id: str,
    where: Where,
    amounts: Amounts,
    reason: str,
    began_at_ms: int,
    charged_ms: int,
    kept_for_s: int | None = None,
) -> Draft:
    """The row of a reservation that was charged as it stood. Who its user was, it has only as a digest."""
    began = _time(began_at_ms, charged_ms)
    row = Row(
        request_id=request_id,
        sign=1,
        ended_ms=charged_ms,
        began_ms=began,
        tenant=where.tenant,
        key_id=where.key,
        user="",
        project="",
        surface="",
        model=where.model,
        provider="",
        upstream_model="",
        provider_key="",
        variant="",
        status=0,
        flags="",
        attempts=0,
        streamed=False,
        requests=amounts.requests,
        prompt_tokens=amounts.input,
        cached_tokens=0,
        cache_write_tokens=0,
        completion_tokens=amounts.output,
        reasoning_tokens=0,
        unit="",
        units=0,
        estimated=True,
        reason=reason,
        price_nano=amounts.nano_usd,
        cost=None,
        bytes_in=0,
        bytes_out=0,
        content_events=0,
        first_byte_ms=None,
        first_token_ms=None,
        duration_ms=0,
        trace_id="",
        price_generation=0,
        kept_until_s=_kept_until_s(began, kept_for_s),
    )
    return Draft(charged_ms, encoded(row))


def taken_back(data: bytes) -> Draft:
    """The row that undoes an encoded one: all as there, but for the sign."""
    row = decoded(data)
    return Draft(row.ended_ms, encoded(msgspec.structs.replace(row, sign=-row.sign)))


def erased(row: Row, tenant: str, name: str) -> Row:
    """The row, or where it is this tenant's, that of the deletion `name`: nobody can tell whose it was."""
    return msgspec.structs.replace(row, tenant=name, **ANYBODYS) if row.tenant == tenant else row


def _units(line: Line) -> int:
    """How much of what is charged by the unit."""
    if not line.unit or not may_cost(line):
        return 0
    units = known_units(line)
    return _count(line.estimated_units if units is None and line.was_worked_on else units)


def _kept_until_s(began: int, kept_for_s: int | None) -> int:
    return 0 if kept_for_s is None else began // 1000 + kept_for_s


def _count(number: int | None) -> int:
    return number if number is not None and 0 <= number <= MOST_TOKENS else 0


def _known(number: int | None) -> int | None:
    return number if number is not None and 0 <= number <= MOST_TOKENS else None


def _time(at_ms: int | None, otherwise: int) -> int:
    return at_ms if at_ms is not None and at_ms in _TIMES_MS else otherwise

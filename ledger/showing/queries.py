"""How limits stand, a tenant's or a provider's, for `headgate limits show`: tables and counters, a line for a line.

Reads only, and only keys that it can name: the limits of the tenant itself, of its keys and its models, and of one
user if asked.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence

import msgspec
import structlog

from headgate.counters.client import Counters, Unavailable
from headgate.counters.limits import Limit, TenantLimits
from headgate.counters.standing import StandingNow, read_standing, standing_call
from headgate.limits import LimitRow, LimitsRow, user_name
from headgate.purses import Purse, provider_of
from headgate.snapshot import Snapshot
from headgate.tenants import Tenants
from ledger.showing.budget_gauges import limits_of
from ledger.showing.limit_words import Amount, Owner, amount, day_of, dollars, moment, unit
from ledger.tables import Tables

MOST_LIMITS = 2_000
TIMEOUT_S = 10.0
_AT_ONCE = 200  # limits in one call: a server does nothing else meanwhile

log = structlog.get_logger()


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose limits: of all keys and models where none is named, of no user. With `provider`, of that one."""

    tenant: str | None = None
    provider: str | None = None
    key: str | None = None
    model: str | None = None
    user: str | None = None


class Overage(msgspec.Struct, frozen=True):
    """What was used above the cap. `price_usd` is for a thousand requests or a million tokens."""

    used: Amount
    price_usd: str | None
    cost_usd: str | None


class Account(msgspec.Struct, frozen=True):
    """Of credits: what is left of them, how far down that may go, below which balance it warns, and the first day
    (UTC) that counts. Without an account there is no such day.
    """

    balance: str
    floor: str
    low: str | None
    since: str | None


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """One limit. `left` is None where nothing is refused; `resets_in_ms` None where there is nothing to reset.

    Of credits there is `account`; what was used is since that began, and so is all else.
    """

    name: str
    limit: str
    scope: Owner
    unit: str
    used: Amount
    reserved: Amount
    cap: Amount | None
    soft: Amount | None
    ceiling: Amount | None
    burst: Amount
    left: Amount | None
    resets_in_ms: int | None
    resets_at: str | None
    overage: Overage | None
    account: Account | None = None


class Answer(msgspec.Struct, frozen=True):
    """`complete` is False while the ledger has not told the counters what was used; `cut` when there were more.

    `by_user`: the tenant has limits by user, and no user was asked for.
    """

    tenant: str
    limits: list[Row]
    complete: bool
    cut: bool
    by_user: bool


class Unknown(msgspec.Struct, frozen=True):
    """There is no such tenant, key or model (`unknown` says what), but these."""

    unknown: str
    name: str
    known: list[str]


class Failure(msgspec.Struct, frozen=True):
    """There is no answer now; the text says why."""

    error: str


Reply = Answer | Unknown | Failure


class Queries:
    """What the tables in use and the counters say."""

    def __init__(self, tables: Tables, counters: Counters) -> None:
        self._tables = tables
        self._counters = counters

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A client of the socket: it writes one line, and is answered with one."""
        with contextlib.suppress(OSError, TimeoutError, ValueError):  # it left, or writes no line
            async with asyncio.timeout(TIMEOUT_S):
                line = await reader.readline()
                writer.write(await self.answer(line) + b"\n")
                await writer.drain()
        writer.close()

    async def answer(self, line: bytes) -> bytes:
        """JSON for JSON, without the line's end."""
        try:
            question = msgspec.json.decode(line, type=Question)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return msgspec.json.encode(Failure("not a question"))
        if (question.tenant is None) == (question.provider is None):
            return msgspec.json.encode(Failure("not a question"))
        try:
            return msgspec.json.encode(await self._reply(question))
        except Unavailable as error:
            return msgspec.json.encode(Failure(f"the counters are away: {error.reason}"))
        except Exception:  # the connection's boundary: a bug costs this answer, not the ledger
            log.exception("question failed", tenant=question.tenant)
            return msgspec.json.encode(Failure("the ledger failed to answer; its log says why"))

    async def _reply(self, question: Question) -> Reply:
        snapshot, tenants = self._tables.snapshot(), self._tables.tenants()
        if snapshot is None or tenants is None:
            return Failure("the gateway has no tables yet")
        if question.provider is not None:
            return await self._of_provider(snapshot, tenants, question.provider)
        whose = question.tenant or ""
        tenant = tenants.known(whose)
        if tenant is None and tenants.is_misconfigured(whose):
            return Failure("the tenant's configuration is incomplete; the log says what it lacks")
        if tenant is None:
            return Unknown("tenant", whose, tenants.names())
        keys = [key.key_id for key in snapshot.keys if key.tenant == whose]
        keys += [key for key in tenant.limits.keys if key not in keys] if tenant.limits else []
        if question.key is not None and self._is_of(question.key, whose):
            keys.append(question.key)
        of_adapters = (alias.base_model for alias in tenant.aliases.values())
        models = list(dict.fromkeys((*tenant.models, *of_adapters)))
        for what, name, known in (("key", question.key, keys), ("model", question.model, models)):
            if name is not None and name not in known:
                return Unknown(what, name, known)
        limits = TenantLimits(whose, tenant.limits or LimitsRow(), tenant.credits)
        chosen = _chosen(limits, question, keys, models)
        by_user = question.user is None and any("user" in row.by for row in limits.row.limits)
        return await self._standing(limits, chosen, by_user=by_user)

    def _is_of(self, key_id: str, tenant: str) -> bool:
        """Whether the database has such a key; those without limits of their own are not looked through."""
        key = self._tables.directory.key_named(key_id)
        return key is not None and key.tenant == tenant

    async def _of_provider(self, snapshot: Snapshot, tenants: Tenants, provider: str) -> Reply:
        known = sorted(tenants.providers() | set(map(provider_of, snapshot.budgets)))
        if provider not in known:
            return Unknown("provider", provider, known)
        name = Purse(provider).name
        limits = TenantLimits(name, snapshot.budgets.get(name) or LimitsRow())
        return await self._standing(limits, limits_of(limits), by_user=False)

    async def _standing(self, limits: TenantLimits, chosen: Iterator[Limit], *, by_user: bool) -> Answer:
        unique: dict[str, Limit] = {}
        for limit in chosen:
            unique.setdefault(limit.key, limit)
            if len(unique) > MOST_LIMITS:
                break
        rows: list[Row] = []
        asked = list(unique.values())[:MOST_LIMITS]
        for at in range(0, len(asked), _AT_ONCE):
            some = asked[at : at + _AT_ONCE]
            reply = await self._counters.run(*standing_call(limits.tenant, some))
            now_ms = round(time.time() * 1000)
            rows += [_row(standing, now_ms) for standing in read_standing(some, reply)]
        complete = not limits.has_calendar or await self._counters.command("EXISTS", limits.base_key) == 1
        return Answer(limits.tenant, rows, complete, len(unique) > MOST_LIMITS, by_user)


def _chosen(limits: TenantLimits, question: Question, keys: Sequence[str], models: Sequence[str]) -> Iterator[Limit]:
    """The limits that are asked for, in the order of the tables. One may come several times."""
    keys = keys if question.key is None else [question.key]
    models = models if question.model is None else [question.model]
    user = user_name(question.user or "")
    for row in limits.row.limits:
        if question.user is not None or "user" not in row.by:
            yield from _limits_of(limits, row, _callers(row, keys, models), user)
    for key_id in keys:
        for row in limits.row.keys.get(key_id, ()):
            yield from _limits_of(limits, row, _callers(row, [key_id], models), user)


def _callers(row: LimitRow, keys: Sequence[str], models: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Key and model of callers that together meet all counters of a row."""
    models = models if row.models is None else [model for model in models if model in row.models]
    if row.models is not None and not models:
        return
    for key_id in keys if "key" in row.by else keys[:1] or ("",):
        for model in models if "model" in row.by else models[:1] or ("",):
            yield key_id, model


def _limits_of(limits: TenantLimits, row: LimitRow, callers: Iterable[tuple[str, str]], user: str) -> Iterator[Limit]:
    for key_id, model in callers:
        yield from (limit for limit in limits.applying_to(key_id, model, user).limits if limit.row == row)


def _row(standing: StandingNow, now_ms: int) -> Row:
    limit, row = standing.limit, standing.limit.row
    cap, soft = (limit.cap_nano(now_ms), limit.soft_nano(now_ms)) if limit.is_credits else (row.cap, row.soft)
    resets_in_ms, resets_at = _reset(standing, now_ms)
    return Row(
        name=limit.name,
        limit=row.kind,
        scope=_owner(limit),
        unit=unit(row.kind),
        used=amount(row.kind, standing.used),
        reserved=amount(row.kind, standing.reserved),
        cap=_maybe(row.kind, cap),
        soft=_maybe(row.kind, soft),
        ceiling=_maybe(row.kind, row.ceiling),
        burst=amount(row.kind, row.burst),
        left=_maybe(row.kind, standing.left),
        resets_in_ms=resets_in_ms,
        resets_at=resets_at,
        overage=_overage(row, standing.used),
        account=_account(standing, now_ms) if limit.is_credits else None,
    )


def _account(standing: StandingNow, now_ms: int) -> Account:
    limit, row = standing.limit, standing.limit.row
    balance = limit.given_nano(now_ms) - standing.used
    low = None if row.low is None else dollars(row.low)
    return Account(dollars(balance), dollars(row.floor or 0), low, day_of(limit.day) if limit.credits else None)


def _owner(limit: Limit) -> Owner:
    by = limit.row.by
    return Owner(
        key=limit.key_id if "key" in by else None,
        model=limit.model if "model" in by else None,
        user=limit.user if "user" in by else None,
        models=limit.row.models,
    )


def _reset(standing: StandingNow, now_ms: int) -> tuple[int | None, str | None]:
    """In how long and when. A sliding window is reset once all that it has has left it."""
    if standing.limit.is_credits:
        return None, None
    if standing.limit.is_calendar:
        end_ms = standing.limit.window_ms(now_ms)[1]
        return end_ms - now_ms, moment(end_ms)
    if standing.reset_ms <= 0:
        return None, None
    return standing.reset_ms, moment(now_ms + standing.reset_ms)


def _overage(row: LimitRow, used: int) -> Overage | None:
    if row.cap is None or row.ceiling is None or used <= row.cap:
        return None
    over, price = used - row.cap, row.overage_price
    per = 1_000 if unit(row.kind) == "requests" else 1_000_000
    cost = None if price is None else dollars(-(-over * price // per))
    return Overage(amount(row.kind, over), None if price is None else dollars(price), cost)


def _maybe(kind: str, value: int | None) -> Amount | None:
    return None if value is None else amount(kind, value)

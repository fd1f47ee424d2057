"""What `GET /v1/usage` says of a tenant's credits: what the database has of its account, and what was used of it.

What was used the ledger tells, where the tenant has a limit by its credits and the counters have all of it, and else
the usage store. Without the database nothing is said of them: whether there is an account at all is known there
alone.
"""

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from control.credits.days import DAY_MS, date_of
from control.store.failures import StoreError
from control.store.values import CreditAccount
from control.usage_api.kinds import dollars
from control.usage_api.refusal import Refused
from control.usage_api.sums import Store, asked, moment
from headgate.credits import CreditsRow, Ending
from headgate.usage_questions import Sums

ReadAccount = Callable[[str], CreditAccount | None]
WITHIN_S = 5.0  # for the database, and for the usage store: the periods may have taken ten
KIND = "credits"  # of a limit
_DAY_S = DAY_MS // 1000
_NANO = 10**9


async def account_of(
    standing: Mapping[str, Any], read_account: ReadAccount, store: Store, now_s: int
) -> dict[str, Any]:
    """The member `credits`, null where the tenant has no account; none while the database does not answer."""
    tenant = str(standing["tenant_id"])
    try:
        async with asyncio.timeout(WITHIN_S):
            account = await asyncio.to_thread(read_account, tenant)
    except (StoreError, TimeoutError):
        return {}
    if account is None:
        return {KIND: None}
    used = _live(standing["limits"]) if standing["complete"] else None
    if used is None:
        used = await _stored(account, store, now_s)
    return {KIND: _shown(account, used, now_s)}


def _shown(account: CreditAccount, used: int | None, now_s: int) -> dict[str, Any]:
    row = CreditsRow(account.since_day, account.booked_nano, tuple(Ending(*one) for one in account.ending))
    left = None if used is None else row.given_nano(now_s * 1000) - used
    return {
        "since": date_of(account.since_day).isoformat(),
        "booked": _text(account.booked_nano),
        "used": None if used is None else _text(used),
        "left": None if left is None else _text(left),
        "ending": [
            {"at": moment(at_ms), "at_most": _text(most)} for at_ms, most in account.ending if at_ms > now_s * 1000
        ],
    }


def _live(limits: list[Mapping[str, Any]]) -> int | None:
    """In nano-USD, of the limit that counts all that the tenant has used since it has its account."""
    for limit in limits:
        if limit["limit"] == KIND and not any(dict(limit["scope"]).values()):
            return int(Decimal(str(limit["used"])) * _NANO)
    return None


async def _stored(account: CreditAccount, store: Store, now_s: int) -> int | None:
    until_s = (now_s // _DAY_S + 1) * _DAY_S
    question = Sums(tenant=account.tenant_id, since_s=account.since_day * _DAY_S, until_s=until_s)
    try:
        async with asyncio.timeout(WITHIN_S):
            answer = await asked(store, question)
    except (Refused, TimeoutError):
        return None
    return sum(row.price_nano for row in answer.rows)


def _text(nano: int) -> str:
    return f"{dollars(nano):f}"

"""`/tenants/{tenant}/usage`: how much of each limit is used now, as the ledger knows it."""

from typing import Any

from starlette.responses import Response

from control.call import Call, Called, shown
from control.fields import Shown
from control.found_tenant import tenant_of
from control.problems import Problem
from control.routing import Routes
from control.tools import LedgerAway

routes = Routes("usage")


class UsedAccount(Shown):
    """How the account of a limit by credits stands, in US dollars as text; `since` null: there is none."""

    balance: str
    floor: str
    low: str | None
    since: str | None


class UsedLimit(Shown):
    """A limit. Amounts of money are text, in US dollars; `left` null: nothing is refused. `account` is of credits."""

    name: str
    limit: str
    scope: dict[str, Any]
    unit: str
    used: int | str
    reserved: int | str
    cap: int | str | None
    soft: int | str | None
    ceiling: int | str | None
    burst: int | str
    left: int | str | None
    resets_in_ms: int | None
    resets_at: str | None
    overage: dict[str, Any] | None
    account: UsedAccount | None = None


class Usage(Shown):
    """`complete` false: what was used by day and month is being counted anew. `cut`: there are more limits.

    `by_user`: there are limits by user, which are shown for one `user` alone. `links` lead to what belongs to it.
    """

    tenant: str
    limits: list[UsedLimit]
    complete: bool
    cut: bool
    by_user: bool
    links: dict[str, str]


@routes.serve("GET", "/tenants/{tenant}/usage", "usage.read", Usage)
def read_usage(
    call: Called, tenant: str, key: str | None = None, model: str | None = None, user: str | None = None
) -> Response:
    """Of each limit that holds, or of those that a `key`, a `model` or a `user` has to keep."""
    with call.read() as reader:
        tenant_of(call, reader)
    answer = _asked(call, {"tenant": tenant, "key": key, "model": model, "user": user})
    path = f"/admin/v1/tenants/{tenant}"
    links = {name: f"{path}/{name}" for name in ("limits", "keys", "audit")}
    return shown(Usage(**answer, links=links)).response()


def _asked(call: Call, question: dict[str, str | None]) -> dict[str, Any]:
    try:
        answer = dict(call.tools.ask_ledger(question))
    except LedgerAway as away:
        raise _away(str(away)) from None
    if "error" in answer:
        raise _away(str(answer["error"]))
    if answer.get("unknown") == "tenant":
        raise _away("the ledger does not know this tenant yet")
    if "unknown" in answer:
        raise Problem(404, "not_found", f"this tenant has no such {answer['unknown']}")
    return answer


def _away(text: str) -> Problem:
    return Problem(503, "ledger_away", text, headers={"retry-after": "5"})

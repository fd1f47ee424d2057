"""`GET /v1/usage` says how a tenant's credits stand: live where the ledger counts them, else as the store knows."""

from typing import Any

from usage_asking import DAY_S, LIMIT, NOW_S, TODAY_S, Api, Caller
from usage_rows import RowStore, row

from control.store.failures import StoreAway
from control.store.values import CreditAccount
from headgate.usage_questions import Failure

SINCE = TODAY_S // DAY_S - 3
ACCOUNT = CreditAccount(
    tenant_id="acme",
    since_day=SINCE,
    booked_nano=100 * 10**9,
    ending=(((NOW_S - 60) * 1000, 7 * 10**9), ((TODAY_S + DAY_S) * 1000, 20 * 10**9)),
)
ROWS = [
    row(NOW_S, price_nano=2_500_000_000),
    row(SINCE * DAY_S, price_nano=10**9, key_id="k2"),
    row(SINCE * DAY_S - 1, price_nano=10**12),
    row(NOW_S, tenant="other", price_nano=10**12),
]
SHOWN = {
    "since": "2023-11-12",
    "booked": "100",
    "used": "3.5",
    "left": "89.5",
    "ending": [{"at": "2023-11-16T00:00:00.000Z", "at_most": "20"}],
}


def api(**more: Any) -> Api:
    return Api(RowStore(ROWS), accounts={"acme": ACCOUNT}, **more)


async def credits_of(asked: Api, *query: tuple[str, str], **caller: Any) -> Any:
    answer = await Caller(asked, **caller).get("/v1/usage", *query)
    assert answer.status_code == 200, answer.text
    return answer.json()["credits"]


async def test_what_is_booked_used_and_left() -> None:
    assert await credits_of(api()) == SHOWN
    assert await credits_of(api(), tenant="other") is None


async def test_of_one_key_the_whole_account_is_shown() -> None:
    assert await credits_of(api(), ("api_key_id", "k2")) == SHOWN
    assert await credits_of(api(), models=("chat",)) == SHOWN


def counting(used: str, *, complete: bool) -> Any:
    """A ledger with a limit by credits."""
    limit = LIMIT | {"name": "credits", "limit": "credits", "unit": "usd", "used": used, "left": "0"}
    said = {"limits": [limit], "complete": complete, "cut": False, "by_user": False}
    return lambda question: {"tenant": question["tenant"], **said}


async def test_what_the_ledger_counts_comes_first() -> None:
    ledger = counting("99.000000001", complete=True)
    assert await credits_of(api(ledger=ledger)) == SHOWN | {"used": "99.000000001", "left": "-6.000000001"}


async def test_while_counters_that_were_emptied_are_filled_again_the_store_says_what_was_used() -> None:
    assert await credits_of(api(ledger=counting("0", complete=False))) == SHOWN


async def test_without_the_usage_store_it_is_not_known_what_was_used() -> None:
    asked = api()
    asked.rows.failure = Failure(kind="away", error="x")
    assert await credits_of(asked) == SHOWN | {"used": None, "left": None}


async def test_without_the_database_nothing_is_said() -> None:
    class Away(dict[str, Any]):
        def get(self, *_: Any) -> Any:
            raise StoreAway("the database is away")

    answer = await Caller(Api(RowStore(ROWS), accounts=Away())).get("/v1/usage")
    assert (answer.status_code, "credits" in answer.json()) == (200, False)

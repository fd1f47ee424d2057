"""The control process books by itself what has ended, and says what is left to whoever asks for usage."""

import datetime as dt
import time
from pathlib import Path

import pytest
from control_process import control_process
from rows import ADMIN, write_tenant
from usage_rows import RowStore, row, serving

from control.credits.booking import book
from control.store.credits import CreditEntry, entries_of
from control.store.engine import sqlite_url
from control.store.store import Store
from headgate.contract import DATABASE, DIRECTORY, USAGE_SOCKET
from headgate.credits import CreditsRow
from headgate.directory.following import Following

BOOKED = dt.datetime.now(dt.UTC) - dt.timedelta(days=5)
LAST = BOOKED.date() + dt.timedelta(days=1)


@pytest.fixture
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With an account whose credits ended days ago; a Unix socket's path ends at 107 bytes."""
    folder = tmp_path_factory.mktemp("c")
    (folder / DATABASE).parent.mkdir(exist_ok=True)
    store = Store.open(sqlite_url(folder / DATABASE))
    write_tenant(store)
    then = Store(store.engine, clock=lambda: BOOKED)
    with then.write(ADMIN) as unit:
        granted = CreditEntry(customer="acme", kind="granted", amount_nano=100, expires_on=LAST, created_by="x")
        book(unit, granted)
    store.close()
    return folder


def test_what_has_ended_is_booked_and_told(state: Path) -> None:
    (state / USAGE_SOCKET).parent.mkdir(exist_ok=True)
    rows = RowStore([row(BOOKED.timestamp(), price_nano=30)], until_ms=round(time.time() * 1000))
    with serving(rows, state / USAGE_SOCKET), control_process(state) as control:
        store = Store.at(sqlite_url(state / DATABASE))

        def amounts() -> list[int]:
            with store.read() as reader:
                return [one.amount_nano for one in entries_of(reader, "acme")]

        control.until(lambda: amounts() == [100, -70])
        told = CreditsRow((BOOKED.date() - dt.date(1970, 1, 1)).days, 30)
        control.until(lambda: Following(state / DIRECTORY).directory.credits("acme") == told)
        account = control.ask("GET", "/admin/v1/tenants/acme/credits").json()
        assert (account["booked"], account["used"], account["left"]) == ("0.00000003", "0.00000003", "0.00")
        store.close()

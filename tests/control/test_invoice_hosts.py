"""Hosts tell each other how far their usage is stored, over the database; and events go to the ledger as files."""

import asyncio
import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from rows import ADMIN

from control.hand_over import hand_over
from control.invoices.months import month_of
from control.invoices.standing import note
from control.invoices.usage import asking, lines_of, stored_until, tenants_with_usage
from control.store.events import add_event, waiting_events
from control.store.hosts import list_hosts, note_host
from control.store.store import Store
from control.store.values import Host
from headgate import webhook_files
from headgate.usage_client import UsageAway
from tests.control.usage_of_rows import answer, asked_of, row, served

NOW = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
COMPLETE_MS = round(dt.datetime(2026, 11, 2, 1, tzinfo=dt.UTC).timestamp() * 1000)


def host_of(store: Store) -> Host:
    with store.read() as reader:
        (found,) = list_hosts(reader)
    return found


@pytest.fixture
def known(store: Store) -> Store:
    with store.write_aside() as writer:
        note_host(writer, Host(id="host_1", name="one"))
    return store


def test_a_host_says_how_far_it_is_until_the_last_month_is_complete(known: Store) -> None:
    asked: list[Any] = []

    def ask(question: Any) -> Any:
        asked.append(question)
        return answer((), question, until_ms)

    until_ms = COMPLETE_MS - 1
    for _ in range(2):
        note(known, ask, "host_1", "at store", NOW)
    assert len(asked) == 2, "it is not complete yet"
    until_ms = COMPLETE_MS
    for _ in range(3):
        note(known, ask, "host_1", "at store", NOW)
    assert len(asked) == 3
    assert host_of(known).usage_until == dt.datetime.fromtimestamp(COMPLETE_MS / 1000, dt.UTC)
    note(known, ask, "host_1", "at another", NOW)
    assert (len(asked), host_of(known).usage_place) == (4, "at another")
    note(known, ask, "host_1", "at another", NOW + dt.timedelta(days=14))
    assert len(asked) == 5, "November is over"
    with known.write_aside() as writer:
        note_host(writer, Host(id="host_1", name="renamed"))
    assert (host_of(known).name, host_of(known).usage_place) == ("renamed", "at another")


def test_what_a_host_says_does_not_go_back(known: Store) -> None:
    note(known, asked_of((), COMPLETE_MS - 5), "host_1", "at store", NOW)
    note(known, asked_of((), COMPLETE_MS - 9), "host_1", "at store", NOW)
    assert host_of(known).usage_until == dt.datetime.fromtimestamp((COMPLETE_MS - 5) / 1000, dt.UTC)


def test_a_clock_that_was_ahead_is_not_believed(known: Store) -> None:
    note(known, asked_of((), COMPLETE_MS + 9), "host_1", "at store", NOW + dt.timedelta(days=365))
    ahead = NOW + dt.timedelta(days=60)
    note(known, asked_of((), round(ahead.timestamp() * 1000)), "host_1", "at store", NOW)
    assert host_of(known).usage_until == dt.datetime.fromtimestamp((COMPLETE_MS + 9) / 1000, dt.UTC)
    note(known, asked_of((), round(ahead.timestamp() * 1000)), "host_1", "at another", ahead)
    assert host_of(known).usage_until == ahead
    note(known, asked_of((), COMPLETE_MS - 5), "host_1", "at another", NOW)
    assert host_of(known).usage_until == dt.datetime.fromtimestamp((COMPLETE_MS - 5) / 1000, dt.UTC)


async def test_the_store_is_asked_on_its_socket(tmp_path: Path) -> None:
    month, path = month_of("2026-10"), tmp_path / "usage.sock"
    rows = [row(f"t{number}", model=f"m{number}", price_nano=number) for number in range(3)]

    def ask_all() -> Any:
        ask = asking(path)
        return tenants_with_usage(ask, month), lines_of(ask, "t2", month), stored_until(ask, month)

    async with served(path, rows, COMPLETE_MS):
        tenants, lines, until = await asyncio.to_thread(ask_all)
    assert (tenants, [line.price_nano for line in lines]) == (("t0", "t1", "t2"), [2])
    assert until.timestamp() * 1000 == COMPLETE_MS
    with pytest.raises(UsageAway):
        await asyncio.to_thread(stored_until, asking(path), month)


def wait_with(store: Store, *ids: str) -> None:
    with store.write(ADMIN) as unit:
        for event_id in ids:
            add_event(unit, event_id, "acme", json.dumps({"of": event_id}))


def test_events_become_files_and_are_then_forgotten(store: Store, tmp_path: Path) -> None:
    ids = [f"msg_{number:032x}" for number in range(150)]
    wait_with(store, *ids)
    hand_over(store, has_receiver=False, folder=tmp_path / "webhooks")
    assert list(webhook_files.left(tmp_path / "webhooks")) == [], "they wait for a host that has a receiver"
    hand_over(store, has_receiver=True, folder=tmp_path / "webhooks")
    assert [event_id for event_id, _ in webhook_files.left(tmp_path / "webhooks")] == ids
    assert (tmp_path / "webhooks").stat().st_mode & 0o777 == 0o700
    with store.read() as reader:
        assert waiting_events(reader, 1) == ()


def test_an_event_whose_file_can_not_be_written_waits(store: Store, tmp_path: Path) -> None:
    wait_with(store, f"msg_{1:032x}")
    (tmp_path / "webhooks").write_text("in the way")
    hand_over(store, has_receiver=True, folder=tmp_path / "webhooks")
    with store.read() as reader:
        assert len(waiting_events(reader, 9)) == 1
    (tmp_path / "webhooks").unlink()
    hand_over(store, has_receiver=True, folder=tmp_path / "webhooks")
    ((event_id, body),) = webhook_files.left(tmp_path / "webhooks")
    assert json.loads(body) == {"of": event_id}

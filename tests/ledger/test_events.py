"""The part that tells usage to Kafka: every row once or more, whatever is killed, and nobody waits for it."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headgate.kafka_url import TOPIC
from ledger.journal import entries, packing
from ledger.journal.entries import Draft
from ledger.rows import Row
from tests.ledger.kafka_brokers import Brokers, brokers, event_of
from tests.ledger.ledger_process import HEADGATE, said_by, wait_until
from tests.ledger.test_journal_reader import row
from tests.stopped import stop

PASSWORD = "never-shown-93b1"


class Events:
    """One state folder: its journal, and the process that tells it."""

    def __init__(self, state: Path, url: str) -> None:
        self.state, self._url = state, url
        (state / "ledger").mkdir(parents=True)
        (state / "run").mkdir()
        self._db = sqlite3.connect(state / "ledger/usage.db", isolation_level=None)
        self._db.executescript("PRAGMA journal_mode = WAL;" + ";".join(entries.SCHEMA))
        entries.renew(self._db)
        self._log = (state / "events.log").open("ab")
        self.process: subprocess.Popen[bytes] | None = None

    def write(self, *rows: Row) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        entries.append(self._db, [Draft(one.ended_ms, packing.encoded(one)) for one in rows])
        self._db.execute("COMMIT")

    def start(self) -> None:
        self.process = subprocess.Popen(
            [HEADGATE, "serve", "events", "--state", str(self.state)],
            env={**os.environ, "HEADGATE_EVENTS": self._url},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        wait_until(lambda: "waiting" in self.says(), within_s=30)

    def says(self) -> dict[str, Any]:
        return said_by(self.state, "events")

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def progress(self) -> int:
        path = self.state / "ledger/journal-events.json"
        return int(json.loads(path.read_bytes())["seq"]) if path.exists() else 0

    def log(self) -> str:
        return (self.state / "events.log").read_text()

    def close(self) -> None:
        if self.process and self.process.poll() is None:
            self.kill()
        self._log.close()
        self._db.close()


@pytest.fixture
def kafka() -> Iterator[Brokers]:
    with brokers() as found:
        yield found


@pytest.fixture
def events(kafka: Brokers, tmp_path: Path) -> Iterator[Events]:
    events = Events(tmp_path / "state", kafka.url())
    yield events
    events.close()


def rows(start: int, count: int) -> list[Row]:
    return [msgspec.structs.replace(row(number), tenant=f"t{number % 5}") for number in range(start, start + count)]


def test_every_row_of_a_tenant_is_told_in_order(events: Events, kafka: Brokers) -> None:
    events.write(*rows(0, 3000), msgspec.structs.replace(row(9999), tenant=""))
    events.start()
    events.write(*rows(3000, 10))
    messages = kafka.read(TOPIC, 3010)
    found = [event_of(message) for message in messages]
    assert sorted(one["id"] for one in found) == sorted(f"r{number}" for number in range(3010))
    assert all(
        (message.key() or b"").decode() == one["subject"] for message, one in zip(messages, found, strict=True)
    )
    for tenant in {one["subject"] for one in found}:
        numbers = [int(one["id"][1:]) for one in found if one["subject"] == tenant]
        assert numbers == sorted(numbers)
    wait_until(lambda: events.says() == {"waiting": 0, "problem": None})


def test_killed_at_any_moment_nothing_is_left_out(events: Events, kafka: Brokers) -> None:
    for number in range(8):
        events.write(*rows(number * 500, 500))
        events.start()
        time.sleep(0.03 * number)
        events.kill()
    events.start()
    wait_until(lambda: events.says() == {"waiting": 0, "problem": None}, within_s=60)
    ids = Counter(event_of(message)["id"] for message in kafka.read(TOPIC, 4000))
    assert set(ids) == {f"r{number}" for number in range(4000)}


def test_brokers_that_hang_delay_and_drop_nothing(events: Events, kafka: Brokers) -> None:
    events.write(*rows(0, 100))
    events.start()
    wait_until(lambda: events.says() == {"waiting": 0, "problem": None}, within_s=60)
    done = events.progress()
    stop(kafka.process.pid)
    events.write(*rows(100, 100))
    wait_until(lambda: events.says()["waiting"] == 100)
    time.sleep(1)
    assert events.progress() == done
    kafka.process.send_signal(signal.SIGCONT)
    wait_until(lambda: events.says() == {"waiting": 0, "problem": None}, within_s=120)
    assert {event_of(message)["id"] for message in kafka.read(TOPIC, 200)} == {f"r{number}" for number in range(200)}


def test_without_brokers_it_says_so_and_ends_when_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    events = Events(tmp_path / "state", f"kafka://user:{PASSWORD}@127.0.0.1:{port}")
    try:
        events.write(*rows(0, 10))
        events.start()
        wait_until(lambda: events.says()["problem"] is not None, within_s=60)
        said = events.says()
        assert said["waiting"] == 10
        assert said["problem"].isidentifier()
        assert events.process
        events.process.terminate()
        assert events.process.wait(30) == 0
        assert events.progress() == 0
        assert "events wait for their brokers" in events.log()
        assert PASSWORD not in events.log()
    finally:
        events.close()


def test_what_is_over_is_said_no_more_though_nothing_waits(events: Events, kafka: Brokers) -> None:
    events.write(*rows(0, 10))
    events.start()
    kafka.read(TOPIC, 10)
    wait_until(lambda: events.says() == {"waiting": 0, "problem": None})
    ledger, away = events.state / "ledger", events.state / "away"
    ledger.rename(away)
    ledger.touch()  # what is there is no folder: the journal can't be read
    wait_until(lambda: events.says()["problem"] == "JournalAway")
    ledger.unlink()
    away.rename(ledger)
    wait_until(lambda: events.says() == {"waiting": 0, "problem": None}, within_s=60)


def test_another_journal_is_told_from_its_beginning(events: Events, kafka: Brokers) -> None:
    events.write(*rows(0, 50))
    events.start()
    wait_until(lambda: events.says() == {"waiting": 0, "problem": None}, within_s=60)
    events.kill()
    entries.renew(events._db)  # as a ledger does that has lost its database
    events.start()
    ids = Counter(event_of(message)["id"] for message in kafka.read(TOPIC, 100))
    assert ids == {f"r{number}": 2 for number in range(50)}

"""What control tells the workers: the database's state and nothing else, whatever fails, on every host."""

import contextlib
import datetime as dt
import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from databases import Database, PostgresDatabase
from filled import fill
from postgres_server import PostgresServer
from rows import ADMIN, revoke, user, write_key, write_member, write_tenant
from test_store_migrations import ENVIRONMENT
from watched import known_in, published, said_by, wait_until

from control import publisher as publishing
from control.store.answers import find_answer, keep_answer
from control.store.engine import Waits
from control.store.failures import StoreBusy
from control.store.keys import update_key
from control.store.store import Store
from control.store.users import delete_user, find_user
from control.store.values import Answer
from control.tidying import tidy
from headgate.directory import writer as writing
from headgate.directory.file import FILE
from headgate.directory.following import Following
from headgate.directory.writer import Writer
from tests.counters.valkey_server import ValkeyServer, valkey_server

LATER = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
QUICK = Waits(lock_s=0.2, statement_s=1.0, connect_s=2, pool_s=1.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "directory"


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with valkey_server(tmp_path_factory.mktemp("valkey")) as server:
        yield server


def test_workers_know_what_the_database_says(store: Store, folder: Path) -> None:
    write_tenant(store, "before")
    with published(store, folder):
        wait_until(lambda: Following(folder).directory.version == 1)
        following = Following(folder)
        fill(store)
        write_key(store, limits={"rpm": 3, "daily_usd": "1.50"}, models=("chat",), expires_at=LATER)
        following.catch_up()
        assert known_in(folder) == said_by(store)
        assert following.directory.version == known_in(folder)["version"]
    with published(store, folder) as again:
        wait_until(lambda: again.state.version is not None)
        assert known_in(folder) == said_by(store)


def test_who_is_answered_can_rely_on_it(store: Store, folder: Path) -> None:
    with published(store, folder) as publisher:
        wait_until(lambda: publisher.state.version is not None)
        following = Following(folder)
        for _ in range(20):
            made = write_key(store)
            assert following.catch_up()
            found = following.directory.key(made.digest)
            assert found
            assert (found.id, found.tenant, found.role, found.version) == (made.id, "acme", "developer", made.version)
            with store.write(ADMIN) as unit:
                changed = update_key(unit, replace(made, disabled=True))
                unit.record("key.update", "key", made.id, tenant_id="acme")
            assert following.catch_up()
            assert following.directory.key(made.digest).disabled  # type: ignore[union-attr]
            revoke(store, changed)
            assert following.catch_up()
            assert following.directory.key(made.digest) is None
        state = publisher.state
        assert (state.version, state.problem) == (following.directory.version, None)


def test_two_hosts_hear_of_each_other_by_asking_the_database(
    postgres: PostgresServer, postgres_template: str, tmp_path: Path
) -> None:
    database = PostgresDatabase.created(postgres, "two_hosts", postgres_template)
    with database.engine() as one, database.engine() as two:
        here, there = Store(one), Store(two)
        with published(here, tmp_path / "one"), published(there, tmp_path / "two"):
            wait_until(lambda: (tmp_path / "two" / FILE).exists())
            followers = Following(tmp_path / "one"), Following(tmp_path / "two")
            for store, other in ((here, followers[1]), (there, followers[0])):
                made = write_key(store)
                wait_until(lambda other=other, made=made: other.catch_up() and other.directory.key(made.digest))
                revoke(store, made)
                wait_until(lambda other=other, made=made: other.catch_up() and not other.directory.key(made.digest))
            assert known_in(tmp_path / "one") == known_in(tmp_path / "two") == said_by(here)


def test_two_hosts_that_write_at_once_know_the_same(
    postgres: PostgresServer, postgres_template: str, tmp_path: Path
) -> None:
    database = PostgresDatabase.created(postgres, "at_once", postgres_template)
    with database.engine() as one, database.engine() as two:
        stores = Store(one), Store(two)
        with published(stores[0], tmp_path / "0"), published(stores[1], tmp_path / "1"):

            def write(store: Store) -> None:
                for _ in range(15):
                    revoke(store, write_key(store, limits={"rpm": 1}))
                    write_key(store)

            threads = [threading.Thread(target=write, args=(store,)) for store in stores for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            expected = said_by(stores[0])
            assert len(expected["_keys"]) == 60
            for number in "01":
                wait_until(lambda number=number: known_in(tmp_path / number) == expected)


def test_a_notice_is_quicker_and_a_lost_one_does_no_harm(
    postgres: PostgresServer, postgres_template: str, valkey: ValkeyServer, tmp_path: Path, monkeypatch: Any
) -> None:
    database = PostgresDatabase.created(postgres, "noticed", postgres_template)
    url = f"unix://{valkey.socket}"
    with database.engine() as one, database.engine() as two:
        here, there = Store(one), Store(two)
        monkeypatch.setattr(publishing, "LOOK_EVERY_S", 3600)
        with published(here, tmp_path / "one", url), published(there, tmp_path / "two", url):
            wait_until(lambda: (tmp_path / "two" / FILE).exists())
            with valkey.client() as client:
                wait_until(lambda: client.pubsub_numsub("hg:feed:directory")[0][1] == 2)
                client.publish("hg:feed:directory", "nonsense")
            far = Following(tmp_path / "two")
            made = write_key(here)
            wait_until(lambda: far.catch_up() and far.directory.key(made.digest))
        monkeypatch.setattr(publishing, "LOOK_EVERY_S", 0.5)
        with published(here, tmp_path / "one", url), published(there, tmp_path / "two", url):
            valkey.send(signal.SIGSTOP)  # hangs: nobody waits for it
            try:
                revoke(here, made)
                wait_until(lambda: far.catch_up() and not far.directory.key(made.digest))
            finally:
                valkey.send(signal.SIGCONT)


@pytest.mark.parametrize("what", ["removed", "folder removed", "cut", "damaged", "exchanged"])
def test_a_file_that_somebody_breaks_is_made_anew(store: Store, folder: Path, what: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(publishing, "VERIFY_EVERY_S", 0.0 if what == "damaged" else 3600)
    made = write_key(store)
    with published(store, folder) as publisher:
        wait_until(lambda: publisher.state.version == 1)
        following, whole, inode = Following(folder), (folder / FILE).read_bytes(), _inode(folder)
        if what == "removed":
            (folder / FILE).unlink()
        elif what == "folder removed":
            shutil.rmtree(folder)
        elif what == "cut":
            os.truncate(folder / FILE, 30)
        elif what == "exchanged":
            (folder / "other").write_bytes(whole)
            (folder / "other").replace(folder / FILE)
        else:
            with (folder / FILE).open("r+b") as file:
                file.seek(len(whole) // 2)
                file.write(bytes([whole[len(whole) // 2] ^ 1]))
        broken = _inode(folder)
        wait_until(lambda: _inode(folder) not in (None, inode, broken))
        wait_until(lambda: Following(folder).directory.version == 1)
        revoke(store, made)
        following.catch_up()
        assert not following.directory.key(made.digest)
        assert known_in(folder) == said_by(store)
        assert publisher.state.problem is None


def _inode(folder: Path) -> int | None:
    try:
        return (folder / FILE).stat().st_ino
    except FileNotFoundError:
        return None


def test_a_disk_without_room_is_said_and_tried_again(store: Store, folder: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(publishing, "NO_DISK_PAUSE_S", 0.6)
    with published(store, folder) as publisher:
        wait_until(lambda: publisher.state.version is not None)
        made = write_key(store)
        following, real = Following(folder), writing._write

        def full(descriptor: int, data: bytes, at: int) -> None:
            real(descriptor, data[: len(data) // 2], at)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(writing, "_write", full)
        revoke(store, made)
        wait_until(lambda: publisher.state.problem)
        assert publisher.state.problem == "disk: No space left on device"
        assert not following.catch_up()
        assert following.directory.key(made.digest)
        monkeypatch.setattr(writing, "_write", real)
        wait_until(lambda: publisher.state.problem is None)
        assert following.catch_up()
        assert not following.directory.key(made.digest)


def test_an_old_control_process_goes_on_telling_until_it_ends(store: Store, folder: Path) -> None:
    with published(store, folder) as old:
        wait_until(lambda: old.state.version is not None)
        with published(store, folder) as fresh:
            wait_until(lambda: fresh.state.problem)
            assert fresh.state.problem == "another process writes the directory"
            made = write_key(store)
            wait_until(lambda: Following(folder).directory.key(made.digest))
            old._ended = True
            wait_until(lambda: fresh.state.problem is None)
            write_key(store)
            assert known_in(folder) == said_by(store)


def test_a_publisher_that_is_killed_again_and_again(migrated: Database, folder: Path) -> None:
    """It writes to the database and the file; whoever follows sees states that the database was in, in order."""
    seen, following = 0, Following(folder)
    for _ in range(4):
        command = [sys.executable, str(Path(__file__).with_name("publishing.py")), migrated.url, str(folder)]
        with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout
            for _ in range(15):
                assert child.stdout.readline()
                following.catch_up()
                assert following.problem is None
                assert following.directory.version >= seen
                seen = following.directory.version
            child.kill()
        assert Following(folder).problem is None
    with migrated.engine() as engine:
        store = Store(engine)
        with published(store, folder) as publisher:
            wait_until(lambda: publisher.state.version is not None)
            assert known_in(folder) == said_by(store)
            following.catch_up()
            assert following.directory.version == said_by(store)["version"] >= 60
    assert Writer(folder).open()


def test_what_is_secret_or_personal_is_not_told(store: Store, folder: Path, monkeypatch: Any) -> None:
    fill(store)
    person = user("carol", display_name="Carol Danvers")
    write_member(store, "acme", person)
    with published(store, folder) as publisher:
        wait_until(lambda: publisher.state.version == said_by(store)["version"])
        told = (folder / FILE).read_bytes()
        assert b"carol" in told
        for hidden in (b"Danvers", b"@example.org", b"hg-Ab3", b"\1\2\3", b"dk_1", b"openai"):
            assert hidden not in told
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
        with store.write(ADMIN) as unit:
            delete_user(unit, find_user(unit, person.id))  # type: ignore[arg-type]
            unit.record("user.delete", "user", person.id)
        assert b"carol" in (folder / FILE).read_bytes()
        monkeypatch.setattr(writing, "FORGET_S", 0.0)
        wait_until(lambda: b"carol" not in (folder / FILE).read_bytes())
        assert known_in(folder) == said_by(store)


def test_tombstones_and_answers_go_after_a_day(migrated: Database) -> None:
    now = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
    with migrated.engine() as engine, migrated.engine() as other:
        store, late = Store(engine, clock=lambda: now), Store(other, clock=lambda: now + dt.timedelta(hours=25))
        made = write_key(store)
        answer = {"key_digest": bytes(32), "tenant_id": "acme", "body_digest": bytes(32), "status": 201}
        with store.write_aside() as writer:
            keep_answer(writer, Answer(**answer, answer=b"{}", expires_at=now + dt.timedelta(hours=24)))
        revoke(store, made)
        tidy(store)
        with store.write_aside() as writer:
            assert find_answer(writer, bytes(32), bytes(32))
            assert writer.compacted() == 0

        def tidied() -> None:
            with contextlib.suppress(StoreBusy):  # who has waited for too long leaves it to the one that does it
                tidy(late)

        threads = [threading.Thread(target=tidied) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with store.write_aside() as writer:
            assert find_answer(writer, bytes(32), bytes(32)) is None
            assert (writer.compacted(), writer.version()) == (2, 2)

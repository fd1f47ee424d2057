"""A tenant's deletion over all stores: until a look finds nothing, whatever fails or is killed in between."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from databases import Database
from rows import ADMIN, write_key, write_tenant

from control.adapter_holding import AdapterHolding
from control.adapters.objects import Objects
from control.deletion import SYSTEM, DatabaseHolding, Deletions, Holding
from control.holdings import PLACES, HostHolding, adapters_of, holding_of, note_this_host, wanted
from control.store.audit_log import verify_log
from control.store.deletions import find_deletion, list_deletions
from control.store.engine import open_engine, sqlite_url
from control.store.erasure import TABLES_OF_TENANTS, start_deletion, traces_of
from control.store.hosts import list_hosts, remove_host
from control.store.paging import Wish
from control.store.store import Store
from control.store.values import Deletion
from headgate import contract
from headgate.adapter_row import AdapterRow
from headgate.erasures import Report, asked, report, report_stored


class Shelf:
    """A store of tenants' data."""

    def __init__(self, name: str = "shelf", left: int = 3) -> None:
        self.name, self.left = name, left
        self.forgotten: list[str] = []
        self.fails = 0

    def erase(self, deletion_id: str, tenant: str) -> bool:  # noqa: ARG002
        if self.fails:
            self.fails -= 1
            raise OSError("the shelf is away")
        self.left -= min(self.left, 2)
        return self.left == 0

    def traces(self, deletion_id: str, tenant: str) -> int:  # noqa: ARG002
        return self.left

    def finished(self, deletion_id: str) -> None:
        self.forgotten.append(deletion_id)


def started(store: Store, name: str = "acme") -> Deletion:
    write_tenant(store, name)
    write_key(store, name)
    with store.write(ADMIN) as unit:
        return start_deletion(unit, name)


def now(store: Store, deletion: Deletion) -> Deletion:
    with store.read() as reader:
        found = find_deletion(reader, deletion.id)
    assert found
    return found


def test_all_stores_are_gone_through_until_nothing_is_left(store: Store) -> None:
    deletion, shelf = started(store), Shelf()
    work = Deletions(store, [DatabaseHolding(store), shelf])
    assert work.work() == 1, "the shelf needs another turn"
    assert now(store, deletion).done == ("database",)
    assert work.work() == 0
    done = now(store, deletion)
    assert (done.done, done.tenant_id, done.finished_at is None) == (("database", "shelf"), None, False)
    assert shelf.forgotten == [deletion.id]
    with store.read() as reader:
        assert traces_of(reader, "acme") == {}
        assert verify_log(reader).bad is None
    assert work.work() == 0


def test_a_store_that_fails_is_asked_again_and_stops_no_other(store: Store) -> None:
    deletion, broken, shelf = started(store), Shelf("broken", 1), Shelf("shelf", 1)
    broken.fails = 2
    work = Deletions(store, [broken, shelf, DatabaseHolding(store)])
    assert work.work() == 1
    assert now(store, deletion).done == ("database", "shelf")
    assert [work.work(), work.work()] == [1, 0]


def test_what_comes_back_is_erased_again_before_it_is_finished(store: Store) -> None:
    deletion, late, shelf = started(store), Shelf("late", 1), Shelf("shelf", 1)
    late.fails = 1
    work = Deletions(store, [shelf, late, DatabaseHolding(store)])
    assert work.work() == 1
    assert "shelf" in now(store, deletion).done
    shelf.left = 4  # a request that was under way
    write_key(store, "acme")
    assert work.work() == 1
    assert work.work() == 0
    assert shelf.left == 0
    with store.read() as reader:
        assert traces_of(reader, "acme") == {}


def test_a_store_that_can_not_be_looked_at_is_not_clean(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    deletion, shelf = started(store), Shelf("shelf", 1)
    work = Deletions(store, [shelf, DatabaseHolding(store)])
    monkeypatch.setattr(shelf, "traces", lambda *_: 1 / 0)
    assert work.work() == 1
    monkeypatch.undo()
    assert work.work() == 0
    assert now(store, deletion).finished_at


def test_two_holdings_of_one_name_are_a_mistake(store: Store) -> None:
    with pytest.raises(ValueError, match="one name"):
        Deletions(store, [Shelf(), Shelf()])


def work_forever(url: str) -> None:
    """In a process of its own, which says when it begins."""
    store = Store(open_engine(url))
    work = Deletions(store, [DatabaseHolding(store), Shelf("shelf", 1)])
    print("begun", flush=True)  # noqa: T201
    while True:
        work.work()


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.1, 0.3])
def test_a_process_that_is_killed_is_followed_by_one_that_goes_on(migrated: Database, after_s: float) -> None:
    with migrated.engine() as engine:
        store = Store(engine)
        deletions = [started(store, name) for name in ("a", "b", "c")]
        for _ in range(20):
            write_key(store, "b")
        script = f"from test_deletion import work_forever; work_forever({migrated.url!r})"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment) as process:
            assert process.stdout
            assert process.stdout.readline() == b"begun\n"
            time.sleep(after_s)
            process.kill()
        work = Deletions(store, [DatabaseHolding(store), Shelf("shelf", 1)])
        work.start()
        try:
            deadline = time.monotonic() + 60
            while not all(now(store, one).finished_at for one in deletions):
                assert time.monotonic() < deadline
                time.sleep(0.02)
        finally:
            work.close()
        with store.read() as reader:
            assert [traces_of(reader, name) for name in ("a", "b", "c")] == [{}, {}, {}]
            assert verify_log(reader).bad is None


def held(store: Store, host_id: str, state: Path) -> list[Holding]:
    adapters = AdapterHolding(host_id, AdapterRow, Objects(store, AdapterRow, state))
    return [DatabaseHolding(store), HostHolding(host_id, state / "erasures"), adapters]


def test_every_host_has_to_be_done(store: Store, tmp_path: Path) -> None:
    hosts = [note_this_host(store, tmp_path / name) for name in ("one", "two")]
    assert note_this_host(store, tmp_path / "one").id == hosts[0].id, "for good"
    deletion = started(store)
    processes = []
    for name, host in zip(("one", "two"), hosts, strict=True):
        folder = tmp_path / name / "erasures"
        processes.append((folder, Deletions(store, held(store, host.id, tmp_path / name), wanted)))
    (one, first), (two, second) = processes
    assert first.work() == 1
    (erasure,) = asked(one)
    assert (erasure.id, erasure.tenant) == (deletion.id, "acme")
    report(Report(deletion.id, {"spool": 4}, {"spool": 0}), one)
    report_stored(Report(deletion.id, {}, {"requests": 0}), one)
    assert first.work() == 1, "the other host is not done"
    with store.read() as reader:
        assert first.waiting_for(reader, now(store, deletion)) == (adapters_of(hosts[1].id), holding_of(hosts[1].id))
    assert second.work() == 1
    report(Report(deletion.id, {}, {"spool": 2}), two)
    assert second.work() == 1, "its ledger has found something"
    report(Report(deletion.id, {"spool": 2}, {"spool": 0}), two)
    assert second.work() == 1, "its usage store is not done"
    report_stored(Report(deletion.id, {}, {"requests": 0}), two)
    assert second.work() == 0
    assert now(store, deletion).tenant_id is None
    assert list(two.iterdir()) == []


def test_a_host_that_is_gone_for_good_is_not_waited_for(store: Store, tmp_path: Path) -> None:
    here, gone = note_this_host(store, tmp_path / "here"), note_this_host(store, tmp_path / "gone")
    deletion, folder = started(store), tmp_path / "here" / "erasures"
    work = Deletions(store, held(store, here.id, tmp_path / "here"), wanted)
    work.work()
    report(Report(deletion.id, {}, {}), folder)
    report_stored(Report(deletion.id, {}, {}), folder)
    assert work.work() == 1
    with store.write(SYSTEM) as unit:
        remove_host(unit, gone.id)
    assert work.work() == 0
    with store.read() as reader:
        assert [host.id for host in list_hosts(reader)] == [here.id]


def test_deletions_are_listed_the_newest_first(store: Store) -> None:
    made = [started(store, name).id for name in ("a", "b", "c")]
    Deletions(store, [DatabaseHolding(store)]).work()
    made.append(started(store, "d").id)
    found: list[str] = []
    after = None
    with store.read() as reader:
        while True:
            page = list_deletions(reader, Wish(2, after))
            found += [row.id for row in page.items]
            if (after := page.next) is None:
                break
        assert sorted(found) == sorted(made)
        assert found[0] == made[-1]
        assert len(list_deletions(reader, Wish(9), finished=True).items) == 3
        assert [row.id for row in list_deletions(reader, Wish(9), finished=False).items] == [made[-1]]


def test_every_place_where_something_is_kept_is_in_the_registry() -> None:
    """A store that is new has to say here in which holding it is, or why it has nothing of tenants'."""
    kept = {name for name, value in vars(contract).items() if isinstance(value, Path)}
    assert PLACES.keys() == kept
    assert {place for place, where in PLACES.items() if where in ("host", "database", "adapters")} == {
        *("SPOOL", "LEDGER", "USAGE_STORE", "KEY_USES", "ERASURES", "WEBHOOKS"),
        *("DATABASE", "DIRECTORY"),
        *("OBJECTS", "ADAPTER_CACHE"),
    }


def test_every_table_with_a_tenant_in_it_is_erased() -> None:
    """Who adds a table adds it to `erase_tenant`, to tests/control/test_store_erasure.py, and here."""
    assert {table.name for table in TABLES_OF_TENANTS} == {
        *("tenants", "virtual_keys", "memberships", "model_grants", "limits"),
        *("key_uses", "idempotency_keys", "audit", "tenant_deletions", "events", "credit_accounts"),
        *("adapters", "adapter_versions"),
    }


def test_a_hosts_id_is_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    store = Store.open(f"sqlite:///{tmp_path / 'control.db'}")
    try:
        first = note_this_host(store, folder)
        assert (folder / "identity" / "host").read_text().strip() == first.id
        assert (folder / "identity" / "host").stat().st_mode & 0o777 == 0o600
        shutil.copytree(folder, tmp_path / "copy")
        assert note_this_host(store, tmp_path / "copy").id == first.id
    finally:
        store.close()


def test_the_files_forget_too(tmp_path: Path) -> None:
    """SQLite's; test_store_erasure looks at PostgreSQL's, too."""
    store = Store.open(sqlite_url(tmp_path / "control.db"))
    write_tenant(store, "quagga", metadata={"who": "okapi@okapi.example"})
    files = list(tmp_path.iterdir())
    assert any(b"okapi@okapi" in found.read_bytes() for found in files)
    with store.write(ADMIN) as unit:
        start_deletion(unit, "quagga")
    deletions = Deletions(store, [DatabaseHolding(store)])
    while deletions.work():
        pass
    deletions.work()
    assert all(b"okapi@okapi" not in found.read_bytes() for found in files)
    store.close()

"""A deleted tenant's adapters go from the store of objects and from each host's disk, and from nobody else's."""

from pathlib import Path

import pytest
from rows import ADMIN, write_tenant

from control.adapter_holding import AdapterHolding
from control.adapters.objects import Objects
from control.store.adapters import STORED
from control.store.store import Store
from headgate.adapter_row import AdapterRow
from headgate.adapters.cache import AdapterCache
from headgate.adapters.layout import AdapterId
from headgate.adapters.manifest import digest_of
from headgate.adapters.publishing import NewVersion, objects_of, publish
from headgate.adapters.signature import SigningKey, TrustedKeys
from headgate.objects.failures import StoreAway
from headgate.objects.opening import open_store
from tests.adapters import made

KEY = SigningKey(bytes(32))


@pytest.fixture
def database(store: Store) -> Store:
    """With an entry in its log, as each has by the time of its first adapter."""
    write_tenant(store, "acme")
    return store


def holding_of(database: Store, row: AdapterRow, state: Path) -> AdapterHolding:
    return AdapterHolding("host_1", lambda: row, Objects(database, lambda: row, state))


def stock(database: Store, state: Path, row: AdapterRow) -> None:
    """A version of two tenants, stored and on the disk of this host, and in the folder of engines elsewhere."""
    store = Objects(database, lambda: row, state).to_write()
    for tenant in ("acme", "acme2"):
        files = made.files(state / "upload")
        manifest = publish(
            store, KEY, NewVersion(AdapterId(tenant, "bot", 1), files.weights, files.config), made.BASE
        )
        for folder in (state / "adapters", *row.folders):
            cache = AdapterCache(Path(folder))
            cache.fetch(store, manifest.id, digest_of(manifest), TrustedKeys([KEY.public]))


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_deleted_tenants_adapters_are_gone_everywhere(database: Store, tmp_path: Path, *, elsewhere: bool) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (tmp_path / "nfs").mkdir()
    objects = f"file://{tmp_path / 'shared'}" if elsewhere else None
    row = AdapterRow(objects=objects, folders=(str(tmp_path / "nfs"),))
    stock(database, state, row)
    holding = holding_of(database, row, state)
    assert holding.traces("", "acme") == 6
    assert holding.erase("del_1", "acme")
    assert holding.traces("del_1", "acme") == 0
    assert holding.erase("del_1", "acme"), "again, after a crash"
    assert holding.traces("", "acme2") == 6
    assert objects_of(open_store(row.objects, state), "acme2") == 4
    assert len(list((tmp_path / "nfs").glob("[0-9a-f]*"))) == 1


def test_files_stay_while_engines_may_have_them_loaded(database: Store, tmp_path: Path) -> None:
    """The part `engines` is there: it removes them when they are unloaded."""
    stock(database, tmp_path, AdapterRow())
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "engines.sock").touch()
    holding = holding_of(database, AdapterRow(), tmp_path)
    assert not holding.erase("del_1", "acme")
    assert holding.traces("del_1", "acme") == 1, "the store has none any more"
    AdapterCache(tmp_path / "adapters").remove_tenant("acme")
    assert holding.erase("del_1", "acme")


def test_a_tenant_without_adapters_has_none(database: Store, tmp_path: Path) -> None:
    holding = holding_of(database, AdapterRow(), tmp_path)
    assert holding.traces("", "acme") == 0
    assert holding.erase("", "acme")


def test_a_store_that_cannot_be_looked_at_is_not_clean(database: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    row = AdapterRow(objects=f"file://{tmp_path / 'file' / 'objects'}")
    with pytest.raises(OSError, match=r"store\.json"):
        holding_of(database, row, tmp_path).traces("", "acme")


def test_a_store_that_is_not_mounted_is_not_clean(database: Store, tmp_path: Path) -> None:
    """Its mountpoint is empty when the gateway starts; the database knows that there was something."""
    mountpoint = tmp_path / "mountpoint"
    row = AdapterRow(objects=f"file://{mountpoint}")
    stock(database, tmp_path, row)
    with database.write(ADMIN) as unit:
        unit.record(STORED, "adapter", "acme/bot@1", tenant_id="acme")
    mountpoint.rename(tmp_path / "disk")
    mountpoint.mkdir()
    holding = holding_of(database, row, tmp_path)
    with pytest.raises(StoreAway, match="not mounted"):
        holding.erase("del_1", "acme")
    with pytest.raises(OSError, match="not mounted"):
        holding.traces("del_1", "acme")
    assert list(mountpoint.iterdir()) == []
    mountpoint.rmdir()
    (tmp_path / "disk").rename(mountpoint)
    assert holding.erase("del_1", "acme")
    assert holding.traces("del_1", "acme") == 0

"""A deleted tenant's adapters go from the store of objects and from each host's disk, and from nobody else's."""

from pathlib import Path

import pytest

from control.adapter_holding import AdapterHolding
from headgate.adapter_row import AdapterRow
from headgate.adapters.cache import AdapterCache
from headgate.adapters.layout import AdapterId
from headgate.adapters.manifest import digest_of
from headgate.adapters.publishing import NewVersion, objects_of, publish
from headgate.adapters.signature import SigningKey, TrustedKeys
from headgate.objects.opening import open_store
from tests.adapters import made

KEY = SigningKey(bytes(32))


def stock(state: Path, row: AdapterRow) -> None:
    """A version of two tenants, stored and on the disk of this host."""
    store = open_store(row.objects, state)
    for tenant in ("acme", "acme2"):
        files = made.files(state / "upload")
        manifest = publish(
            store, KEY, NewVersion(AdapterId(tenant, "bot", 1), files.weights, files.config), made.BASE
        )
        AdapterCache(state / "adapters").fetch(store, manifest.id, digest_of(manifest), TrustedKeys([KEY.public]))


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_deleted_tenants_adapters_are_gone_everywhere(tmp_path: Path, *, elsewhere: bool) -> None:
    state = tmp_path / "state"
    state.mkdir()
    row = AdapterRow(objects=f"file://{tmp_path / 'shared'}" if elsewhere else None)
    stock(state, row)
    holding = AdapterHolding("host_1", lambda: row, state)
    assert holding.traces("", "acme") == 5
    assert holding.erase("del_1", "acme")
    assert holding.traces("del_1", "acme") == 0
    assert holding.erase("del_1", "acme"), "again, after a crash"
    assert holding.traces("", "acme2") == 5
    assert objects_of(open_store(row.objects, state), "acme2") == 4


def test_a_tenant_without_adapters_has_none(tmp_path: Path) -> None:
    holding = AdapterHolding("host_1", AdapterRow, tmp_path)
    assert holding.traces("", "acme") == 0
    assert holding.erase("", "acme")


def test_a_store_that_cannot_be_looked_at_is_not_clean(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    row = AdapterRow(objects=f"file://{tmp_path / 'file' / 'objects'}")
    with pytest.raises(OSError, match="the directory of objects"):
        AdapterHolding("host_1", lambda: row, tmp_path).traces("", "acme")

"""Providers' credentials and data keys: what refers to what, and what a tombstone has left."""

from dataclasses import replace

import pytest
from databases import Database
from rows import ADMIN

from control.store.changes import changes_since
from control.store.credentials import (
    delete_credential,
    delete_data_key,
    find_credential,
    insert_credential,
    insert_data_key,
    list_credentials,
    list_data_keys,
    rewrap_data_key,
    update_credential,
)
from control.store.failures import InUse, Missing
from control.store.store import Store
from control.store.values import Credential, DataKey


@pytest.fixture
def stored(store: Store) -> Credential:
    with store.write(ADMIN) as unit:
        insert_data_key(unit, DataKey(id="dk_1", wrapped=b"wrapped-by-file", wrapped_by="file:key"))
        made = insert_credential(unit, credential())
        unit.record("credential.create", "credential", "openai.api_key", after=made)
    return made


def credential() -> Credential:
    return Credential(
        provider="openai",
        field="api_key",
        ciphertext=b"\xc1 sealed",
        nonce=bytes(range(12)),
        data_key_id="dk_1",
        created_by=ADMIN.id,
    )


def test_a_credential_that_changes_is_a_change_of_the_directory(store: Store, stored: Credential) -> None:
    with store.write(ADMIN) as unit:
        fresh = update_credential(unit, replace(stored, ciphertext=b"new"))
        unit.record("credential.update", "credential", "openai.api_key", before=stored, after=fresh)
    with store.read() as reader:
        assert changes_since(reader, stored.version) == (2, (fresh,))
        assert find_credential(reader, "openai", "api_key") == fresh
        assert list_credentials(reader, "openai") == list_credentials(reader) == (fresh,)
        assert list_credentials(reader, "claude") == ()


def test_a_data_key_is_wrapped_anew_and_nothing_else_changes(store: Store, stored: Credential) -> None:
    with store.write(ADMIN) as unit:
        (known,) = list_data_keys(unit)
        rewrap_data_key(unit, known, b"wrapped-by-vault", "vault:transit/headgate")
        unit.record("data_key.rewrap", "data_key", "dk_1", before=known)
    with store.read() as reader:
        (found,) = list_data_keys(reader)
        assert (found.wrapped, found.wrapped_by, found.created_at) == (
            b"wrapped-by-vault",
            "vault:transit/headgate",
            known.created_at,
        )
        assert find_credential(reader, "openai", "api_key") == stored
    with pytest.raises(Missing), store.write(ADMIN) as unit:
        rewrap_data_key(unit, replace(known, id="dk_2"), b"", "")


def test_a_data_key_goes_when_nothing_is_encrypted_under_it(store: Store, stored: Credential) -> None:
    with pytest.raises(InUse), store.write(ADMIN) as unit:
        delete_data_key(unit, "dk_1")
    with store.write(ADMIN) as unit:
        gone = delete_credential(unit, stored)
        delete_data_key(unit, "dk_1")
        unit.record("credential.delete", "credential", "openai.api_key", before=stored)
    assert (gone.ciphertext, gone.data_key_id) == (b"", None)
    with store.read() as reader:
        assert list_data_keys(reader) == ()


def test_nothing_of_a_secret_is_in_the_log(store: Store, stored: Credential, migrated: Database) -> None:
    said = str(migrated.execute("SELECT before, after FROM audit"))
    assert "***" in said
    assert "sealed" not in said
    assert stored.ciphertext.hex() not in said

"""Providers' credentials and the data keys that they are encrypted under. Nothing here can decrypt one."""

from dataclasses import replace

from sqlalchemy import select, update

from control.store.base import table_of
from control.store.failures import InUse, Missing
from control.store.rows import Rows
from control.store.tables import CredentialRow, DataKeyRow
from control.store.unit import Reader, Unit
from control.store.values import Credential, DataKey

CREDENTIALS = Rows(Credential, CredentialRow, "provider", "field")
_KEYS = table_of(DataKeyRow)
_DATA_KEY = (
    *(DataKeyRow.id, DataKeyRow.wrapped, DataKeyRow.wrapped_by),
    *(DataKeyRow.created_at, DataKeyRow.wrapped_at),
)


def find_credential(reader: Reader, provider: str, field: str) -> Credential | None:
    """None where none is stored."""
    return CREDENTIALS.find(reader, provider, field)


def list_credentials(reader: Reader, provider: str | None = None) -> tuple[Credential, ...]:
    """All, or a provider's."""
    return CREDENTIALS.all(reader, *([] if provider is None else [CredentialRow.provider == provider]))


def insert_credential(unit: Unit, credential: Credential) -> Credential:
    """Raises Exists."""
    return CREDENTIALS.insert(unit, credential)


def update_credential(unit: Unit, credential: Credential) -> Credential:
    """Raises Missing or Stale."""
    return CREDENTIALS.update(unit, credential)


def delete_credential(unit: Unit, credential: Credential) -> Credential:
    """With its ciphertext: the tombstone needs no data key. Raises Missing or Stale."""
    return CREDENTIALS.delete(unit, credential, ciphertext=b"", nonce=bytes(12), data_key_id=None)


def list_data_keys(reader: Reader) -> tuple[DataKey, ...]:
    """The newest last."""
    rows = reader.rows(select(*_DATA_KEY).order_by(DataKeyRow.created_at, DataKeyRow.id))
    return tuple(DataKey(**row._mapping) for row in rows)


def insert_data_key(unit: Unit, data_key: DataKey) -> DataKey:
    """A new one."""
    fresh = replace(data_key, created_at=unit.now, wrapped_at=unit.now)
    unit.run(_KEYS.insert().values({name: getattr(fresh, name) for name in DataKey.__slots__}))
    return fresh


def rewrap_data_key(unit: Unit, data_key: DataKey, wrapped: bytes, wrapped_by: str) -> DataKey:
    """The same key, wrapped anew: what it encrypts stays as it is. Raises Missing."""
    fresh = replace(data_key, wrapped=wrapped, wrapped_by=wrapped_by, wrapped_at=unit.now)
    changed = unit.run(
        update(DataKeyRow)
        .where(DataKeyRow.id == data_key.id)
        .values(wrapped=wrapped, wrapped_by=wrapped_by, wrapped_at=unit.now)
    )
    if not changed:
        raise Missing("there is no such data key")
    return fresh


def delete_data_key(unit: Unit, data_key_id: str) -> None:
    """Raises InUse while a credential is encrypted under it, Missing."""
    if unit.row(CREDENTIALS.query(CredentialRow.data_key_id == data_key_id).limit(1)) is not None:
        raise InUse("credentials are encrypted under this key")
    if not unit.run(_KEYS.delete().where(DataKeyRow.id == data_key_id)):
        raise Missing("there is no such data key")

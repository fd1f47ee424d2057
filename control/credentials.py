"""Providers' credentials that are stored: put and deleted in a unit of work, opened into files of this host.

A file for each, in the `secrets` folder, which the supervisor hands on to Envoy. What cannot be opened now leaves its
file as it is; what is not stored any more has none. Data keys are unwrapped once and stay in memory.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import structlog

from control.audit_chain import Actor
from control.credential_seal import BadSecret, OpenKey, Sealed, SealingError, WrappingAway, new_key, seal, unseal
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
from control.store.failures import BadValue, KeyAway, Missing, StoreError
from control.store.ids import new_id
from control.store.store import Store
from control.store.unit import Unit
from control.store.values import Credential, DataKey
from control.wrapping import LocalKeys, Wrapping
from headgate.contract import LOCAL_KEY, SEALING, SECRETS
from headgate.sealing import Sealing
from headgate.stored_files import is_stored_file, stored_file
from headgate.supervise.files import write_atomic

log = structlog.get_logger()

SYSTEM = Actor("system", "control")
AGAIN_S = 5.0  # after something has failed
LOOK_S = 60.0  # what is wrapped by an old key is found within this


class Credentials:
    """Of one database, on one host. The first of the `wrappings` is the one that data keys are to be wrapped by."""

    def __init__(self, store: Store, wrappings: Sequence[Wrapping], folder: Path) -> None:
        self._store, self._wrappings, self._folder = store, wrappings, folder
        self._open: dict[str, OpenKey] = {}
        self._busy = threading.Lock()
        self._wake, self._closed = threading.Event(), False
        self._thread: threading.Thread | None = None
        self.problems: tuple[str, ...] = ()  # for readiness; no secret in them

    def put(self, unit: Unit, provider: str, field: str, secret: str, created_by: str) -> Credential:
        """In place of what is there. Raises BadValue; KeyAway while no data key could be unwrapped."""
        with _told():
            key = self._key_for(unit)
            sealed = seal(key, provider, field, secret)
        fresh = Credential(
            provider=provider,
            field=field,
            ciphertext=sealed.ciphertext,
            nonce=sealed.nonce,
            data_key_id=key.id,
            created_by=created_by,
        )
        there = find_credential(unit, provider, field)
        if there is None:
            made = insert_credential(unit, fresh)
        else:
            made = update_credential(unit, replace(fresh, version=there.version, created_at=there.created_at))
        unit.record("credential.set", "credential", f"{provider}/{field}", before=there, after=made)
        return made

    def delete(self, unit: Unit, provider: str, field: str) -> None:
        """Raises Missing."""
        there = find_credential(unit, provider, field)
        if there is None:
            raise Missing("no such credential is stored")
        delete_credential(unit, there)
        unit.record("credential.delete", "credential", f"{provider}/{field}", before=there)

    def start(self) -> None:
        """Keep the files of this host as the database says, in a thread, until `close`.

        Whoever follows the database calls `changed`.
        """
        self._thread = threading.Thread(target=self._follow, name="credentials", daemon=True)
        self._thread.start()

    def changed(self) -> None:
        """Something of the directory may have changed: look now. Returns at once."""
        self._wake.set()

    def close(self) -> None:
        """Waits for what is being done; at most as long as Vault or KMS may take to answer."""
        self._closed = True
        self._wake.set()
        if self._thread:
            self._thread.join()

    def prepare(self) -> None:
        """Have a data key that is open, and all of them wrapped by the newest key. Raises SealingError, StoreError.

        Whatever asks Vault is done outside of units of work: these are alone.
        """
        with self._store.read() as reader:
            known = list_data_keys(reader)
        if not known:
            self._add_data_key()
            return
        for data_key in known:
            self._unwrapped(data_key)
            self._rewrap(data_key)

    def write(self) -> None:
        """Bring the files up to what is stored now. Raises StoreError, OSError; what does not open is a problem."""
        self._tell(self._write())

    def _write(self) -> list[str]:
        with self._busy:
            with self._store.read() as reader:
                rows, keys = list_credentials(reader), {key.id: key for key in list_data_keys(reader)}
            problems: list[str] = []
            kept: set[str] = set()
            for row in rows:
                name = stored_file(row.provider, row.field)
                kept.add(name)
                try:
                    secret = self._secret_of(row, keys)
                except SealingError as error:
                    problems.append(f"{row.provider}/{row.field}: {error}")
                else:
                    write_atomic(self._folder / name, secret.encode())
            for path in self._folder.iterdir():
                if is_stored_file(path.name) and path.name not in kept:
                    path.unlink(missing_ok=True)
            return problems

    def rotate_data_key(self, actor: Actor = SYSTEM) -> int:
        """A new data key, and every credential encrypted anew under it; the old ones are deleted. How many.

        Raises KeyAway, StoreError.
        """
        with self._store.read() as reader, _told():
            for data_key in list_data_keys(reader):
                self._unwrapped(data_key)
        with _told():
            self._add_data_key(actor)
        count = 0
        with self._store.write(actor) as unit, _told():
            keys = {key.id: key for key in list_data_keys(unit)}
            newest = self._key_for(unit)
            for row in list_credentials(unit):
                sealed = seal(newest, row.provider, row.field, self._secret_of(row, keys))
                update_credential(
                    unit,
                    replace(row, ciphertext=sealed.ciphertext, nonce=sealed.nonce, data_key_id=newest.id),
                )
                count += 1
            for old in keys.keys() - {newest.id}:
                delete_data_key(unit, old)
            unit.record("data_key.rotate", "data_key", newest.id, after={"credentials": count})
        return count

    def _follow(self) -> None:
        prepare_at = time.monotonic()
        while not self._closed:
            self._wake.clear()
            problems: list[str] = []
            if time.monotonic() >= prepare_at:
                try:
                    self.prepare()
                except (SealingError, StoreError, OSError) as error:
                    problems.append(str(error))
                prepare_at = time.monotonic() + (AGAIN_S if problems else LOOK_S)
            try:
                problems += self._write()
            except (StoreError, OSError) as error:
                problems.append(f"could not be written: {error}")
            self._tell(problems)
            self._wake.wait(AGAIN_S if problems else LOOK_S)

    def _tell(self, problems: Sequence[str]) -> None:
        found = tuple(problems)
        if found != self.problems:
            self.problems = found
            if found:
                log.error("stored credentials", problems=list(found))
            else:
                log.info("stored credentials are all in place")

    def _key_for(self, unit: Unit) -> OpenKey:
        """The newest data key; it is open here but for the moment after another host has made one."""
        known = list_data_keys(unit)
        if not known:
            raise WrappingAway("there is no data key yet: it could not be wrapped")
        return self._unwrapped(known[-1])

    def _secret_of(self, row: Credential, keys: dict[str, DataKey]) -> str:
        data_key = keys.get(row.data_key_id or "")
        if data_key is None:
            raise SealingError("its data key is gone")
        sealed = Sealed(row.provider, row.field, row.ciphertext, row.nonce, data_key.id)
        return unseal(self._unwrapped(data_key), sealed)

    def _unwrapped(self, data_key: DataKey) -> OpenKey:
        if found := self._open.get(data_key.id):
            return found
        wrapping = self._wrapping_of(data_key)
        key = wrapping.unwrap(data_key.id, data_key.wrapped, data_key.wrapped_by)
        return self._open.setdefault(data_key.id, OpenKey(data_key.id, key))

    def _wrapping_of(self, data_key: DataKey) -> Wrapping:
        for wrapping in self._wrappings:
            if wrapping.wraps(data_key.wrapped_by):
                return wrapping
        raise SealingError(f"data key {data_key.id} is wrapped by {data_key.wrapped_by}, which is not used here")

    def _add_data_key(self, actor: Actor = SYSTEM) -> None:
        key, wrapping = OpenKey(new_id("dk"), new_key()), self._wrappings[0]
        made = DataKey(id=key.id, wrapped=wrapping.wrap(key.id, key.key), wrapped_by=wrapping.name)
        with self._store.write(actor) as unit:
            insert_data_key(unit, made)
            unit.record("data_key.create", "data_key", key.id, after={"wrapped_by": made.wrapped_by})
        self._open[key.id] = key

    def _rewrap(self, data_key: DataKey) -> None:
        """By the newest key of the first wrapping, if it is not."""
        first = self._wrappings[0]
        if first.wraps(data_key.wrapped_by):
            wrapped = first.renewed(data_key.id, data_key.wrapped, data_key.wrapped_by)
        else:
            wrapped = first.wrap(data_key.id, self._unwrapped(data_key).key)
        if wrapped is None:
            return
        with self._store.write(SYSTEM) as unit:
            rewrap_data_key(unit, data_key, wrapped, first.name)
            unit.record(
                "data_key.rewrap",
                "data_key",
                data_key.id,
                before={"wrapped_by": data_key.wrapped_by},
                after={"wrapped_by": first.name},
            )
        log.info("data key wrapped anew", data_key=data_key.id, by=first.name)


@contextmanager
def _told() -> Iterator[None]:
    """What goes wrong with sealing, as those know it who use the store."""
    try:
        yield
    except BadSecret as error:
        raise BadValue(str(error)) from None
    except SealingError as error:
        raise KeyAway(str(error)) from None


def open_credentials(store: Store) -> Credentials:
    """Those of the state directory, which is the working directory. Nothing is asked or made yet."""
    local = LocalKeys(LOCAL_KEY)
    try:
        settings = SEALING.read_bytes()
    except FileNotFoundError:
        settings = b""
    if not settings:
        return Credentials(store, [local], SECRETS)
    sealing = msgspec.json.decode(settings, type=Sealing)
    wrappings: list[Wrapping] = []
    # Only who uses KMS or a Vault imports what asks it.
    if sealing.kms:
        from control.kms_key import KmsKey

        wrappings.append(KmsKey(sealing.kms))
    if sealing.transit:
        from control.transit_key import TransitKey
        from headgate.vault.transit import Transit

        wrappings.append(TransitKey(Transit(sealing.transit, SECRETS)))
    return Credentials(store, [*wrappings, local], SECRETS)

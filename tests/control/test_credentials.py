"""Credentials of a real database as files of a host; data keys wrapped by a local key and by a real OpenBao."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from databases import Database
from rows import ADMIN
from sqlalchemy import update

from control.credential_seal import WrappingAway
from control.credentials import Credentials
from control.publisher import Publisher
from control.store.audit_log import verify_log
from control.store.credentials import list_credentials, list_data_keys
from control.store.failures import BadValue, KeyAway, Missing
from control.store.store import Store
from control.store.tables import CredentialRow, DataKeyRow
from control.transit_key import TransitKey
from control.wrapping import LocalKeys
from headgate.vault import files
from headgate.vault.server import Server, TransitSettings
from headgate.vault.transit import Transit
from tests.vault.bao_server import Bao, bao_server

FIRST, SECOND = "sk-hunter2-first", "sk-hunter2-second"


class Host:
    """One of several on a database: its folder and its local key."""

    def __init__(self, store: Store, folder: Path, *wrappings: TransitKey) -> None:
        self.secrets = folder / "secrets"
        self.secrets.mkdir(parents=True, exist_ok=True)
        self.local = LocalKeys(folder / "identity" / "local-key")
        self.store = store
        self.credentials = Credentials(store, [*wrappings, self.local], self.secrets)

    def put(self, secret: str, field: str = "api_key", provider: str = "openai") -> None:
        with self.store.write(ADMIN) as unit:
            self.credentials.put(unit, provider, field, secret, ADMIN.id)

    def has(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.secrets.iterdir() if path.name.startswith("stored+")}


@pytest.fixture
def host(store: Store, tmp_path: Path) -> Host:
    made = Host(store, tmp_path / "one")
    made.credentials.prepare()
    return made


def within(condition: Callable[[], object], within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_credential_is_put_replaced_and_deleted(host: Host, store: Store) -> None:
    host.put(FIRST)
    host.put("sk-b", "api_keys/b")
    (host.secrets / "p@1.key").write_text("not ours")
    host.credentials.write()
    assert host.has() == {"stored+openai+api_key": FIRST, "stored+openai+api_keys:b": "sk-b"}
    assert {(host.secrets / name).stat().st_mode & 0o777 for name in host.has()} == {0o600}
    host.put(SECOND)
    with store.write(ADMIN) as unit:
        host.credentials.delete(unit, "openai", "api_keys/b")
    host.credentials.write()
    assert host.has() == {"stored+openai+api_key": SECOND}
    assert (host.secrets / "p@1.key").exists()
    with pytest.raises(Missing), store.write(ADMIN) as unit:
        host.credentials.delete(unit, "openai", "api_keys/b")
    with store.read() as reader:
        assert verify_log(reader).entries


def test_what_cannot_stand_in_a_header_is_not_stored(host: Host) -> None:
    with pytest.raises(BadValue):
        host.put("sk-\r\nx-admin: yes")
    host.credentials.write()
    assert host.has() == {}


def test_neither_log_nor_database_says_it(host: Host, migrated: Database) -> None:
    host.put(FIRST)
    host.put(SECOND)
    for table in ("audit", "provider_credentials", "data_keys"):
        rows = migrated.execute(f"SELECT * FROM {table}")  # noqa: S608
        assert "hunter2" not in str(rows)
        assert FIRST.encode().hex() not in str(rows)


def test_a_row_that_was_tampered_with_is_refused_and_the_last_value_stays(host: Host, store: Store) -> None:
    host.put(FIRST)
    host.put("sk-other", provider="claude")
    host.credentials.write()
    with store.read() as reader:
        claude, openai = list_credentials(reader)
    with store.write_aside() as writer:  # somebody who may write to the database puts one row's into the other
        moved = {"ciphertext": claude.ciphertext, "nonce": claude.nonce}
        writer.run(update(CredentialRow).where(CredentialRow.provider == "openai").values(moved))
    host.credentials.write()
    assert host.has()["stored+openai+api_key"] == FIRST
    assert "does not open" in str(host.credentials.problems)
    assert "hunter2" not in str(host.credentials.problems)
    with store.write_aside() as writer:
        back = {"ciphertext": openai.ciphertext, "nonce": openai.nonce}
        writer.run(update(CredentialRow).where(CredentialRow.provider == "openai").values(back))
    host.credentials.write()
    assert host.credentials.problems == ()


def test_a_change_is_in_the_files_of_every_host(host: Host, store: Store, tmp_path: Path) -> None:
    other = Host(store, tmp_path / "two")
    (tmp_path / "two/identity").mkdir()
    (tmp_path / "two/identity/local-key").write_bytes((tmp_path / "one/identity/local-key").read_bytes())
    publishers = [Publisher(store, tmp_path / name / "directory") for name in ("one", "two")]
    for one, publisher in zip((host, other), publishers, strict=True):
        publisher.followers.append(one.credentials.changed)
        one.credentials.start()
        publisher.start()
    try:
        for secret in (FIRST, SECOND):
            host.put(secret)
            within(lambda new=secret: host.has() == other.has() == {"stored+openai+api_key": new}, 20)
    finally:
        for one, publisher in zip((host, other), publishers, strict=True):
            publisher.close()
            one.credentials.close()


def test_a_host_with_another_local_key_says_so(host: Host, store: Store, tmp_path: Path) -> None:
    host.put(FIRST)
    other = Host(store, tmp_path / "two")
    other.credentials.write()
    assert other.has() == {}
    assert f"is wrapped by {host.local.name}, which is not in" in str(other.credentials.problems)


def test_a_new_data_key_encrypts_everything_anew(host: Host, store: Store) -> None:
    host.put(FIRST)
    host.put("sk-b", "token")
    with store.read() as reader:
        (before,), old = list_data_keys(reader), list_credentials(reader)
    assert host.credentials.rotate_data_key(ADMIN) == 2
    with store.read() as reader:
        (after,), new = list_data_keys(reader), list_credentials(reader)
    assert after.id != before.id
    assert not {row.ciphertext for row in old} & {row.ciphertext for row in new}
    host.credentials.write()
    assert host.has() == {"stored+openai+api_key": FIRST, "stored+openai+token": "sk-b"}
    host.put(SECOND)
    host.credentials.write()
    assert host.has()["stored+openai+api_key"] == SECOND


def test_a_new_local_key_is_taken_by_itself(host: Host, store: Store) -> None:
    host.put(FIRST)
    host.local.add_key()
    host.credentials.prepare()
    with store.read() as reader:
        (data_key,) = list_data_keys(reader)
    assert data_key.wrapped_by == host.local.name
    host.local.keep_newest()
    fresh = Credentials(store, [host.local], host.secrets)
    fresh.write()
    assert host.has() == {"stored+openai+api_key": FIRST}


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    with bao_server(tmp_path_factory.mktemp("bao")) as server:
        server.admin.sys.enable_secrets_engine("transit")
        for name in ("headgate", "other"):
            server.admin.secrets.transit.create_key(name)
        server.policy("wraps", *(f"transit/{what}/headgate: update" for what in ("encrypt", "decrypt", "rewrap")))
        yield server


def transit_key(bao: Bao, secrets: Path, name: str = "headgate") -> TransitKey:
    secrets.mkdir(parents=True, exist_ok=True)
    files.token_file(secrets).write_text(bao.token("wraps"))
    return TransitKey(Transit(TransitSettings(Server(bao.url), "transit", name), secrets))


def test_vault_wraps_data_keys_and_its_new_key_is_taken(bao: Bao, store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "one"
    host = Host(store, folder, transit_key(bao, folder / "secrets"))
    host.credentials.prepare()
    host.put(FIRST)

    def wrapped() -> bytes:
        with store.read() as reader:
            (data_key,) = list_data_keys(reader)
        assert data_key.wrapped_by == "vault:transit/headgate"
        return data_key.wrapped

    first = wrapped()
    host.credentials.prepare()
    assert wrapped() == first  # nothing to do
    bao.admin.secrets.transit.rotate_key("headgate")
    host.credentials.prepare()
    version = bao.admin.secrets.transit.read_key("headgate")["data"]["latest_version"]
    assert wrapped().startswith(f"vault:v{version}:".encode())
    assert not first.startswith(f"vault:v{version}:".encode())
    fresh = Host(store, tmp_path / "two", transit_key(bao, tmp_path / "two/secrets"))
    fresh.credentials.write()
    assert fresh.has() == {"stored+openai+api_key": FIRST}
    assert not (folder / "identity").exists()


def test_a_data_key_moves_from_the_local_key_to_vault(bao: Bao, host: Host, store: Store, tmp_path: Path) -> None:
    host.put(FIRST)
    moved = Host(store, tmp_path / "one", transit_key(bao, tmp_path / "one/secrets"))
    moved.credentials.prepare()
    with store.read() as reader:
        assert [key.wrapped_by for key in list_data_keys(reader)] == ["vault:transit/headgate"]
    moved.credentials.write()
    assert moved.has() == {"stored+openai+api_key": FIRST}


def test_what_vault_wrapped_for_another_row_or_is_changed_is_refused(bao: Bao, store: Store, tmp_path: Path) -> None:
    one = Host(store, tmp_path / "one", transit_key(bao, tmp_path / "one/secrets"))
    one.credentials.prepare()
    one.put(FIRST)
    with store.read() as reader:
        (data_key,) = list_data_keys(reader)
    foreign = transit_key(bao, tmp_path / "one/secrets").wrap("dk_other", bytes(32))
    changed = data_key.wrapped[:-5] + b"AAAA="
    for wrapped in (foreign, changed):
        with store.write_aside() as writer:
            writer.run(update(DataKeyRow).values(wrapped=wrapped))
        fresh = Host(store, tmp_path / "two", transit_key(bao, tmp_path / "two/secrets"))
        fresh.credentials.write()
        assert fresh.has() == {}
        assert "data key" in str(fresh.credentials.problems)


def test_while_vault_is_away_what_is_open_goes_on(store: Store, tmp_path: Path) -> None:
    with bao_server(tmp_path) as bao:
        bao.admin.sys.enable_secrets_engine("transit")
        folder = tmp_path / "one"
        key = transit_key(bao, folder / "secrets")
        files.token_file(folder / "secrets").write_text(str(bao.admin.token))
        host = Host(store, folder, key)
        host.credentials.prepare()
        host.put(FIRST)
        host.credentials.write()
        bao.kill()
        host.put(SECOND)  # the data key is open
        host.credentials.write()
        assert host.has() == {"stored+openai+api_key": SECOND}
        with pytest.raises(WrappingAway):
            host.credentials.prepare()
        fresh = Host(store, folder, key)  # after a restart: what it had stays, and it takes nothing new
        fresh.credentials.write()
        assert fresh.has() == {"stored+openai+api_key": SECOND}
        assert "cannot be reached" in str(fresh.credentials.problems)
        with pytest.raises(KeyAway):
            fresh.put("sk-third")
        (folder / "secrets/stored+openai+api_key").unlink()  # after a boot
        fresh.credentials.write()
        assert fresh.has() == {}


def test_a_key_that_we_may_not_use_is_said(bao: Bao, store: Store, tmp_path: Path) -> None:
    host = Host(store, tmp_path / "one", transit_key(bao, tmp_path / "one/secrets", "other"))
    with pytest.raises(WrappingAway, match="transit key transit/other: permission denied"):
        host.credentials.prepare()
    files.token_file(tmp_path / "one/secrets").unlink()
    with pytest.raises(WrappingAway, match="not signed in"):
        host.credentials.prepare()

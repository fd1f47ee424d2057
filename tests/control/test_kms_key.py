"""Data keys wrapped by AWS KMS: a real botocore asks a KMS of the tests' own, which checks its signatures."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from kms_server import ACCESS_KEY, REGION, SECRET_KEY, Kms
from rows import ADMIN
from sqlalchemy import update

from control.credential_seal import Broken, WrappingAway
from control.credentials import Credentials, open_credentials
from control.kms_key import KmsKey
from control.store.credentials import list_data_keys
from control.store.failures import KeyAway
from control.store.store import Store
from control.store.tables import DataKeyRow
from control.transit_key import TransitKey
from control.wrapping import LocalKeys, Wrapping
from headgate.config.model import Gateway, Services
from headgate.config.vault import Secrets
from headgate.contract import SEALING
from headgate.sealing import KmsSettings, Sealing
from headgate.supervise.vault import begin
from headgate.vault import files
from headgate.vault.server import Server, TransitSettings
from headgate.vault.transit import Transit
from tests.vault.bao_server import bao_server

ARN = f"arn:aws:kms:{REGION}:123456789012:key/1234abcd-12ab"
FIRST, SECOND = "sk-hunter2-first", "sk-hunter2-second"


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def kms() -> Iterator[Kms]:
    made = Kms()
    made.add("headgate")
    yield made
    made.kill()


def kms_key(kms: Kms, key: str = "alias/headgate") -> KmsKey:
    return KmsKey(KmsSettings(key, REGION, kms.url))


class Host:
    def __init__(self, store: Store, folder: Path, *wrappings: Wrapping) -> None:
        self.secrets = folder / "secrets"
        self.secrets.mkdir(parents=True, exist_ok=True)
        self.store = store
        local = LocalKeys(folder / "identity/local-key")
        self.credentials = Credentials(store, [*wrappings, local], self.secrets)

    def put(self, secret: str) -> None:
        with self.store.write(ADMIN) as unit:
            self.credentials.put(unit, "openai", "api_key", secret, ADMIN.id)

    def has(self) -> str | None:
        self.credentials.write()
        path = self.secrets / "stored+openai+api_key"
        return path.read_text() if path.exists() else None


def wrapped(store: Store) -> tuple[str, bytes]:
    with store.read() as reader:
        (data_key,) = list_data_keys(reader)
    return data_key.wrapped_by, data_key.wrapped


def test_kms_wraps_data_keys_for_every_host_and_its_rotation_changes_nothing(
    kms: Kms, store: Store, tmp_path: Path
) -> None:
    one = Host(store, tmp_path / "one", kms_key(kms))
    one.credentials.prepare()
    one.put(FIRST)
    before = wrapped(store)
    assert before[0] == f"kms:{kms.aliases['alias/headgate']}"
    kms.rotate(kms.aliases["alias/headgate"])
    one.credentials.prepare()
    assert wrapped(store) == before
    assert Host(store, tmp_path / "two", kms_key(kms)).has() == FIRST
    assert not (tmp_path / "one/identity").exists()
    contexts = [asked["EncryptionContext"] for action, asked in kms.asked if action != "DescribeKey"]
    with store.read() as reader:
        (data_key,) = list_data_keys(reader)
    assert contexts == [{"purpose": "headgate data key 1", "data_key": data_key.id}] * 2


def test_a_data_key_moves_from_the_local_key_to_kms_and_to_another_key(
    kms: Kms, store: Store, tmp_path: Path
) -> None:
    local = Host(store, tmp_path)
    local.credentials.prepare()
    local.put(FIRST)
    other = kms.add("other")
    for key, arn in (("alias/headgate", kms.aliases["alias/headgate"]), (other, other)):
        moved = Host(store, tmp_path, kms_key(kms, key))
        moved.credentials.prepare()
        assert wrapped(store)[0] == f"kms:{arn}"
        assert Host(store, tmp_path / arn[-4:], kms_key(kms, key)).has() == FIRST


def test_a_data_key_moves_from_one_key_of_vaults_to_another_and_to_kms(
    kms: Kms, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "secrets").mkdir()
    with bao_server(tmp_path) as bao:
        bao.admin.sys.enable_secrets_engine("transit")
        files.token_file(tmp_path / "secrets").write_text(str(bao.admin.token))

        def transit(*key: str) -> TransitKey:
            return TransitKey(Transit(TransitSettings(Server(bao.url), *key), tmp_path / "secrets"))

        steps: list[tuple[list[Wrapping], str]] = [
            ([transit("transit", "headgate")], "vault:transit/headgate"),
            ([transit("transit", "other")], "vault:transit/other"),
            ([kms_key(kms), transit()], f"kms:{kms.aliases['alias/headgate']}"),
        ]
        for wrappings, name in steps:
            host = Host(store, tmp_path, *wrappings)
            host.credentials.prepare()
            assert wrapped(store)[0] == name
            if name == "vault:transit/headgate":
                host.put(FIRST)
    assert Host(store, tmp_path / "two", kms_key(kms)).has() == FIRST


def test_while_kms_is_away_what_is_open_goes_on(kms: Kms, store: Store, tmp_path: Path) -> None:
    host = Host(store, tmp_path, kms_key(kms))
    host.credentials.prepare()
    host.put(FIRST)
    kms.kill()
    host.put(SECOND)
    assert host.has() == SECOND
    with pytest.raises(WrappingAway, match="KMS cannot be reached"):
        host.credentials.prepare()
    fresh = Host(store, tmp_path / "two", kms_key(kms))
    assert fresh.has() is None
    assert "KMS cannot be reached" in str(fresh.credentials.problems)
    with pytest.raises(KeyAway):
        fresh.put("sk-third")
    kms.start()
    host.credentials.prepare()
    assert fresh.has() == SECOND
    assert fresh.credentials.problems == ()


def test_what_kms_denies_is_said_and_nothing_of_what_it_says(kms: Kms, store: Store, tmp_path: Path) -> None:
    arn = kms.aliases["alias/headgate"]
    host = Host(store, tmp_path, kms_key(kms))
    kms.denied = {("Encrypt", arn)}
    with pytest.raises(WrappingAway, match=f"KMS key {arn}: permission denied$"):
        host.credentials.prepare()
    kms.denied = {("Decrypt", arn)}
    host.credentials.prepare()
    host.put(FIRST)
    fresh = Host(store, tmp_path / "two", kms_key(kms))
    assert fresh.has() is None
    assert "permission denied" in str(fresh.credentials.problems)
    assert "hunter2" not in str(fresh.credentials.problems).lower()
    kms.denied = set()
    assert fresh.has() == FIRST
    kms.states[arn] = "PendingDeletion"
    with pytest.raises(WrappingAway, match="it is disabled, or is to be deleted"):
        host.credentials.prepare()
    with pytest.raises(WrappingAway, match="KMS key alias/nowhere: there is none"):
        assert kms_key(kms, "alias/nowhere").name


def test_what_was_wrapped_for_another_row_or_is_changed_is_refused(kms: Kms, store: Store, tmp_path: Path) -> None:
    host = Host(store, tmp_path, kms_key(kms))
    host.credentials.prepare()
    host.put(FIRST)
    key = kms_key(kms)
    _, good = wrapped(store)
    other = kms_key(kms, kms.add("other")).wrap("dk_x", bytes(32))
    for bad in (key.wrap("dk_other", bytes(32)), good[:-1] + bytes([good[-1] ^ 1]), other):
        with store.write_aside() as writer:
            writer.run(update(DataKeyRow).values(wrapped=bad))
        fresh = Host(store, tmp_path / "two", kms_key(kms))
        assert fresh.has() is None
        assert "does not open: it was changed or moved" in str(fresh.credentials.problems)
    with pytest.raises(Broken):
        key.unwrap("dk_other", key.wrap("dk_one", bytes(32)), key.name)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("AWS_SECRET_ACCESS_KEY", "another-hunter2", "the AWS credentials are not valid"),
        ("AWS_ACCESS_KEY_ID", "AKIDOTHER", "the AWS credentials are not valid"),
        ("AWS_ACCESS_KEY_ID", None, "no AWS credentials are found"),
        ("AWS_SECRET_ACCESS_KEY", None, "the AWS credentials are not whole"),
        ("AWS_PROFILE", "hunter2", "or AWS's own settings cannot be used"),
    ],
)
def test_credentials_that_do_not_do(
    kms: Kms, monkeypatch: pytest.MonkeyPatch, name: str, value: str | None, said: str
) -> None:
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    key = kms_key(kms)
    with pytest.raises(WrappingAway, match=said) as error:
        key.wrap("dk_1", bytes(32))
    assert "hunter2" not in str(error.value).lower()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    again = key if "valid" not in said else kms_key(kms)
    assert again.unwrap("dk_1", again.wrap("dk_1", bytes(32)), again.name) == bytes(32)


def test_control_opens_what_the_supervisor_names(
    kms: Kms, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    SEALING.write_bytes(msgspec.json.encode(Sealing(KmsSettings("alias/headgate", REGION, kms.url))))
    open_credentials(store).prepare()
    assert wrapped(store)[0].startswith("kms:arn:aws:kms:")


@pytest.mark.parametrize(
    ("secrets", "wanted"),
    [
        (None, None),
        (Secrets.model_validate({"kms": {"key": ARN}}), Sealing(KmsSettings(ARN, REGION))),
        (
            Secrets.model_validate({"kms": {"key": "k", "region": REGION, "endpoint": "https://kms.internal"}}),
            Sealing(KmsSettings("k", REGION, "https://kms.internal:443")),
        ),
        (
            Secrets.model_validate({"vault": "http://127.0.0.1:1", "auth": "token", "kms": {"key": ARN}}),
            Sealing(KmsSettings(ARN, REGION), TransitSettings(Server("http://127.0.0.1:1"))),
        ),
    ],
)
async def test_the_supervisor_says_what_wraps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secrets: Secrets | None, wanted: Sealing | None
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("headgate.vault.following.Following.first", lambda *_: {})
    (tmp_path / "secrets").mkdir()
    services = Services(secrets=secrets)
    gateway = Gateway(providers={}, models={}, tenants={}, services=services)
    following = await begin(gateway, tmp_path)
    assert (following is not None) == (secrets is not None and secrets.vault is not None)
    text = SEALING.read_bytes()
    assert (msgspec.json.decode(text, type=Sealing) if text else None) == wanted


def test_who_uses_no_kms_does_not_load_botocore() -> None:
    code = "import sys, control.service, headgate.supervise.vault; assert 'botocore' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

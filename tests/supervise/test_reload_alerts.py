"""The secret that alerts are signed with, under a running gateway: where the ledger finds it, and nowhere else."""

import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from edits import Edited, edited
from gateway_process import until

SECRETS = ("whsec-one", "whsec-two", "whsec-three")


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Edited]:
    async with edited(tmp_path) as found:
        yield found


def secret_file(gateway: Edited) -> Path:
    """What the tables name."""
    return gateway.gateway.state / gateway.file_of("snapshot.json")["alerts"]["secret"]


def alert_files(gateway: Edited) -> list[str]:
    return sorted(path.name for path in (gateway.gateway.state / "secrets").glob("alerts*"))


def environments(gateway: Edited) -> bytes:
    """Of all parts."""
    return b"".join(Path(f"/proc/{pid}/environ").read_bytes() for pid in gateway.gateway.pids().values())


async def test_the_secret_is_in_one_file_which_follows_every_edit(gateway: Edited) -> None:
    one, two, three = SECRETS
    source = gateway.folder / "webhook-secret"
    source.write_text(f"{two}\n")
    webhook = "http://127.0.0.1:9/hook"
    gateway.document["alerts"] = {"webhook": webhook, "secret": "env:HEADGATE_TEST_WEBHOOK"}
    await gateway.start(HEADGATE_TEST_WEBHOOK=one)
    first = secret_file(gateway)
    assert first.read_text() == one
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    assert gateway.file_of("snapshot.json")["alerts"]["webhook"] == webhook

    gateway.document["alerts"]["secret"] = "file:webhook-secret"
    await gateway.saved()
    assert secret_file(gateway).read_text() == two
    await until(lambda: alert_files(gateway) == [secret_file(gateway).name], 60)
    source.write_text(three)
    await until(lambda: secret_file(gateway).read_text() == three, 60)

    assert one.encode() not in environments(gateway)
    assert not [secret for secret in SECRETS if secret in gateway.gateway.log()]
    found = [path for path in gateway.gateway.state.rglob("*") if path.is_file() and "secrets" not in path.parts]
    assert not [path for path in found for secret in SECRETS if secret.encode() in path.read_bytes()]

    del gateway.document["alerts"]
    await gateway.saved()
    assert gateway.file_of("snapshot.json")["alerts"] is None
    await until(lambda: alert_files(gateway) == [], 60)


async def test_a_secret_that_is_not_there_changes_nothing(gateway: Edited) -> None:
    await gateway.start()
    gateway.document["alerts"] = {"webhook": "http://127.0.0.1:9", "secret": "env:HEADGATE_TEST_NONE"}
    gateway.save()
    assert "alerts.secret: environment variable HEADGATE_TEST_NONE is not set" in await gateway.fails()
    assert alert_files(gateway) == []
    assert gateway.file_of("snapshot.json")["alerts"] is None

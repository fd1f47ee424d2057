"""The secrets of `auth` under a running gateway: made once, handed over in files, read again, in nothing else."""

import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from edits import Edited, edited
from gateway_process import until

ONE, TWO, THREE = (letter * 40 for letter in "xyz")


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Edited]:
    async with edited(tmp_path) as found:
        yield found


def state(gateway: Edited) -> Path:
    return gateway.gateway.state


def pepper_file(gateway: Edited) -> Path:
    """What the tables name."""
    return state(gateway) / gateway.file_of("snapshot.json")["auth"]["pepper"]


def auth_files(gateway: Edited) -> set[str]:
    return {path.name for path in (state(gateway) / "secrets").glob("auth+*")}


def environments(gateway: Edited) -> bytes:
    """Of all parts."""
    return b"".join(Path(f"/proc/{pid}/environ").read_bytes() for pid in gateway.gateway.pids().values())


async def test_the_secrets_follow_every_edit(gateway: Edited) -> None:
    source = gateway.folder / "pepper"
    source.write_text(f"{TWO}\n")
    gateway.document["auth"] = {"pepper": "env:HEADGATE_TEST_PEPPER", "service_key": "file:pepper"}
    await gateway.start(HEADGATE_TEST_PEPPER=ONE)
    own = {path.name: path.read_text() for path in (state(gateway) / "identity").iterdir()}
    assert set(own) >= {"pepper", "service-key"}
    first = pepper_file(gateway)
    assert first.read_text() == ONE
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    assert len(auth_files(gateway)) == 2
    assert ONE.encode() not in environments(gateway)

    gateway.document["auth"] = {"pepper": "file:pepper", "previous_peppers": ["env:HEADGATE_TEST_PEPPER"]}
    await gateway.saved()
    assert pepper_file(gateway).read_text() == TWO
    source.write_text(THREE)
    await until(lambda: pepper_file(gateway).read_text() == THREE, 60)

    found = [path for path in state(gateway).rglob("*") if path.is_file() and "secrets" not in path.parts]
    assert not [path for path in found for secret in (ONE, TWO, THREE) if secret.encode() in path.read_bytes()]
    assert not [secret for secret in (ONE, TWO, THREE) if secret in gateway.gateway.log()]

    del gateway.document["auth"]
    await gateway.saved()
    assert pepper_file(gateway) == state(gateway) / "identity/pepper"
    await until(lambda: auth_files(gateway) == set(), 60)
    assert {name: (state(gateway) / "identity" / name).read_text() for name in own} == own


async def test_a_pepper_that_is_not_there_changes_nothing(gateway: Edited) -> None:
    await gateway.start()
    gateway.document["auth"] = {"pepper": "file:none"}
    gateway.save()
    assert 'auth.pepper: file "none" cannot be read' in await gateway.fails()
    assert auth_files(gateway) == set()

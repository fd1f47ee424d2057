"""The state directory, the secrets folder, records of parts, generations, files."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate import contract, quickstart
from headgate.config.engine_places import Place
from headgate.config.engines import Engine
from headgate.supervise import Refusal, files, parts_file, state
from headgate.supervise.engine_places import EnginePlaces
from headgate.supervise.generation import generation_of, store
from headgate.supervise.parts_file import PartRecord


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    umask = os.umask(0o022)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    os.umask(umask)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_the_state_directory_is_private_and_belongs_to_one_supervisor(folder: Path) -> None:
    place = folder / "deep" / "state"
    lock = state.enter(place)
    assert _mode(place) == 0o700
    assert {_mode(path) for path in place.iterdir() if path.is_dir()} == {0o700}
    script = f"from pathlib import Path; from headgate.supervise import state; state.enter(Path({str(place)!r}))"
    second = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert f"another headgate up (pid {os.getpid()}) already runs on {place}" in second.stderr
    os.close(lock)
    os.close(state.enter(place))


def test_a_state_directory_that_cannot_be_is_refused(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(Refusal, match="--state"):
        state.enter(folder / "file")


def test_secrets_lie_in_memory_for_us_alone_until_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    place = state.link_secrets()
    try:
        assert place.is_relative_to("/dev/shm")  # noqa: S108
        assert contract.SECRETS.readlink() == place
        assert _mode(place) == 0o700
        assert state.link_secrets() == place
        files.write_json(contract.SECRETS / "openai.json", {"a": "secret"})
        assert _mode(place / "openai.json") == 0o600
    finally:
        state.remove_secrets()
    assert not place.exists()
    assert not contract.SECRETS.is_symlink()


def test_a_secrets_folder_that_others_can_read_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    open_to_all = state.link_secrets()
    open_to_all.chmod(0o755)
    try:
        assert state.link_secrets() == state.SECRETS_ON_DISK.absolute()
        assert _mode(state.SECRETS_ON_DISK) == 0o700
        state.remove_secrets()
        assert not state.SECRETS_ON_DISK.exists()
    finally:
        open_to_all.rmdir()


def test_a_runtime_directory_on_a_disk_is_not_taken_for_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    place = state.link_secrets()
    state.remove_secrets()
    assert not place.is_relative_to(folder)


def test_files_are_replaced_whole_and_only_when_they_change(folder: Path) -> None:
    path = folder / "cds.json"
    assert files.write_json(path, {"b": 1, "a": 2})
    first = path.stat()
    assert not files.write_json(path, {"a": 2, "b": 1})
    assert path.stat().st_ino == first.st_ino
    assert files.write_json(path, {"a": 3})
    assert path.stat().st_ino != first.st_ino
    assert [entry.name for entry in folder.iterdir()] == ["cds.json"]


def test_the_last_lines_of_a_log(folder: Path) -> None:
    log = folder / "part.log"
    assert files.last_lines(log, 2) == []
    log.write_text("x" * 20_000 + "\none\n\ntwo\nthree\n")
    assert files.last_lines(log, 2) == ["two", "three"]


def test_records_come_back_until_the_machine_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    records = {
        "envoy": PartRecord(7, 70, "digest", spool="spool/a.ndjson", addresses=("127.0.0.1:8080",)),
        "simulator": PartRecord(8, 80, "digest", port=8000),
    }
    parts_file.save(records, {"envoy": 2})
    assert _mode(contract.PARTS) == 0o600
    assert (parts_file.load(), parts_file.restarts()) == (records, {"envoy": 2})
    monkeypatch.setattr(parts_file, "boot_id", lambda: "another boot")
    assert (parts_file.load(), parts_file.restarts()) == ({}, {})


@pytest.mark.parametrize("content", ["", "{", '{"boot_id": "x"}', '{"boot_id": 1, "parts": {}}'])
def test_a_broken_record_is_no_record(content: str) -> None:
    contract.PARTS.write_text(content)
    assert parts_file.load() == {}


@pytest.mark.usefixtures("folder")
def test_generations_count_what_the_file_says() -> None:
    assert [generation_of(b"one").number, generation_of(b"two").number] == [1, 1]  # neither has been accepted yet
    store(generation_of(b"one"))
    assert generation_of(b"one").number == 1
    store(generation_of(b"two"))
    assert [generation_of(b"two").number, generation_of(b"one").number] == [2, 3]
    Path("generation.json").write_text("{")
    assert generation_of(b"one").number == 1


def test_the_demo_key_is_made_once_and_kept_to_ourselves() -> None:
    key = quickstart.demo_key()
    assert len(key) == 46
    assert quickstart.demo_key() == key
    assert _mode(contract.DEMO_KEY) == 0o600
    contract.DEMO_KEY.write_text("not a key")
    with pytest.raises(Refusal, match="holds no key"):
        quickstart.demo_key()


def test_the_quickstart_never_holds_the_key_itself(folder: Path) -> None:
    key = quickstart.demo_key()
    assert key not in quickstart.write(key, 8000).read_text()


def test_replicas_keep_gpus_that_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    engines = {"llama": Engine.model_validate({"kind": "vllm", "model": "m", "replicas": 2})}
    Path("engines.json").write_text('{"llama": [{"port": 20001, "gpus": [1]}, {"port": 20002, "gpus": [7]}]}')
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    places = EnginePlaces((20_001, 20_002)).of(engines)["llama"]
    assert places == (Place(20_001, (1,)), Place(20_002, (0,)))

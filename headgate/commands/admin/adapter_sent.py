"""What `headgate adapters push` sends: two files of a folder, and numbers that say how good they are."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click

from headgate.admin_client.failures import NotAsked
from headgate.commands.admin.given import pairs_of

_WEIGHTS = ("adapter_model.safetensors", "adapter.safetensors")
_CHUNK_BYTES = 2**20


def config_of(folder: Path) -> bytes:
    """adapter_config.json on one line, which ends. Raises NotAsked."""
    try:
        said = json.loads((folder / "adapter_config.json").read_bytes())
    except FileNotFoundError:
        raise NotAsked(f"{folder}: there is no adapter_config.json") from None
    except (OSError, ValueError) as error:
        raise NotAsked(f"{folder}/adapter_config.json: {error}") from None
    return json.dumps(said).encode() + b"\n"


def weights_of(folder: Path) -> Path:
    """The file of weights. Raises NotAsked."""
    found = [folder / name for name in _WEIGHTS if (folder / name).is_file()]
    if len(found) != 1:
        raise NotAsked(f"{folder}: expected one of {' and '.join(_WEIGHTS)}")
    return found[0]


def chunks_of(config: bytes, weights: Path, done: Callable[[int], None]) -> Iterator[bytes]:
    """What is sent; `done` hears how much of it."""
    yield config
    sent = len(config)
    with weights.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
            sent += len(chunk)
            done(sent)


def metrics_of(file: Path | None, pairs: Sequence[str]) -> str | None:
    """The numbers of a file and those that were given, which count, as the API takes them.

    Raises NotAsked and UsageError.
    """
    found = dict(_read(file)) if file else {}
    for name, value in pairs_of(pairs, "NAME=NUMBER").items():
        try:
            found[name] = float(value)
        except ValueError:
            raise click.UsageError(f"--metric {name}: expected a number, found {value!r}") from None
    return ",".join(f"{name}:{value!r}" for name, value in found.items()) or None


def _read(file: Path) -> dict[str, float]:
    try:
        said = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise NotAsked(f"{file}: {error}") from None
    if not isinstance(said, dict) or not all(type(value) in (int, float) for value in said.values()):
        raise NotAsked(f"{file}: expected a JSON object of numbers by their names")
    return said

"""`engines.json`: the ports and GPUs of managed replicas, kept over restarts, reloads and edits.

So an engine's cluster stays the same, and a replica that outlived its supervisor is found where requests go.
"""

import os
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec
import structlog

from headgate.config.engine_places import Place, given_places
from headgate.config.engines import Engine
from headgate.config.gpus_here import gpus_here
from headgate.supervise import files, ports
from headgate.supervise.refusal import Refusal

log = structlog.get_logger()

FILE = Path("engines.json")


class EnginePlaces:
    """Of the working directory, the state directory. `held` are ports that replicas of ours listen on already."""

    def __init__(self, held: Collection[int]) -> None:
        self._held = set(held)
        self._known = _load()

    def of(self, engines: Mapping[str, Engine]) -> dict[str, tuple[Place, ...]]:
        """A place for each replica of the managed ones, from now on. Raises Refusal."""
        try:
            given = given_places(engines, _here(self._known), self._usable, home=str(Path.cwd()))
        except ValueError as error:
            raise Refusal(str(error)) from error
        self._held.update(place.port for places in given.values() for place in places)
        # What an engine has no replica for any more, it gets again when it has: its port, and GPUs that no other has.
        taken = {gpu for places in given.values() for place in places for gpu in place.gpus}
        given_and_left: dict[str, tuple[Place, ...]] = {}
        for name, known in self._known.items():
            left = known[len(given.get(name, ())) :]
            free = (place if taken.isdisjoint(place.gpus) else Place(place.port) for place in left)
            given_and_left[name] = (*given.get(name, ()), *free)
        self._known = {**given, **given_and_left}
        if self._known:
            files.write_atomic(FILE, msgspec.json.format(msgspec.json.encode(self._known), indent=1))
        return given

    def _usable(self, port: int) -> bool:
        return port in self._held or ports.is_free_port(port)


def _here(known: Mapping[str, tuple[Place, ...]]) -> dict[str, tuple[Place, ...]]:
    """Without GPUs that the machine has no more: other numbers may be there."""
    count = gpus_here(os.environ).count
    if count is None:
        return dict(known)
    return {
        name: tuple(place if all(gpu < count for gpu in place.gpus) else Place(place.port) for place in places)
        for name, places in known.items()
    }


def _load() -> dict[str, tuple[Place, ...]]:
    try:
        return msgspec.json.decode(FILE.read_bytes(), type=dict[str, tuple[Place, ...]])
    except FileNotFoundError:
        return {}
    except msgspec.DecodeError as error:
        log.warning("engines.json can't be read: replicas get other ports", error=str(error))
        return {}

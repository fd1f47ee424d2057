"""All managed engines of a gateway: each is kept by itself (`replicas`), as the configuration that was accepted says.

Nothing here waits for an engine: a gateway answers, and reloads, while engines start or drain.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

from headgate import contract
from headgate.config.engine_places import Place
from headgate.config.engines import Engine, served_name
from headgate.config.model import Gateway
from headgate.engine_standing import ReplicaStanding
from headgate.engine_start import EngineStart
from headgate.supervise import parts, probes
from headgate.supervise.adopt import Living
from headgate.supervise.control_socket import Unreadable
from headgate.supervise.engine_places import EnginePlaces
from headgate.supervise.engines_shown import EngineShown, engine_shown
from headgate.supervise.envoy_admin import EnvoyAdmin
from headgate.supervise.gpus_held import GpusHeld
from headgate.supervise.part import Part
from headgate.supervise.parts_file import PartRecord
from headgate.supervise.replicas import Replicas, Wanted, end_found
from headgate.supervise.rolling import RestartError, Step


class Engines:
    """`base` is the folder of gateway.yaml; the rest is as in `Replicas`, by the parts' names."""

    def __init__(
        self,
        places: EnginePlaces,
        env: Mapping[str, str],
        base: Path,
        envoys: Callable[[], Sequence[EnvoyAdmin]],
        changed: Callable[[], None],
        found: Mapping[str, Living],
        restarts: Mapping[str, int],
    ) -> None:
        self._places, self._env, self._base = places, env, base
        self._envoys, self._changed = envoys, changed
        self._found: dict[str, dict[int, Living]] = defaultdict(dict)
        for name, living in found.items():
            engine, _, index = name.removeprefix(parts.REPLICAS).rpartition("-")
            self._found[engine][int(index)] = living
        self._restarts = {name: count for name, count in restarts.items() if name.startswith(parts.REPLICAS)}
        self._gpus = GpusHeld()
        for name, living in found.items():
            self._gpus.take(name, living.record.gpus)
        self._kept: dict[str, Replicas] = {}

    @property
    def parts(self) -> list[Part]:
        """Of all engines."""
        return [part for replicas in self._kept.values() for part in replicas.parts]

    def records(self) -> dict[str, PartRecord]:
        """Of all engines, those that nobody has taken over yet too."""
        found = {
            one.name: one.record for some in self._found.values() for one in some.values() if one.process.running
        }
        for replicas in self._kept.values():
            found |= replicas.records()
        return found

    def restarts(self) -> dict[str, int]:
        """How often each replica was, with those that nobody has taken over yet."""
        return self._restarts | {part.name: part.restarts for part in self.parts}

    def want(self, gateway: Gateway) -> None:
        """Run what an accepted configuration says, and nothing else. Needs a running loop."""
        places = self._places.of(gateway.engines)
        wanted = {name: _wanted(name, gateway.engines[name], places[name], self._base) for name in places}
        for name in {**self._kept, **self._found, **wanted}:
            if name not in self._kept:
                found = self._found.pop(name, {})
                self._kept[name] = Replicas(
                    name, self._env, self._gpus, self._envoys, self._changed, found, self._restarts
                )
            self._kept[name].want(wanted.get(name))

    async def close(self) -> None:
        """Change nothing any more; the parts are the caller's to stop. Ends what nobody has taken over."""
        left = [living for found in self._found.values() for living in found.values()]
        await asyncio.gather(*map(end_found, left), *(replicas.close() for replicas in self._kept.values()))

    async def renew(self, name: str) -> AsyncIterator[Step]:
        """Replace the replicas of one engine. Raises RestartError, also for an engine that is not ours to restart."""
        if name not in self._kept or not self._kept[name].parts:
            raise RestartError(f"no engine {name} is run by this gateway")
        async for step in self._kept[name].renew():
            yield step

    async def shown(self, gateway: Gateway) -> list[EngineShown]:
        """How all engines of the configuration are, as far as this process knows."""
        said: dict[str, list[ReplicaStanding]] = defaultdict(list)
        with contextlib.suppress(OSError, Unreadable, TimeoutError):  # the part that looks at them starts, or is gone
            async with asyncio.timeout(probes.TIMEOUT_S):
                for replica in (await probes.engines_standing(contract.ENGINES_SOCKET)).replicas:
                    said[replica.engine].append(replica)
        shown = (engine_shown(name, one, self._drains(name), said[name]) for name, one in gateway.engines.items())
        return list(await asyncio.gather(*shown))

    def _drains(self, name: str) -> list[tuple[Part, bool]]:
        kept = self._kept.get(name)  # there is none yet while the gateway starts
        return [(part, kept.is_draining(part)) for part in kept.parts] if kept else []


def _wanted(name: str, engine: Engine, places: Sequence[Place], base: Path) -> Wanted:
    said = engine.paths_from(base)
    starts = tuple(
        EngineStart(
            kind=said.kind,
            port=place.port,
            served_name=served_name(name, said),
            max_running=said.max_running,
            max_loras=said.max_loras,
            max_lora_rank=said.max_lora_rank,
            gpus=place.gpus,
            model=str(said.model) if said.model else None,
            python=str(said.python) if said.python else None,
            args=said.args,
            env=said.env,
        )
        for place in places
    )
    return Wanted(starts, said.start_timeout_s, said.drain_timeout_s)

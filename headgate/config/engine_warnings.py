"""What is odd about engines and may be meant: GPUs that are not on this machine, or that a simulator has no use for;
one name for two models; one replica in two engines.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headgate.config.engine_places import given_places
from headgate.config.engines import served_name
from headgate.config.gpus_here import GpusHere
from headgate.config.model import Gateway
from headgate.config.shape import Finding, value_at
from headgate.config.wording import KeyPath, quoted


def odd_engines(gateway: Gateway, root: dict[str, Any], gpus: GpusHere) -> Iterator[Finding]:
    """Of a file without problems, whose tree is `root`."""
    yield from _missing_gpus(gateway, root, gpus)
    for name, engine in gateway.engines.items():
        if engine.managed and engine.kind == "simulator" and "gpus" in engine.model_fields_set:
            yield Finding(("engines", name, "gpus"), "has no effect: a simulator uses none")
    yield from _alike(gateway, root)
    yield from _twice(gateway)


def _missing_gpus(gateway: Gateway, root: dict[str, Any], here: GpusHere) -> Iterator[Finding]:
    total = sum(engine.devices * engine.replicas for engine in gateway.engines.values())
    if here.count is None or total <= here.count:
        return
    for name, places in given_places(gateway.engines).items():
        if any(gpu >= here.count for place in places for gpu in place.gpus):
            engine = gateway.engines[name]
            count = engine.devices * engine.replicas
            others = f", all engines together {total}" if total > count else ""
            cpu = "; gpus: 0 is for an engine on the CPU" if here.count == 0 else ""
            text = f"needs {count} ({engine.devices} for each replica){others}, and {here.words}{cpu}"
            yield _at(root, ("engines", name), "gpus", text)


def _alike(gateway: Gateway, root: dict[str, Any]) -> Iterator[Finding]:
    """Two managed engines that call different models the same. On purpose it is done with copies of one model."""
    first: dict[str, tuple[str, Path | None]] = {}
    for name, engine in gateway.engines.items():
        served = served_name(name, engine)
        if engine.model is None:
            continue
        other, model = first.setdefault(served, (name, engine.model))
        if model != engine.model:
            text = (
                f"{quoted(served)} is what engine {quoted(other)} calls {quoted(str(model))}: adapters of the one "
                "are taken to fit the other, so give each model a name of its own"
            )
            yield _at(root, ("engines", name), "served_name", text)


def _twice(gateway: Gateway) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for name, engine in gateway.engines.items():
        for index, url in enumerate(engine.endpoints):
            other = first.setdefault(str(url), name)
            if other != name:
                text = f"is a replica of engine {quoted(other)}, too: what it has room for is counted twice"
                yield Finding(("engines", name, "endpoints", index), text)


def _at(root: dict[str, Any], entry: KeyPath, key: str, text: str) -> Finding:
    """About a key that need not be written."""
    path = (*entry, key)
    return Finding(path, text, at=None if value_at(root, path) is not None else entry)

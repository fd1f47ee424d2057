"""Problems of engines: who runs them, keys that belong to the others, flags that are not theirs to give, their names.

Works on any tree: what has the wrong shape is passed over, `shape` reports it. What an engine has in common with
providers is judged where theirs is. No IO.
"""

from collections.abc import Iterator
from typing import Any

from headgate.config.chains import own_chains
from headgate.config.engine_flags import KEYS, OWN_FLAGS, OWN_VARIABLES
from headgate.config.shape import Finding, children_of, value_at
from headgate.config.wording import KeyPath, found, quoted

_OF_MANAGED = ("replicas", "gpus", "args", "env", "python", "start_timeout", "drain_timeout")
_OF_EXTERNAL = ("api_key", "health_check", "ca", "client_cert", "client_key", "adapters_dir", "adapters_path")


def unusable_engines(root: dict[str, Any]) -> Iterator[Finding]:
    """What would not be started as it is written, or not be reached."""
    for path, engine in children_of(root, ("engines",)):
        if value_at(root, ("providers", path[-1])) is not None:
            yield Finding(
                path, "a provider has this name: an engine is a provider itself, so give one of them another"
            )
        if isinstance(engine, dict):
            yield from _who_runs_it(path, engine)
            yield from _flags(path, engine)
            for key in ("max_lora_rank", "adapters_dir"):
                if key in engine and not engine.get("max_loras"):
                    yield Finding((*path, key), 'needs "max_loras": without, the engine takes no adapters')
            if "adapters_path" in engine and "adapters_dir" not in engine:
                yield Finding((*path, "adapters_path"), 'needs "adapters_dir", which it is the same folder as')
    own = own_chains(root)
    for path, _ in children_of(root, ("models",)):
        for chain in ((*path, "targets"), *own.get(path[-1], ())):
            for target, _ in children_of(root, chain):
                yield from _name(root, target)


def _who_runs_it(path: KeyPath, engine: dict[str, Any]) -> Iterator[Finding]:
    external = "endpoints" in engine
    if external and "model" in engine:
        yield Finding(
            path,
            'expected either "model", of an engine that headgate up runs, or "endpoints", of one that runs already, '
            "found both",
        )
        return
    if engine.get("kind") == "vllm" and not external and "model" not in engine:
        yield Finding(
            path,
            'expected either "model", of an engine that headgate up runs, or "endpoints", of one that runs already, '
            "found neither",
        )
        return
    for key in _OF_MANAGED if external else _OF_EXTERNAL:
        if key in engine:
            who = "that headgate up runs; this one has endpoints" if external else "that have endpoints"
            yield Finding((*path, key), f"is for engines {who}")
    if engine.get("kind") == "simulator" and "python" in engine and not external:
        yield Finding((*path, "python"), "is for kind: vllm; the simulator is a part of Headgate")


def _flags(path: KeyPath, engine: dict[str, Any]) -> Iterator[Finding]:
    own = OWN_FLAGS.get(str(engine.get("kind")), {})
    for at, _ in children_of(engine, ("args",)):
        flag = str(at[-1])
        name = flag if flag in own else flag.removeprefix("no-")
        if name in own:
            said = own[name]
            yield Finding((*path, *at), f'is what the key "{said}" says' if said in KEYS else f"is {said}")
    for at, _ in children_of(engine, ("env",)):
        if at[-1] in OWN_VARIABLES:
            yield Finding((*path, *at), "is set by the gateway")


def _name(root: dict[str, Any], target: KeyPath) -> Iterator[Finding]:
    """A target names the model that the engine serves."""
    provider, model = value_at(root, (*target, "provider")), value_at(root, (*target, "model"))
    engine = value_at(root, ("engines", provider)) if isinstance(provider, str) else None
    if not isinstance(engine, dict) or not isinstance(model, str):
        return
    served = engine.get("served_name", provider)
    if isinstance(served, str) and model != served:
        how = "its served_name" if "served_name" in engine else "its own name: it has no served_name"
        text = f"expected {quoted(served)}, what engine {quoted(str(provider))} serves ({how}), found {found(model)}"
        yield Finding((*target, "model"), text)

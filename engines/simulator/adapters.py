"""LoRA adapters of a simulator: vLLM's rules and texts, the files read for real, no weights used.

Names are kept until they are unloaded; of the files only `max_cpu_loras` stay in memory. As in vLLM, one that had to
go is read again when it is asked for, and if it is not there any more the engine dies.
"""

import hashlib
import json
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from engines.simulator.errors import AdapterError, DeadEngineError

CONFIG: Final = "adapter_config.json"
WEIGHTS: Final = "adapter_model.safetensors"
_REQUIRED: Final = ("r", "lora_alpha", "target_modules")
_FAILED: Final = (
    "Call to add_lora method failed: Worker failed with error '{}', please check the stack trace above for the "
    "root cause"
)


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter that answers: `weights` are the first 8 hex digits of the SHA-256 of its weights."""

    name: str
    path: str
    weights: str
    created: int = field(default_factory=lambda: int(time.time()))


class Adapters:
    """The adapters of one engine whose base model is called `base`."""

    def __init__(self, base: str, *, max_loras: int, max_cpu_loras: int, max_lora_rank: int) -> None:
        self._base = base
        self._max_rank = max_lora_rank
        self._most_resident = max(max_loras, max_cpu_loras)
        self._resident: OrderedDict[str, None] = OrderedDict()
        self.enabled = max_loras > 0
        self.loaded: dict[str, Adapter] = {}

    def load(self, name: str, path: str, *, in_place: bool) -> None:
        """Read an adapter's files and give it a name. Raises `AdapterError`, with vLLM's status and text."""
        if not name or not path:
            raise AdapterError(400, "InvalidUserInput", "Both 'lora_name' and 'lora_path' must be provided.")
        if name == self._base:
            message = f"The lora adapter '{name}' conflicts with a served base model."
            raise AdapterError(400, "InvalidUserInput", message)
        if name in self.loaded and not in_place:
            message = (
                f"The lora adapter '{name}' has already been loaded. If you want to load the adapter in place, "
                "set 'load_inplace' to True."
            )
            raise AdapterError(400, "InvalidUserInput", message)
        self.loaded[name] = self._read(name, path)
        self._keep(name)

    def unload(self, name: str) -> None:
        """Forget a name. Raises `AdapterError`."""
        if not name:
            message = "'lora_name' needs to be provided to unload a LoRA adapter."
            raise AdapterError(400, "InvalidUserInput", message)
        if self.loaded.pop(name, None) is None:
            raise AdapterError(404, "NotFoundError", f"The lora adapter '{name}' cannot be found.")
        self._resident.pop(name, None)

    def used(self, name: str) -> Adapter | None:
        """Return the adapter that a request names, None for another model. Raises `DeadEngineError`."""
        adapter = self.loaded.get(name)
        if adapter is None:
            return None
        if name not in self._resident:
            try:
                adapter = self.loaded[name] = self._read(name, adapter.path)
            except AdapterError as error:
                raise DeadEngineError(f"adapter {name} had to be read again: {error}") from error
        self._keep(name)
        return adapter

    def _keep(self, name: str) -> None:
        self._resident[name] = None
        self._resident.move_to_end(name)
        while len(self._resident) > self._most_resident:
            self._resident.popitem(last=False)

    def _read(self, name: str, path: str) -> Adapter:
        config = _config(name, path)
        if (rank := config["r"]) > self._max_rank:
            raise _failed(f"LoRA rank {rank} is greater than max_lora_rank {self._max_rank}.")
        try:
            raw = (Path(path) / WEIGHTS).read_bytes()
        except OSError:
            raise _failed(f"{path} doesn't contain tensors") from None
        _check_tensors(raw)
        return Adapter(name, path, hashlib.sha256(raw).hexdigest()[:8])


def _config(name: str, path: str) -> dict[str, Any]:
    try:
        config = json.loads((Path(path) / CONFIG).read_bytes())
    except OSError:
        message = f"Loading lora {name} failed: No adapter found for {path}"
        raise AdapterError(404, "NotFoundError", message) from None
    except ValueError as error:
        raise _failed(str(error)) from None
    if not isinstance(config, dict) or any(key not in config for key in _REQUIRED):
        missing = ", ".join(f"'{key}'" for key in _REQUIRED if key not in config)
        raise _failed(f"Missing required configuration fields: {{{missing}}}")
    return config


def _check_tensors(raw: bytes) -> None:
    """Raise `AdapterError` unless the header of a safetensors file is whole and describes the bytes after it."""
    length = int.from_bytes(raw[:8], "little")
    try:
        header = json.loads(raw[8 : 8 + length])
        end = max(tensor["data_offsets"][1] for key, tensor in header.items() if key != "__metadata__")
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        raise _failed("Error while deserializing header: invalid header") from None
    if len(raw) != 8 + length + end:
        raise _failed("Error while deserializing header: incomplete metadata, file not fully covered")


def _failed(cause: str) -> AdapterError:
    return AdapterError(500, "InternalServerError", _FAILED.format(cause))

"""The command line and the environment of one vLLM replica, as functions of what it is told. Pure.

What is set here can't be set in gateway.yaml's `args` and `env`: `headgate.config.engine_flags` has the list.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from engines.flags import flags_of
from headgate.engine_start import EngineStart

_SPLIT = ("tensor-parallel-size", "pipeline-parallel-size", "data-parallel-size")
_INSIDE = Path(__file__).with_name("inside")
# Of ours: what would have vLLM count into our metrics, or import our modules, and the way to our store of objects.
_OURS = ("AWS_", "HEADGATE_", "PROMETHEUS_", "PYTHON", "VIRTUAL_ENV")


def command(start: EngineStart) -> tuple[str, ...]:
    """Without the API key, which anybody could read here. Its servers listen on loopback alone."""
    # As a module: the `vllm` command looks for a distribution of that name, which the one for CPUs has not.
    return (
        *(start.python or default_python(), "-m", "vllm.entrypoints.openai.api_server"),
        *("--host=127.0.0.1", f"--port={start.port}"),
        *(f"--model={start.model}", f"--served-model-name={start.served_name}"),
        f"--max-num-seqs={start.max_running}",
        "--middleware=headgate_guard.Guard",
        *_adapters(start),
        *_devices(start),
        *flags_of(start.args),
    )


def environment(start: EngineStart, environ: Mapping[str, str], key: str) -> dict[str, str]:
    """Ours without what is about us, what the entry says, and what is never left to it."""
    inherited = {name: value for name, value in environ.items() if not name.startswith(_OURS)}
    own = {
        "HF_HUB_OFFLINE": "1",  # a model that is not there is an error, never a download
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_API_KEY": key,
        "PYTHONPATH": str(_INSIDE),
        "CUDA_VISIBLE_DEVICES": _visible(start.gpus, environ.get("CUDA_VISIBLE_DEVICES")),
    }
    adapters = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True"} if start.max_loras else {}
    return inherited | start.env | own | adapters


def default_python() -> str:
    """Where `make setup-vllm` puts it: beside the environment that runs this."""
    return str(Path(sys.prefix).parent / ".venv-vllm" / "bin" / "python")


def _visible(gpus: tuple[int, ...], ours: str | None) -> str:
    """The GPUs by their numbers, of those that are visible to us; none in the place of one that is not."""
    if not ours:
        return ",".join(map(str, gpus))
    known = [one.strip() for one in ours.split(",")]
    return ",".join(known[gpu] for gpu in gpus if gpu < len(known))


def _adapters(start: EngineStart) -> Iterator[str]:
    if start.max_loras:
        yield "--enable-lora"
        yield f"--max-loras={start.max_loras}"
        yield f"--max-lora-rank={start.max_lora_rank}"


def _devices(start: EngineStart) -> Iterator[str]:
    if len(start.gpus) > 1 and not any(flag in start.args for flag in _SPLIT):
        yield f"--tensor-parallel-size={len(start.gpus)}"

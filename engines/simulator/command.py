"""The command line and the environment of a simulator that stands for an engine's replica. Pure."""

import sys
from collections.abc import Mapping

from engines.flags import flags_of
from headgate.engine_start import EngineStart


def command(start: EngineStart) -> tuple[str, ...]:
    """With our own Python, and without the API key."""
    return (
        *(sys.executable, "-P", "-m", "engines.simulator"),
        *("--host=127.0.0.1", f"--port={start.port}", f"--model={start.served_name}"),
        *(
            f"--max-running={start.max_running}",
            f"--max-loras={start.max_loras}",
            f"--max-lora-rank={start.max_lora_rank}",
        ),
        *flags_of(start.args),
    )


def environment(start: EngineStart, environ: Mapping[str, str], key: str) -> dict[str, str]:
    """Ours, without what would have it count into our metrics, and what the entry says."""
    ours = {name: value for name, value in environ.items() if not name.startswith("PROMETHEUS_")}
    return ours | start.env | {"VLLM_API_KEY": key}

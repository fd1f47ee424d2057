"""Real vLLM processes on loopback, as small as they get: a tiny model, 64 MiB of KV cache, one core."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2

from tests.gateway.running_gateway import free_address

ROOT: Final = Path(__file__).parents[2]
PYTHON: Final = ROOT / ".venv-vllm/bin/python"
MODEL: Final = "tiny"
MAX_RUNNING: Final = 8
START_S: Final = 600.0  # half a minute where nothing else runs
END_S: Final = 60.0
_SMALL: Final = (
    "--dtype=float32",  # bfloat16 crashes in the AMX kernel of this release
    "--max-model-len=4096",
    f"--max-num-seqs={MAX_RUNNING}",
    "--kv-cache-memory-bytes=67108864",
    "--enforce-eager",
)
GENERATES: Final = (
    "--enable-lora",
    "--max-lora-rank=8",
    "--max-loras=2",
    "--max-cpu-loras=4",
    "--enable-auto-tool-choice",
    "--tool-call-parser=hermes",
    "--enable-prompt-tokens-details",
    '--structured-outputs-config={"backend": "xgrammar", "disable_any_whitespace": true}',
)
EMBEDS: Final = ("--runner=pooling", "--convert=embed")
_ENVIRONMENT: Final = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # replicas share the cores
    "OMP_NUM_THREADS": "1",
}


@dataclass(frozen=True, slots=True)
class Replica:
    """One that listens, or is about to."""

    url: str
    log: Path
    process: "subprocess.Popen[bytes]"

    def wait_until_healthy(self) -> None:
        """Raise `AssertionError`, with the log, if it does not come up."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            with suppress(httpx2.TransportError):
                if httpx2.get(f"{self.url}/health").status_code == 200:
                    return
            time.sleep(0.2)
        raise AssertionError(self.log.read_text()[-8000:])


def environment() -> dict[str, str]:
    """The variables of all that runs by `PYTHON`: nothing is asked of any network."""
    return {**os.environ, **_ENVIRONMENT}


@contextmanager
def vllm_replica(folder: Path, model: Path, *flags: str) -> Iterator[Replica]:
    """Start one; it is not up yet. Ended with SIGTERM, all its processes with it."""
    assert PYTHON.exists(), "run `make setup-vllm` first"
    host, port = free_address().split(":")
    log = folder / f"vllm-{port}.log"
    command = [str(PYTHON), "-m", "vllm.entrypoints.openai.api_server", "--host", host, "--port", port]
    command += ["--model", str(model), "--served-model-name", MODEL, *_SMALL, *flags]
    with (
        log.open("wb") as written,
        subprocess.Popen(
            command,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            start_new_session=True,  # its worker processes are in this group
        ) as process,
    ):
        try:
            yield Replica(f"http://{host}:{port}", log, process)
            process.terminate()
            process.wait(END_S)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

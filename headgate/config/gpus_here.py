"""The GPUs that engines on this machine can have, by what NVIDIA's driver shows: no library, nothing is run.

Whoever starts engines may be elsewhere than whoever checks their file, so too few are never more than a warning.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"
_DRIVER = Path("proc/driver/nvidia/gpus")  # a folder for each GPU
_OTHERS = ("dev/kfd", "dev/dxg")  # AMD's, and Windows' below WSL: neither says how many there are


@dataclass(frozen=True, slots=True)
class GpusHere:
    """`count` is None where nobody can say; `words` say what was found, and where."""

    count: int | None
    words: str


def gpus_here(environ: Mapping[str, str], machine: Path = Path("/")) -> GpusHere:
    """Those that CUDA_VISIBLE_DEVICES names, or all of the machine. A container has a node for each of its own."""
    if names := environ.get(VISIBLE):
        count = len(visible(names))
        return GpusHere(count, f"{VISIBLE} names {count}")
    nodes = [path.name for path in (machine / "dev").glob("nvidia[0-9]*") if path.name[len("nvidia") :].isdigit()]
    if nodes:
        return GpusHere(len(nodes), f"this machine has {len(nodes)} (/dev/nvidia0, …)")
    if (machine / _DRIVER).is_dir():  # it makes the nodes when it is first used
        count = sum(1 for _ in (machine / _DRIVER).iterdir())
        return GpusHere(count, f"this machine has {count} (/{_DRIVER})")
    if any((machine / other).exists() for other in _OTHERS):
        return GpusHere(None, "this machine's GPUs are not NVIDIA's")
    return GpusHere(0, f"this machine has none: no driver of NVIDIA's is there (/{_DRIVER.parent})")


def visible(names: str) -> list[str]:
    """What CUDA_VISIBLE_DEVICES names, in its order."""
    return [name.strip() for name in names.split(",") if name.strip()]

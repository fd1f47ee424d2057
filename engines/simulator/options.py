"""What a simulator process is started with. Values only: the command line and `serve` share this type."""

from dataclasses import dataclass
from pathlib import Path

DEFAULT_MODEL = "headgate-simulator"


@dataclass(frozen=True, slots=True)
class Options:
    """The model name said in every reply, the pace of the answers, and where requests are recorded."""

    model: str = DEFAULT_MODEL
    ttft_s: float = 0.15
    """Seconds until the first token."""
    token_s: float = 0.02
    """Seconds for each token after the first."""
    record: Path | None = None
    """A file that gets one JSON line per request received and per end of an answer (docs/simulator.md)."""

"""What a simulator process is started with. Values only: the command line and `serve` share this type."""

from dataclasses import dataclass, field
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
    max_running: int = 0
    """Requests that run at once; the others wait. 0: no limit."""
    max_loras: int = 0
    """Adapters whose requests run at once; 0: no adapters."""
    max_cpu_loras: int = 0
    """Adapters kept in memory; at least `max_loras`."""
    max_lora_rank: int = 16
    """The highest rank of an adapter."""
    prefix_cache: int = 0
    """Tokens of prompts that are remembered; 0: none."""
    kv_tokens: int = 65536
    """Tokens that the KV cache is said to hold."""
    start_delay_s: float = 0.0
    """Seconds before connections are accepted, as an engine takes to load its model."""
    api_key: str = field(default="", repr=False)
    """What callers of `/v1` have to send as a bearer token; empty: nothing."""

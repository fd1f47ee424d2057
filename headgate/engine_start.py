"""What the process of a managed engine's replica is told by its supervisor, in one environment variable."""

import msgspec

START_ENV = "HEADGATE_ENGINE"


class EngineStart(msgspec.Struct, frozen=True):
    """One replica: it listens on `port` of loopback, and has the GPUs with these numbers to itself.

    Paths are absolute. The rest is as gateway.yaml says it.
    """

    kind: str
    port: int
    served_name: str
    max_running: int
    max_loras: int
    max_lora_rank: int
    gpus: tuple[int, ...]
    model: str | None
    python: str | None
    args: dict[str, bool | str | tuple[str, ...]]
    env: dict[str, str]

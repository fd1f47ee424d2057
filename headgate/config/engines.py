"""Engines of gateway.yaml: replicas that `headgate up` runs itself (managed), or that somebody else does (external).

Each is a provider of the same name too (`headgate.config.engine_providers`), so what knows providers knows engines.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PlainValidator, field_validator

from headgate.config import engine_values, values
from headgate.config.addresses import Url
from headgate.config.engine_values import Argument
from headgate.config.entry import (
    AtOnce,
    Count,
    Entry,
    FilePath,
    HeaderName,
    HttpUrl,
    Name,
    ProviderSecret,
    RequestPath,
    Seconds,
    UpstreamModel,
)
from headgate.config.upstreams import USAGE_REPORTS, RetryBudget, UsageReport, one_cluster

Kind = Literal["vllm", "simulator"]
MAX_REPLICAS = 256
_PATHS = ("model", "python", "adapters_dir")

FlagName = Annotated[str, PlainValidator(engine_values.flag_name)]
FlagValue = Annotated[Argument, PlainValidator(engine_values.argument)]
VariableName = Annotated[str, PlainValidator(engine_values.variable_name)]
VariableValue = Annotated[str, PlainValidator(engine_values.variable_value)]
FolderThere = Annotated[str, PlainValidator(engine_values.folder_there)]
LoraRank = Annotated[int, PlainValidator(engine_values.lora_rank)]


class Engine(Entry):
    """One engine: all of its replicas serve the same model, and the same adapters.

    `max_running` is how many requests one replica works on at once. The keys from `model` to `drain_timeout` are of
    managed ones (`headgate.config.engine_rules`), but for `served_name`. Adapters' files are put into `adapters_dir`,
    which the engine sees as `adapters_path`.
    """

    kind: Annotated[Kind, PlainValidator(values.one_of("vllm", "simulator"))]
    model: FilePath | None = None
    served_name: UpstreamModel | None = None
    replicas: Annotated[int, PlainValidator(values.whole(1, MAX_REPLICAS))] = 1
    gpus: Annotated[int, PlainValidator(values.whole(0, engine_values.MAX_GPUS))] = 1
    args: dict[FlagName, FlagValue] = Field(default={})
    env: dict[VariableName, VariableValue] = Field(default={}, repr=False)
    python: FilePath | None = None
    start_timeout_s: Seconds = Field(default=900.0, alias="start_timeout")
    drain_timeout_s: Seconds = Field(default=60.0, alias="drain_timeout")
    endpoints: list[HttpUrl] = Field(default=[], min_length=1)
    max_running: Count = 256
    max_loras: Annotated[int, PlainValidator(values.whole(0, 1024))] = 0
    max_lora_rank: LoraRank = 16
    adapters_dir: FilePath | None = None
    adapters_path: FolderThere | None = None
    api_key: ProviderSecret | None = None
    health_check: RequestPath = "/health"
    usage: Annotated[UsageReport, PlainValidator(values.one_of(*USAGE_REPORTS))] = "continuous"
    zone: Name = "internal"
    forward_headers: list[HeaderName] = Field(default=[])
    ca: FilePath | None = None
    client_cert: FilePath | None = None
    client_key: FilePath | None = None
    connect_timeout_s: Seconds = Field(default=2.0, alias="connect_timeout")
    max_requests: AtOnce = 65_536
    retry_budget: RetryBudget = RetryBudget()

    @field_validator("endpoints")
    @classmethod
    def _one_cluster(cls, endpoints: list[Url]) -> list[Url]:
        return one_cluster(endpoints)

    @property
    def managed(self) -> bool:
        """Whether `headgate up` runs its replicas."""
        return not self.endpoints

    @property
    def size(self) -> int:
        """How many replicas it has."""
        return len(self.endpoints) or self.replicas

    @property
    def devices(self) -> int:
        """How many GPUs each of its replicas is given."""
        return self.gpus if self.managed and self.kind == "vllm" else 0

    def paths_from(self, base: Path) -> "Engine":
        """With paths that hold in any working directory; `base` is the folder of the file."""
        absolute = {field: base / path for field in _PATHS if (path := getattr(self, field))}
        return self.model_copy(update=absolute)


def served_name(name: str, engine: Engine) -> str:
    """What targets call the engine's model, and the engine itself."""
    return engine.served_name or name

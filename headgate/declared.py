"""What gateway.yaml declares, for those who administer the rest: managed by file, read-only elsewhere.

One file beside the snapshot for each accepted generation, written before it. Nothing in it is secret, no digest
either: who has to know a key looks into the snapshot. headgate/compile_declared.py makes it.
"""

import os
from pathlib import Path
from typing import Any

import msgspec

from headgate.adapter_row import AdapterRow
from headgate.snapshot import AuthRow


class DeclaredKey(msgspec.Struct, frozen=True):
    """A virtual key. `expires` is in seconds since the epoch."""

    name: str
    disabled: bool = False
    expires: float | None = None
    limits: dict[str, Any] = {}


class DeclaredTarget(msgspec.Struct, frozen=True):
    """One place where a model is served; `model` is its name there, `zone` the provider's. `max_lora_rank` is that of
    adapters that it may load; 0: none.
    """

    provider: str
    model: str
    zone: str
    max_lora_rank: int = 0


class DeclaredTenant(msgspec.Struct, frozen=True):
    """A tenant; `models` are its grants, `zones` None is every zone of its plan, `pricing` None its plan's; `targets`
    are its own, by model.
    """

    plan: str | None = None
    zones: list[str] | None = None
    models: list[str] = []
    pin_targets: bool = False
    disabled: bool = False
    limits: dict[str, Any] = {}
    keys: list[DeclaredKey] = []
    store_prompts: bool = False
    usage_retention_days: int | None = None
    pricing: dict[str, Any] | None = None
    targets: dict[str, list[DeclaredTarget]] = {}


class DeclaredPlan(msgspec.Struct, frozen=True):
    """A plan; `zones` None is every zone."""

    limits: dict[str, Any] = {}
    zones: list[str] | None = None
    pricing: dict[str, Any] | None = None


class DeclaredModel(msgspec.Struct, frozen=True):
    """A model as clients name it; the targets in the order of gateway.yaml. `priced`: it has a price."""

    targets: list[DeclaredTarget]
    strategy: str = "order"
    priced: bool = False


class DeclaredProvider(msgspec.Struct, frozen=True):
    """An upstream. `credentials`: where each is kept, by its field: `api_key`, `token`, `aws/…`, `api_keys/NAME`."""

    api: str
    zone: str
    endpoints: list[str]
    preset: str | None = None
    credentials: dict[str, str] = {}


class DeclaredBilling(msgspec.Struct, frozen=True):
    """What stands on invoices beside what was used."""

    seller: str | None = None
    address: list[str] = []
    notes: str | None = None
    due_days: int | None = None
    prefix: str = "INV-"


class Declared(msgspec.Struct, frozen=True):
    """One generation of gateway.yaml. `has_database`: it names a database of its own.

    `usage`: where services.usage is, without who asks there; None where each host keeps its own. `has_receiver`: it
    has `alerts`.
    """

    generation: int
    tenants: dict[str, DeclaredTenant] = {}
    plans: dict[str, DeclaredPlan] = {}
    models: dict[str, DeclaredModel] = {}
    providers: dict[str, DeclaredProvider] = {}
    auth: AuthRow = AuthRow()
    adapters: AdapterRow = AdapterRow()
    has_database: bool = False
    usage: str | None = None
    has_receiver: bool = False
    billing: DeclaredBilling = DeclaredBilling()


def write_declared(declared: Declared, path: Path) -> None:
    """Writes the file whole or not at all, readable by its owner only."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(declared))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def read_declared(path: Path) -> Declared:
    """Reads what `write_declared` wrote. Raises OSError or msgspec.DecodeError."""
    return msgspec.json.decode(path.read_bytes(), type=Declared)

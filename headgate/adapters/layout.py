"""What adapters are called: by clients, on engines, in the store of objects, and on an engine's disk. Pure.

client    acme/support-bot
engine    acme/support-bot@3-1a2b3c4d          version, and the weights' SHA-256: never the same for others
objects   adapters/acme/support-bot/3/…        four files; the signature is written last
disk      <cache>/<SHA-256 of both files' digests>/…
"""

import re
from dataclasses import dataclass

ROOT = "adapters/"
WEIGHTS, CONFIG, MANIFEST, SIGNATURE = "adapter.safetensors", "adapter_config.json", "manifest.json", "manifest.sig"
ENGINE_WEIGHTS, ENGINE_CONFIG = "adapter_model.safetensors", "adapter_config.json"  # as vLLM looks for them
MAX_VERSION = 10**9

_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ADAPTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,62}")  # with a tenant and a slash it is a model's name of 128
_ENGINE_NAME = re.compile(rf"({_TENANT.pattern})/({_ADAPTER.pattern})@([1-9][0-9]{{0,9}})-([0-9a-f]{{8}})")


@dataclass(frozen=True, slots=True)
class AdapterId:
    """One version of one adapter of one tenant. Raises ValueError for names that are none."""

    tenant: str
    adapter: str
    version: int

    def __post_init__(self) -> None:
        checked_tenant(self.tenant)
        checked_adapter(self.adapter)
        if not 1 <= self.version <= MAX_VERSION:
            raise ValueError(f"expected a version from 1 to {MAX_VERSION}, found {self.version}")

    def __str__(self) -> str:
        return f"{self.tenant}/{self.adapter}@{self.version}"

    def object(self, file: str) -> str:
        """The name of one of its four files in the store."""
        return f"{self.prefix}{file}"

    @property
    def prefix(self) -> str:
        """What the names of its files begin with."""
        return f"{adapter_prefix(self.tenant, self.adapter)}{self.version}/"

    def engine_name(self, weights_sha256: str) -> str:
        """What engines call it."""
        return f"{self}-{weights_sha256[:8]}"


def checked_tenant(name: str) -> str:
    """The name. Raises ValueError."""
    if not _TENANT.fullmatch(name):
        raise ValueError(f"not the name of a tenant: {name[:80]!r}")
    return name


def checked_adapter(name: str) -> str:
    """The name. Raises ValueError with the rule."""
    if not _ADAPTER.fullmatch(name):
        raise ValueError(
            "expected an adapter's name of 1 to 63 letters, digits, '.', '_', '-' or ':' that starts with a letter "
            f"or digit, found {name[:80]!r}"
        )
    return name


def tenant_prefix(tenant: str) -> str:
    """What the names of all objects of a tenant's adapters begin with."""
    return f"{ROOT}{checked_tenant(tenant)}/"


def adapter_prefix(tenant: str, adapter: str) -> str:
    """What those of one adapter begin with, in all its versions."""
    return f"{tenant_prefix(tenant)}{checked_adapter(adapter)}/"


def of_object(name: str) -> AdapterId | None:
    """Whose file an object is; None for what is no version's."""
    tenant, _, rest = name.removeprefix(ROOT).partition("/")
    adapter, _, rest = rest.partition("/")
    version, _, file = rest.partition("/")
    try:
        found = AdapterId(tenant, adapter, int(version))
    except ValueError:
        return None
    return found if name == found.object(file) else None


def of_engine_name(name: str) -> tuple[AdapterId, str] | None:
    """The adapter and the first 8 hex digits of its weights; None for what is not one of ours."""
    found = _ENGINE_NAME.fullmatch(name)
    if found is None or int(found[3]) > MAX_VERSION:
        return None
    return AdapterId(found[1], found[2], int(found[3])), found[4]

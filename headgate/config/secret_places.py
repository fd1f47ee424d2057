"""Every reference to a secret that a gateway has, wherever it stands."""

from collections.abc import Iterator
from typing import Any

from headgate.config.entry import Entry
from headgate.config.model import Gateway
from headgate.config.secret_refs import SecretRef


def secret_places(gateway: Gateway) -> Iterator[tuple[str, SecretRef]]:
    """The key of gateway.yaml and the reference, in the order of the model."""
    return _found("", gateway)


def vault_places(gateway: Gateway) -> dict[str, str]:
    """Those into Vault: the place, and the first key that names it."""
    found: dict[str, str] = {}
    for key, reference in secret_places(gateway):
        if reference.kind == "vault":
            found.setdefault(reference.place, key)
    return found


def _found(key: str, value: Any) -> Iterator[tuple[str, SecretRef]]:
    if isinstance(value, SecretRef):
        yield key, value
    elif isinstance(value, Entry):
        for name, field in type(value).model_fields.items():
            yield from _found(f"{key}.{field.alias or name}".lstrip("."), getattr(value, name))
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _found(f"{key}.{name}", inner)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _found(f"{key}[{index}]", inner)

"""A manifest as the database takes it, which has no fractions: they are text there. Pure."""

from collections.abc import Mapping
from typing import Any

import msgspec

from headgate.adapters.manifest import Manifest


def facts_of(manifest: Manifest) -> dict[str, Any]:
    """What is kept of it."""
    facts: dict[str, Any] = _kept(msgspec.to_builtins(manifest))
    return facts


def manifest_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What was signed, as JSON has it; nothing of a version that was not accepted."""
    if not facts:
        return {}
    metrics = {name: float(value) for name, value in facts["metrics"].items()}
    return {**facts, "alpha": float(facts["alpha"]), "metrics": metrics}


def _kept(value: Any) -> Any:
    if isinstance(value, float):
        return int(value) if value.is_integer() else repr(value)
    if isinstance(value, dict):
        return {key: _kept(item) for key, item in value.items()}
    return [_kept(item) for item in value] if isinstance(value, list | tuple) else value

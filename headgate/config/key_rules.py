"""Where a provider has several keys (`api_keys`): nothing in their place, no reference and no name twice.

Works on any tree: what has the wrong shape is passed over, `shape` reports it. No IO.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from headgate.config.secret_refs import SecretRef, name_of_reference, provider_secret_ref
from headgate.config.shape import Finding, children_of
from headgate.config.values import name
from headgate.config.wording import KeyPath, quoted


def unusable_keys(root: dict[str, Any]) -> Iterator[Finding]:
    """Keys of a pool that cannot be told apart, and credentials beside a pool."""
    for path, provider in children_of(root, ("providers",)):
        if isinstance(provider, dict) and "api_keys" in provider:
            at = (*path, "api_keys")
            for other in ("api_key", "token", "aws"):
                if other in provider:
                    yield Finding(at, f'stands in the place of "{other}": give one of them')
            yield from _repeated(root, at)


def _repeated(root: dict[str, Any], path: KeyPath) -> Iterator[Finding]:
    references: dict[SecretRef, KeyPath] = {}
    names: dict[str, KeyPath] = {}
    for at, key in children_of(root, path):
        if not isinstance(key, dict):
            continue
        reference = None
        with suppress(ValueError):
            reference = provider_secret_ref(key.get("key"))
        is_known_by_name = reference is None or reference.kind == "stored"
        if reference and not is_known_by_name and (first := references.setdefault(reference, at)) != at:
            yield Finding((*at, "key"), f"the same reference as api_keys[{first[-1]}]")
        elif (called := _name_of(key, reference)) and (first := names.setdefault(called, at)) != at:
            text = f"api_keys[{first[-1]}] is called {quoted(called)} too: give each key a name of its own"
            yield Finding((*at, "name") if "name" in key else at, text)


def _name_of(key: dict[str, Any], reference: SecretRef | None) -> str | None:
    if "name" not in key:
        return name_of_reference(reference) if reference and reference.kind != "stored" else None
    with suppress(ValueError):
        return name(key["name"])
    return None

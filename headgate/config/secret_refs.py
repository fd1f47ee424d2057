"""References to secrets in gateway.yaml: where a secret is, and never what it is.

The parsers are as those of values.py, and never quote what they were given. No IO here.
"""

import re
from dataclasses import dataclass
from typing import Any, Literal

_VAULT_PLACE = re.compile(r"[!\"$-.0-~]+(/[!\"$-.0-~]+)+#[^#\s]+")  # printable ASCII but # in each part
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, repr=False)
class SecretRef:
    """Where a secret is: an environment variable's name, a file's path, or `path#field` in Vault.

    What is stored has no place: it is known by the provider and the field that say so. `own` is what this host has
    made, in a file of the state directory; gateway.yaml has no such reference.
    """

    kind: Literal["env", "file", "vault", "stored", "own"]
    place: str

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__


def secret_ref(value: Any) -> SecretRef:
    """`env:NAME`, `file:path` or `vault:path#field`, where the path begins with a mount."""
    scheme, _, place = value.partition(":") if isinstance(value, str) else ("", "", "")
    if scheme == "vault" and _VAULT_PLACE.fullmatch(place) and not {".", ".."} & set(re.split("[/#]", place)):
        return SecretRef("vault", place)
    if value == "stored":
        raise ValueError(
            "cannot be stored: only a provider's api_key, api_keys and token can "
            "(a key of AWS's is a pair, which has to change at once)"
        )
    return _local(value, "env:NAME, file:PATH or vault:MOUNT/PATH#FIELD")


def local_secret_ref(value: Any) -> SecretRef:
    """`env:NAME` or `file:path`: what opens a Vault."""
    return _local(value, "env:NAME or file:PATH")


def provider_secret_ref(value: Any) -> SecretRef:
    """A secret of a provider's: `stored`, or a reference."""
    if value == "stored":
        return SecretRef("stored", "")
    try:
        return secret_ref(value)
    except ValueError:
        return _local(value, "env:NAME, file:PATH, vault:MOUNT/PATH#FIELD or stored")


def _local(value: Any, expected: str) -> SecretRef:
    scheme, _, place = value.partition(":") if isinstance(value, str) else ("", "", "")
    if scheme == "env" and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", place):
        return SecretRef("env", place)
    if scheme == "file" and place and place.isprintable():
        return SecretRef("file", place)
    raise ValueError(f"expected a reference to a secret, {expected}; the secret itself is never in this file")


def name_of_reference(ref: SecretRef) -> str:
    """What a key is called that has no other name: the variable's name, the file's, the field's in Vault.

    Stored ones have to have one: `key_rules` asks for it.
    """
    place = ref.place.rpartition("#" if ref.kind == "vault" else "/")[2]
    named = _NAME.search(re.sub(r"[^A-Za-z0-9._-]", "-", place))
    return named[0] if named else "key"

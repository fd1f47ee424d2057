"""Problems of references into Vault, of how to sign in there, and of stored credentials where none can be.

Works on any tree: what has the wrong shape is passed over, `shape` reports it. No IO.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from headgate.config.addresses import url
from headgate.config.secret_refs import provider_secret_ref
from headgate.config.shape import Finding, children_of, value_at
from headgate.config.values import name
from headgate.config.vault import KEYS_OF
from headgate.config.wording import KeyPath, shown_path
from headgate.stored_files import MAX_FIELD_CHARS, pool_field

SECRETS: KeyPath = ("services", "secrets")
_LOOPBACK = ("127.", "localhost", "[::1]")


def unusable_vault(root: dict[str, Any]) -> Iterator[Finding]:
    """References that nothing can read, keys that belong to another way of signing in."""
    secrets = value_at(root, SECRETS)
    if not isinstance(secrets, dict):
        for path in _vault_references(root, ()):
            yield Finding(path, "a reference into Vault: services.secrets has to say where that is")
        return
    if set(secrets) == {"kms"}:
        for path in _vault_references(root, ()):
            yield Finding(path, "a reference into Vault: services.secrets.vault has to say where that is")
        return
    for key in sorted({"vault", "auth"} - secrets.keys()):
        yield Finding(SECRETS, f'missing required key "{key}"', at=SECRETS)
    yield from _unusable_sign_in(secrets)
    yield from _unusable_address(secrets)


def _unusable_sign_in(secrets: dict[str, Any]) -> Iterator[Finding]:
    auth = secrets.get("auth")
    if isinstance(auth, str) and auth in KEYS_OF:
        for key in ("token", "role_id", "secret_id", "role", "jwt", "mount"):
            if key in secrets and key not in KEYS_OF[auth]:
                owners = " and ".join(other for other, keys in KEYS_OF.items() if key in keys)
                yield Finding((*SECRETS, key), f"belongs to auth: {owners}, and auth is {auth}")
        if auth == "approle" and "role_id" in secrets and secrets["role_id"] == secrets.get("secret_id"):
            yield Finding((*SECRETS, "secret_id"), f"the same reference as {shown_path((*SECRETS, 'role_id'))}")
        if auth == "kubernetes" and "role" not in secrets:
            yield Finding((*SECRETS, "role"), "missing: auth: kubernetes signs in with a role", at=SECRETS)


def _unusable_address(secrets: dict[str, Any]) -> Iterator[Finding]:
    with suppress(ValueError):
        address = url(secrets.get("vault"))
        if address.path.endswith(("/v1", "/ui")):
            yield Finding((*SECRETS, "vault"), "expected the root of Vault's address: the gateway adds /v1 itself")
        if address.scheme == "http" and "ca" in secrets:
            yield Finding((*SECRETS, "ca"), "is for https: Vault's URL is http")


def unstorable(root: dict[str, Any]) -> Iterator[Finding]:
    """`stored`, where a pool's key has no name to be stored by."""
    for provider, _ in children_of(root, ("providers",)):
        for path, key in children_of(root, (*provider, "api_keys")):
            if not isinstance(key, dict) or key.get("key") != "stored":
                continue
            if "name" not in key:
                yield Finding((*path, "name"), "missing: a stored key is known by its name", at=path)
            with suppress(ValueError):
                if len(pool_field(name(key.get("name")))) > MAX_FIELD_CHARS:
                    most = MAX_FIELD_CHARS - len(pool_field(""))
                    yield Finding((*path, "name"), f"expected at most {most} characters in the name of a stored key")


def in_the_clear(root: dict[str, Any]) -> Iterator[Finding]:
    """A Vault that is asked without TLS, over a network."""
    yield from without_tls(root, (*SECRETS, "vault"), "the token and every secret cross")


def without_tls(root: dict[str, Any], path: KeyPath, what: str) -> Iterator[Finding]:
    """A URL of this place that is plain http, and leaves the machine."""
    with suppress(ValueError):
        found = url(value_at(root, path))
        if found.scheme == "http" and not found.authority.startswith(_LOOPBACK):
            yield Finding(path, f"http: {what} the network in the clear")


def uses_vault(root: dict[str, Any]) -> bool:
    """Whether anything needs to sign in."""
    secrets = value_at(root, SECRETS)
    if not isinstance(secrets, dict) or "vault" not in secrets:
        return False
    wraps = secrets.get("transit") is not None or secrets.get("kms") is not None
    return wraps or any(True for _ in _vault_references(root, ()))


def _vault_references(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    """Every scalar of a file's that is one. What is no secret begins otherwise: names and URLs have no `vault:`."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from _vault_references(inner, (*path, key))
    elif isinstance(value, str) and value.startswith("vault:"):
        with suppress(ValueError):
            provider_secret_ref(value)
            yield path

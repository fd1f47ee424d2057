"""What can't be right of `auth`: one secret twice, or secrets of one host where a database is shared by several.

`unusable_auth` works on any tree: what has the wrong shape is passed over, `shape` reports it. No IO.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from headgate.config.auth import Auth
from headgate.config.model import Gateway
from headgate.config.secret_refs import SecretRef, secret_ref
from headgate.config.shape import Finding, children_of, value_at
from headgate.config.wording import KeyPath, shown_path


def own_secrets(root: dict[str, Any]) -> Iterator[tuple[KeyPath, SecretRef]]:
    """Where the gateway's own secrets are: each has to be another."""
    previous = (path for path, _ in children_of(root, ("auth", "previous_peppers")))
    for path in (
        ("auth", "pepper"),
        *previous,
        ("auth", "service_key"),
        ("alerts", "secret"),
        ("adapters", "signing_key"),
    ):
        with suppress(ValueError):  # not given, or a problem of shape
            yield path, secret_ref(value_at(root, path))


def unusable_auth(root: dict[str, Any]) -> Iterator[Finding]:
    """Secrets that are given twice: who learns the one has the other."""
    known: dict[SecretRef, KeyPath] = {}
    for path, reference in own_secrets(root):
        if (first := known.setdefault(reference, path)) != path:
            yield Finding(path, f"the same reference as {shown_path(first)}")


def unshared_auth(gateway: Gateway) -> Iterator[Finding]:
    """Secrets that only this host has, although another one may use the same database."""
    if not (gateway.services.database or "").startswith("postgresql"):
        return
    auth, at = gateway.auth or Auth(), ("services", "database")
    if auth.pepper is None:
        text = "not given: a key that is made on this host is known on no other one that uses the same database"
        yield Finding(("auth", "pepper"), text, at)
    if auth.service_key is None:
        text = "not given: several hosts with the same database need the same one"
        yield Finding(("auth", "service_key"), text, at)

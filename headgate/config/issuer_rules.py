"""Problems of `auth.oidc` and `auth.clients`: what is given twice, or stands without what it needs.

Works on any tree: what has the wrong shape is passed over, `shape` reports it. No IO.
"""

from collections.abc import Callable, Iterator
from typing import Any

from headgate.clients import DNS
from headgate.config.shape import Finding, children_of, value_at
from headgate.config.wording import KeyPath, quoted, shown_path

OIDC, CLIENTS = ("auth", "oidc"), ("auth", "clients")


def issuer_paths(root: dict[str, Any]) -> list[KeyPath]:
    """Where the issuers stand: one alone needs no list."""
    if isinstance(value_at(root, OIDC), dict):
        return [OIDC]
    return [path for path, _ in children_of(root, OIDC)]


def unusable_issuers(root: dict[str, Any]) -> Iterator[Finding]:
    """Issuers of which no token could be judged."""
    issuers = issuer_paths(root)
    yield from _repeated(root, [(*path, "issuer") for path in issuers])
    for path in issuers:
        issuer = value_at(root, path)
        if not isinstance(issuer, dict):
            continue
        if "roles" in issuer and "roles_claim" not in issuer:
            yield Finding((*path, "roles"), 'needs "roles_claim" too')
        if isinstance(issuer.get("roles_claim"), str) and issuer["roles_claim"] == issuer.get("tenant_claim"):
            yield Finding((*path, "roles_claim"), f"the same claim as {shown_path((*path, 'tenant_claim'))}")
        for key in ("audience", "algorithms"):
            yield from _repeated(root, [one for one, _ in children_of(root, (*path, key))])
        urls = [issuer.get("issuer"), issuer.get("jwks_uri")]
        if "ca" in issuer and any(isinstance(url, str) and url.startswith("http://") for url in urls):
            yield Finding((*path, "ca"), "is for https: this issuer's URL is http")


def unusable_clients(root: dict[str, Any]) -> Iterator[Finding]:
    """Clients that could show no certificate, or that are told apart by nothing."""
    yield from _repeated(root, [(*path, "san") for path, _ in children_of(root, CLIENTS)], _san)
    yield from _client_certificate_rules(root)
    if value_at(root, CLIENTS) and value_at(root, ("listen", "https", "client_ca")) is None:
        yield Finding(CLIENTS, "needs listen.https.client_ca, by which their certificates are verified")


def _client_certificate_rules(root: dict[str, Any]) -> Iterator[Finding]:
    https = value_at(root, ("listen", "https"))
    if isinstance(https, dict) and "require_client_cert" in https and "client_ca" not in https:
        yield Finding(("listen", "https", "require_client_cert"), 'needs "client_ca" too')


def _san(text: str) -> str:
    """Host names are the same in any case."""
    return text.lower() if text.startswith(DNS) else text


def _repeated(root: dict[str, Any], paths: list[KeyPath], same: Callable[[str], str] = str) -> Iterator[Finding]:
    first: dict[str, KeyPath] = {}
    for path in paths:
        value = value_at(root, path)
        if isinstance(value, str) and (known := first.setdefault(same(value), path)) != path:
            yield Finding(path, f"{quoted(value)} is given at {shown_path(known)} too")

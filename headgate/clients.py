"""Clients that are known by their certificates, as the tables name them: `spiffe://…`, `uri:…` or `dns:…`."""

import msgspec

from headgate.roles import TenantRole

DNS, URI, SPIFFE = "dns:", "uri:", "spiffe://"


class ClientRow(msgspec.Struct, frozen=True):
    """Whoever shows a verified certificate with this name acts for the tenant, in this role."""

    san: str
    tenant: str
    role: TenantRole


def uri_name(uri: str) -> str:
    """What a URI of a certificate is called in `auth.clients`."""
    return uri if uri.startswith(SPIFFE) else f"{URI}{uri}"


def dns_name(name: str) -> str:
    """What a DNS name of a certificate is called in `auth.clients`."""
    return f"{DNS}{name.lower()}"

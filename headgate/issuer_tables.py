"""What the tables say of tokens' issuers and of clients with certificates, and where an issuer's CA lies. Pure."""

import hashlib
from pathlib import Path

from headgate.clients import ClientRow
from headgate.config.auth import Auth
from headgate.config.issuers import Issuer
from headgate.contract import SECRETS
from headgate.issuers import IssuerRow


def ca_file(ca: Path) -> Path:
    """Below the state directory. A provider has no + in its name, so none of its files is called like this."""
    return SECRETS / f"issuer+{hashlib.sha256(str(ca).encode()).hexdigest()[:10]}.pem"


def issuer_rows(auth: Auth | None) -> tuple[IssuerRow, ...]:
    """In the order of the file."""
    return tuple(_issuer_row(issuer) for issuer in (auth and auth.oidc) or ())


def client_rows(auth: Auth | None) -> tuple[ClientRow, ...]:
    """In the order of the file."""
    return tuple(ClientRow(client.san, client.tenant, client.role) for client in (auth.clients if auth else ()))


def _issuer_row(issuer: Issuer) -> IssuerRow:
    return IssuerRow(
        issuer=issuer.issuer,
        audience=tuple(issuer.audience),
        algorithms=tuple(issuer.algorithms),
        clock_skew_s=issuer.clock_skew_s,
        jwks_uri=issuer.jwks_uri,
        ca=str(ca_file(issuer.ca)) if issuer.ca else None,
        tenant_claim=issuer.tenant_claim,
        roles_claim=issuer.roles_claim,
        roles=dict(issuer.roles),
    )

"""`auth` of gateway.yaml, as a frozen type: by which secrets those are known who call."""

from pydantic import Field

from headgate.config.entry import Entry, Secret
from headgate.config.issuers import Client, Issuers


class Auth(Entry):
    """Without `pepper` or `service_key`: files that `headgate up` has made in the state directory, once."""

    pepper: Secret | None = None
    previous_peppers: list[Secret] = Field(default=[])
    service_key: Secret | None = None
    oidc: Issuers | None = None
    clients: list[Client] = Field(default=[])

"""What does not go together of `adapters`: hosts that share their store and do not know each other's key."""

from collections.abc import Iterator

from headgate.config.adapters import Adapters
from headgate.config.model import Gateway
from headgate.config.shape import Finding


def unshared_signing(gateway: Gateway) -> Iterator[Finding]:
    """A key that only this host has, although another one may use the same objects and the same database."""
    shared = (gateway.services.objects or "").startswith("s3:")
    if shared and (gateway.services.database or "").startswith("postgresql"):
        adapters = gateway.adapters or Adapters()
        if adapters.signing_key is None and not adapters.trusted_keys:
            text = "not given: no other host that uses the same objects loads adapters that this one has signed"
            yield Finding(("adapters", "signing_key"), text, ("services", "objects"))

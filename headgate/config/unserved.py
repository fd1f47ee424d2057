"""What a correct file asks for and this version does not do yet; every line here goes away with a feature."""

from collections.abc import Iterator

from headgate.config.model import Gateway
from headgate.config.shape import Finding


def unserved(gateway: Gateway) -> Iterator[Finding]:
    """One finding for each part of the configuration that has no effect, or another one than it says."""
    served = {"counters", "database", "events", "filters", "objects", "secrets", "usage"}
    for name in sorted(gateway.services.model_fields_set - served):
        yield Finding(("services", name), "not used by this version")

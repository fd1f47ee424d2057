"""What a correct file asks for and this version does not do yet; every line here goes away with a feature."""

from collections.abc import Iterator

from headgate.config.model import Gateway, Plan
from headgate.config.shape import Finding


def unserved(gateway: Gateway) -> Iterator[Finding]:
    """One finding for each part of the configuration that has no effect, or another one than it says."""
    for name, plan in gateway.plans.items():
        served = ("zones", "rpm", "rps", "concurrency")
        limits = [limit for limit in Plan.model_fields if limit not in served and getattr(plan, limit) is not None]
        if limits:
            yield Finding(("plans", name), f"limits are not enforced by this version: {', '.join(limits)}")
    for name in sorted(gateway.services.model_fields_set - {"counters"}):
        yield Finding(("services", name), "not used by this version")

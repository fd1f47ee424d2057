"""What a correct file asks for and this version does not do yet; every line here goes away with a feature."""

from collections.abc import Iterator

from headgate.config.model import Gateway, Plan, Target
from headgate.config.shape import Finding
from headgate.config.zones import targets_for


def unserved(gateway: Gateway) -> Iterator[Finding]:
    """One finding for each part of the configuration that has no effect, or another one than it says."""
    yield from _unreachable(gateway)
    for name, plan in gateway.plans.items():
        served = ("zones", "rpm", "rps", "concurrency")
        limits = [limit for limit in Plan.model_fields if limit not in served and getattr(plan, limit) is not None]
        if limits:
            yield Finding(("plans", name), f"limits are not enforced by this version: {', '.join(limits)}")
    for name in sorted(gateway.services.model_fields_set - {"counters"}):
        yield Finding(("services", name), "not used by this version")


def _unreachable(gateway: Gateway) -> Iterator[Finding]:
    for name, provider in gateway.providers.items():
        if provider.api == "anthropic":
            yield Finding(
                ("providers", name),
                "api anthropic is not reachable by this version: its targets are left out",
            )
    unanswered = {name for name, model in gateway.models.items() if _all_anthropic(gateway, model.targets)}
    for name in unanswered:
        yield Finding(("models", name), "answers 503 in this version: all its targets are anthropic")
    for tenant_name, tenant in gateway.tenants.items():
        for index, model in enumerate(tenant.models):
            if model not in unanswered and _all_anthropic(gateway, targets_for(gateway, tenant_name, model)):
                text = "answers 503 in this version: all its targets in the tenant's zones are anthropic"
                yield Finding(("tenants", tenant_name, "models", index), text)


def _all_anthropic(gateway: Gateway, targets: list[Target]) -> bool:
    return all(gateway.providers[target.provider].api == "anthropic" for target in targets)

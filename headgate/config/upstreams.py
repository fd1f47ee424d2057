"""What providers and engines of gateway.yaml have in common."""

from typing import Literal

from headgate.config.addresses import Url
from headgate.config.entry import AtOnce, Entry, Share

UsageReport = Literal["final", "continuous", "unasked", "none"]
USAGE_REPORTS: tuple[str, ...] = ("final", "continuous", "unasked", "none")


class RetryBudget(Entry):
    """How many further attempts there may be at once: a share of what the provider is busy with, or this many."""

    share: Share = 0.2
    at_least: AtOnce = 256


def one_cluster(endpoints: list[Url]) -> list[Url]:
    """Endpoints that Envoy can spread requests over. Raises ValueError for those that it cannot."""
    if len({(endpoint.scheme, endpoint.path) for endpoint in endpoints}) > 1:
        raise ValueError("expected endpoints that share one scheme and one path")
    if len(set(endpoints)) < len(endpoints):
        raise ValueError("an endpoint is given twice")
    return endpoints

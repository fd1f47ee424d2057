"""What can't be right of `services.filters`: workers that are named twice, or that could not reach the counters.

Works on any tree: what has the wrong shape is passed over, `shape` reports it. No IO.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from headgate.config.addresses import Address, is_loopback, reached_address
from headgate.config.shape import Finding, children_of, value_at
from headgate.config.wording import KeyPath, shown_path

FILTERS: KeyPath = ("services", "filters")
COUNTERS: KeyPath = ("services", "counters")


def unusable_filters(root: dict[str, Any]) -> Iterator[Finding]:
    """Endpoints that are the same, and counters that only this machine reaches."""
    if not isinstance(value_at(root, FILTERS), dict):
        return
    known: dict[Address, KeyPath] = {}
    for path, value in children_of(root, (*FILTERS, "endpoints")):
        with suppress(ValueError):
            if (first := known.setdefault(reached_address(value), path)) != path:
                yield Finding(path, f"the same endpoint as {shown_path(first)}")
    yield from _unreachable_counters(value_at(root, COUNTERS), known)


def _unreachable_counters(url: Any, endpoints: dict[Address, KeyPath]) -> Iterator[Finding]:
    why = "services.filters has workers on other hosts, which have to reach the counters too"
    if url is None:
        yield Finding(COUNTERS, f"missing: {why}", at=FILTERS)
    elif isinstance(url, str) and url.startswith("unix:"):
        yield Finding(COUNTERS, f"a Unix socket, where {why}")
    elif isinstance(url, str) and any(not is_loopback(one.host) for one in endpoints):
        with suppress(ValueError):  # of several nodes the first one tells
            if is_loopback(urlsplit(url.partition(",")[0]).hostname or ""):
                yield Finding(COUNTERS, f"an address of this host's own, where {why}")

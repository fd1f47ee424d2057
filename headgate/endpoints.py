"""The names of endpoints that a key can be confined to: the first part of the path behind `/v1/`, and `admin`. Pure.

`models`, the list of what may be used, is open to every key. What has no name here is closed to a key with a list.
What is asked about usage is `usage`, also below `/v1/organization`; control answers it.
"""

import re

ADMIN, ALWAYS, USAGE = "admin", "models", "usage"
ENDPOINTS = (
    ADMIN,
    "audio",
    "chat",
    "completions",
    "embeddings",
    "images",
    "messages",
    "moderations",
    "rerank",
    "responses",
    USAGE,
)
USAGE_PATHS = r"(?:/tenants/[^/]*)?/v1/(?:usage|organization)(?:/.*)?"  # without a query; for Envoy (RE2) too
_USAGE = re.compile(USAGE_PATHS)
_PATH = re.compile(r"(?:/tenants/[^/?]*)?/v1/([a-z]+)(?:[/?].*)?")


def endpoint_of(path: str) -> str | None:
    """Of a path with its query; None for what has no endpoint."""
    if is_about_usage(path):
        return USAGE
    found = _PATH.fullmatch(path)
    return found[1] if found else None


def is_about_usage(path: str) -> bool:
    """Whether a path, with its query or without, leads to control's answers about usage."""
    may_be = "usage" in path or "organization" in path  # every request is asked this
    return may_be and _USAGE.fullmatch(path.partition("?")[0]) is not None

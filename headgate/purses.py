"""Purses: providers with budgets. They are counted as tenants are, by the same scripts and in the same database.

A purse's name stands where a tenant's would, and the name of a provider's key where that of a tenant's key would. It
has a slash, so that no tenant can be called so. Pure.
"""

from collections.abc import Collection
from typing import NamedTuple

_PREFIX = "provider/"


class Purse(NamedTuple):
    """Whose budget counts: that of a provider and of one of its keys, where it has several."""

    provider: str
    key: str = ""

    @property
    def name(self) -> str:
        """In the place of a tenant's."""
        return f"{_PREFIX}{self.provider}"

    def charge_id(self, request_id: str) -> str:
        """What a request is called in the counters: attempts with several keys of a provider are told apart."""
        return f"{request_id}/{self.key}" if self.key else request_id


def is_purse(tenant: str) -> bool:
    """Whether the name of a tenant is none."""
    return tenant.startswith(_PREFIX)


def request_of(charge_id: str) -> str:
    """`Purse.charge_id` read backwards; no id of a request has a slash."""
    return charge_id.partition("/")[0]


def provider_of(name: str) -> str:
    """`Purse.name` read backwards."""
    return name.removeprefix(_PREFIX)


def written(first: Purse | None, held: Collection[Purse]) -> str:
    """For the spool: `openai,pool/first`. The first attempt comes first, empty where it holds nothing."""
    others = [purse for purse in held if purse != first]
    return ",".join("/".join(filter(None, purse or ())) for purse in (first if first in held else None, *others))


def read(text: str) -> list[Purse | None]:
    """`written` read backwards."""
    return [Purse(*one.split("/", 1)) if one else None for one in text.split(",")]


def price_name(provider: str, model: str, upstream_model: str) -> str:
    """What the price of a provider's is called, of a model that has two names."""
    return f"{provider}\n{model}\n{upstream_model}"

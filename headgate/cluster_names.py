"""Names of provider clusters: one for each provider, key *and* what is said of it. A changed provider is another.

Envoy never changes a cluster under a running request this way: a reload adds names, the workers' tables turn to them,
and the old ones go when nothing can need them any more. Used by both sides: Envoy's files and the workers' snapshot.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from headgate.config.model import Aws, Provider
from headgate.config.secret_refs import SecretRef
from headgate.contract import cluster_name

# What the workers alone go by: it needs no other cluster. Of a pool's keys each cluster has its own, as `api_key`.
_NOT_SAID = ("budget", "preset", "usage", "zone", "api_keys")


@dataclass(frozen=True, slots=True)
class Account:
    """What a cluster is made of: a provider with one of its credentials.

    `key` names it among the provider's `api_keys`; None for a provider without such, whose one account this is.
    `provider` has this key alone, as its `api_key`. `shared` is the same name for all of a provider's accounts.
    """

    name: str
    provider: Provider
    shared: str
    key: str | None = None
    weight: int = 1

    @property
    def cluster(self) -> str:
        """Envoy's cluster."""
        return cluster_of(self.name, self.provider, self.key)

    @property
    def stat_name(self) -> str:
        """What its statistics are called, whatever is edited of the provider's entry."""
        return _stat_name(self.name, self.key)

    @property
    def label(self) -> str:
        """The same without the prefix: `PROVIDER`, or `PROVIDER/KEY`."""
        return self.stat_name.removeprefix(cluster_name(""))


def accounts_of(name: str, provider: Provider) -> tuple[Account, ...]:
    """One for each of the provider's `api_keys`, in their order; one alone where it has none."""
    shared = cluster_of(name, provider)
    if provider.api_keys is None:
        return (Account(name, provider, shared),)
    return tuple(
        Account(
            name, provider.model_copy(update={"api_key": one.key, "api_keys": None}), shared, one.called, one.weight
        )
        for one in provider.api_keys
    )


def cluster_of(name: str, provider: Provider, key: str | None = None) -> str:
    """`provider/NAME@DIGEST`, or `provider/NAME/KEY@DIGEST` of one with a pool of keys.

    The digest is of the entry in gateway.yaml, not of a secret that it refers to; neither other keys of the pool nor
    their order are in it.
    """
    said = {field: value for field, value in provider if field not in _NOT_SAID}
    if provider.is_engine:
        said["engine"] = True  # its cluster picks replicas in another way
    text = json.dumps(said, sort_keys=True, default=_text)
    return f"{_stat_name(name, key)}@{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def _stat_name(name: str, key: str | None) -> str:
    return cluster_name(name) if key is None else f"{cluster_name(name)}/{key}"


def _text(value: Any) -> Any:
    if isinstance(value, Aws):
        return dict(value)
    # A reference shows as *** everywhere else.
    return f"{value.kind}:{value.place}" if isinstance(value, SecretRef) else str(value)

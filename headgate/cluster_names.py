"""Names of provider clusters: one for each provider *and* what is said of it. A changed provider is another cluster.

Envoy never changes a cluster under a running request this way: a reload adds names, the workers' tables turn to them,
and the old ones go when nothing can need them any more. Used by both sides: Envoy's files and the workers' snapshot.
"""

import hashlib
import json
from typing import Any

from headgate.config.model import Aws, Provider
from headgate.config.values import SecretRef
from headgate.contract import cluster_name

_TABLES_ONLY = ("preset", "usage", "zone")  # what the workers alone go by: it needs no other cluster


def cluster_of(name: str, provider: Provider) -> str:
    """`provider/NAME@DIGEST`; the digest is of the entry in gateway.yaml, not of a secret that it refers to."""
    said = {key: value for key, value in provider if key not in _TABLES_ONLY}
    text = json.dumps(said, sort_keys=True, default=_text)
    return f"{cluster_name(name)}@{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def _text(value: Any) -> Any:
    if isinstance(value, Aws):
        return dict(value)
    # A reference shows as *** everywhere else.
    return f"{value.kind}:{value.place}" if isinstance(value, SecretRef) else str(value)

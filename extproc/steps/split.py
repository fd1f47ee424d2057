"""A/B splits: which variant of a model a user gets, the same one whoever asks, whichever worker answers, for good.

Weighted rendezvous hashing: of all variants, each has a number that follows from the user and itself, and the best
one wins. Where one share is changed, users move to that variant or away from it, and no others.
"""

import hashlib
import math

from extproc.exchange import Exchange
from extproc.steps.plan import user_of
from headgate.snapshot import SplitRow


def choose_variant(exchange: Exchange) -> None:
    """Fills `variant` and leaves in `targets` those of it and those of all variants.

    A request that names its target, or a response that one has made, takes no part; nor does one of a tenant that has
    targets of its own without variants.
    """
    split = exchange.row.split
    chosen = exchange.incoming.wanted_target or exchange.response_id
    if split is None or chosen or all(one.variant is None for one in exchange.targets):
        return
    tenant = exchange.incoming.tenant
    user = user_of(exchange.document, exchange.surface) if split.by == "user" else ""
    exchange.variant = variant_of(split, exchange.model, tenant, user)
    exchange.targets = [target for target in exchange.targets if target.variant in (None, exchange.variant)]


def variant_of(split: SplitRow, model: str, tenant: str, user: str) -> str:
    """The variant of a tenant's user; of the tenant where there is no user."""
    return max(split.variants, key=lambda name: _score(model, name, tenant, user, split.variants[name]))


def _score(model: str, variant: str, tenant: str, user: str, share: int) -> float:
    """The best of several is each one's in the proportion of the shares."""
    # A user may be any text, half a surrogate pair too, and stands last: the names have no NUL.
    said = "\0".join((model, variant, tenant, user)).encode("utf-8", "surrogatepass")
    number = int.from_bytes(hashlib.sha256(said).digest()[:8], "big")
    return share / -math.log((number + 0.5) / 2**64)

"""Correction factors as a worker knows them: how far our count of a prompt is from what its provider reports. Pure.

One per API and upstream model, learned by the ledger (docs/tokens.md). What nobody has spoken of is 1. An old factor
is still a good one: silence takes nothing back.
"""

from collections.abc import Mapping

LOWEST, HIGHEST = 0.25, 4.0  # whatever providers report and whoever sends the prompts
MOST_FACTORS = 500

ByModel = Mapping[tuple[str, str], float]  # (API, upstream model)


def clamped(factor: float) -> float:
    """Inside the bounds that a factor may have."""
    return min(max(factor, LOWEST), HIGHEST)


class Factors:
    """Asked by whoever counts a prompt with `of`, filled by the subscriber."""

    def __init__(self) -> None:
        self._said: dict[str, ByModel] = {}
        self._factors: dict[tuple[str, str], float] = {}

    def of(self, api: str, model: str) -> float:
        """What a count for this model is multiplied with."""
        return self._factors.get((api, model), 1.0)

    def take(self, gateway: str, factors: ByModel) -> None:
        """All that a gateway has learned: what it no longer names is 1 again.

        A worker that belongs to no gateway hears several, and takes any that has learned something.
        """
        if self._said.get(gateway) == factors:
            return
        self._said[gateway] = factors
        self._factors = {target: clamped(factor) for heard in self._said.values() for target, factor in heard.items()}

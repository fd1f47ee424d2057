"""The arithmetic of the report. Pure; no figure depends on the order of its samples."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Spread:
    """Several samples of one figure: the median speaks for them, the extremes say how far to trust it."""

    median: float
    low: float
    high: float


def spread_of(samples: Sequence[float]) -> Spread:
    """Raises ValueError when there is no sample."""
    if not samples:
        raise ValueError("no samples")
    return Spread(median(samples), min(samples), max(samples))


def slope(short: int, short_cost: float, long: int, long_cost: float) -> float:
    """Cost of one more, from the costs of `short` and of `long` of them: what both have in common cancels out."""
    if long <= short:
        raise ValueError(f"a slope needs two different lengths; found {short} and {long}")
    return (long_cost - short_cost) / (long - short)


def percentile(samples: Sequence[float], percent: float) -> float:
    """The smallest sample that at least `percent` of all samples do not exceed (nearest rank)."""
    if not samples:
        raise ValueError("no samples")
    if not 0 < percent <= 100:
        raise ValueError(f"a percentile lies above 0 and up to 100; found {percent}")
    return sorted(samples)[math.ceil(len(samples) * percent / 100) - 1]

"""How the keys of tokens' issuers are, by the files that the ledger writes: for /readyz and /metrics.

Says how many issuers it is about and not which: their URLs are the configuration's, the metric has them.
"""

import time
from collections.abc import Callable, Sequence

import msgspec

from headgate.issuers import LIVE_S, IssuerKeys, IssuerRow, keys_file, read_keys
from headgate.supervise.part import Probe


def keys_fetched(rows: Sequence[IssuerRow], clock: Callable[[], float] = time.time) -> Probe:
    """Whether each issuer's keys came the last time that they were fetched."""

    async def probe() -> str | None:
        found = [_keys_of(row) for row in rows]
        gone = sum(1 for said in found if said is None or clock() - said.fetched >= LIVE_S)
        failing = sum(1 for said in found if said is not None and said.tried > said.fetched)
        if gone:
            return f"there are no keys of {gone} of {len(rows)} issuers: their tokens are refused"
        return f"keys of {failing} of {len(rows)} issuers can't be fetched: old ones count" if failing else None

    return probe


def fetched_at(rows: Sequence[IssuerRow]) -> dict[tuple[str, ...], float]:
    """When each issuer's keys were fetched, by its URL; 0 is never."""
    return {(row.issuer,): said.fetched if (said := _keys_of(row)) else 0.0 for row in rows}


def _keys_of(row: IssuerRow) -> IssuerKeys | None:
    try:
        return read_keys(keys_file(row))
    except (OSError, msgspec.DecodeError):
        return None

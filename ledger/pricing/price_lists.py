"""The prices of each generation as the ledger's process reads them: kept while they are asked for, never guessed.

Prices that are gone, or no prices, are lost. Prices that can't be read for any other reason are waited for.
Files that no line can ask for any more are removed. Nothing else here writes.
"""

import datetime as dt
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import structlog

from headgate.contract import PRICES, SPOOL, epoch_of
from headgate.prices import PriceList, price_file, priced_generations, read_prices
from ledger.pricing.prices import NOTHING, Unpriced, cost_of_request, may_cost
from ledger.pricing.pricing import (
    NO_GUESS,
    UNPRICED,
    Guess,
    PricesAway,
    Pricing,
    pricing_of,
    provider_pricing_of,
)
from ledger.spool.lines import Line, parsed
from ledger.spool.spool_file import LINE_LIMIT_BYTES

KEPT_LISTS = 16  # lines of more generations than these hardly ever alternate
TRY_AGAIN_S = 1.0
# After its successor took over, a generation may be named by what began before: requests last a day at most
# (`timeouts.total`). And as long again for clocks.
NAMED_FOR_S = 2 * 86_400.0

GuessOf = Callable[[Line], Guess]

log = structlog.get_logger()


class PriceLists:
    """Ask it what a line's request costs; have it `prune` now and then.

    `guess_of` knows what tokens were, where nobody has reported them. Who asks for a price that is there and can't be
    read gets PricesAway.
    """

    def __init__(self, guess_of: GuessOf = lambda _: NO_GUESS) -> None:
        self._guess_of = guess_of
        self._lists: dict[int, PriceList] = {}
        self._missing: dict[int | None, float] = {}  # and when (monotonic) to look again
        self._away: set[int] = set()

    def cost_of(self, line: Line) -> Decimal | Unpriced:
        """What the request of an `end` line costs its tenant, by the generation and the moment that it began with."""
        if not may_cost(line):
            return NOTHING
        return cost_of_request(line, self._of(line.price_generation))

    def price_of(self, line: Line) -> Pricing:
        """What it is charged by; without prices where its model has none, or they are lost."""
        if not line.attempts:
            return UNPRICED
        prices = self._of(line.price_generation)
        return pricing_of(line, prices, self._guess_of(line))

    def provider_price_of(self, line: Line) -> Pricing:
        """What the provider that answered takes, where it has a budget of money."""
        if not may_cost(line):
            return UNPRICED
        return provider_pricing_of(line, self._of(line.price_generation), self._guess_of(line))

    def prune(self) -> None:
        """Remove the lists that no line of the spool's files, and no request that still runs, can name."""
        try:
            generations = priced_generations(PRICES)
            # Its prices are asked for until some time after the next generation's were written.
            until = {
                number: path.stat().st_mtime + NAMED_FOR_S
                for number, path in zip(generations, list(generations.values())[1:], strict=False)
            }
            since = _spool_since() if until else 0.0
            for number in [number for number, end in until.items() if end < since]:
                generations[number].unlink(missing_ok=True)
                self._lists.pop(number, None)
                log.info("prices removed, no request has begun with them", generation=number)
        except OSError as error:
            log.warning("old prices could not be removed", error=str(error))

    def _of(self, generation: int | None) -> PriceList | None:
        found = self._lists.get(generation) if generation is not None else None
        return found or self._looked_up(generation)

    def _looked_up(self, generation: int | None) -> PriceList | None:
        now = time.monotonic()
        if now < self._missing.get(generation, 0.0):
            return None
        found, reason = self._read(generation)
        if found is None or generation is None:
            if generation not in self._missing:
                log.error("prices are unknown, requests stay unpriced", generation=generation, reason=reason)
            self._missing[generation] = now + TRY_AGAIN_S
            return None
        self._missing.pop(generation, None)
        if len(self._lists) >= KEPT_LISTS:
            del self._lists[next(iter(self._lists))]
        self._lists[generation] = found
        return found

    def _read(self, generation: int | None) -> tuple[PriceList | None, str]:
        """The list, or why there is none."""
        if generation is None:
            return None, "the line names no generation"
        try:
            found = read_prices(price_file(PRICES, generation))
        except (FileNotFoundError, msgspec.DecodeError) as error:
            return None, str(error)
        except OSError as error:
            if generation not in self._away:
                self._away.add(generation)
                log.error("prices can't be read: settling waits", generation=generation, error=str(error))  # noqa: TRY400
            raise PricesAway(str(error)) from error
        if generation in self._away:
            self._away.remove(generation)
            log.info("prices are read again", generation=generation)
        return found, ""


def _spool_since() -> float:
    """When the oldest line of the spool was written, Unix time: 0 where it does not say, now without lines."""
    oldest: dict[str, Path] = {}  # of each Envoy; the names of rotated files sort before the current one's
    for path in sorted(SPOOL.glob("[!.]*.ndjson")):
        oldest.setdefault(epoch_of(path.name), path)
    return min((_begun(path) for path in oldest.values()), default=time.time())


def _begun(path: Path) -> float:
    with path.open("rb") as file:
        text = file.readline(LINE_LIMIT_BYTES)
    line = parsed(text) if text else None
    try:
        return dt.datetime.fromisoformat((line and line.time) or "").timestamp() if text else time.time()
    except ValueError:
        return 0.0

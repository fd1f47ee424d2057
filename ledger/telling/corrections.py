"""How far our count of a prompt is from what its provider reports, learned line by line for each API and model.

A count before any correction is compared, so that a factor never feeds on itself, whichever one a worker had in use.
Kept over restarts; told to the workers by the feed.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import structlog

from headgate import metrics
from headgate.contract import LEDGER
from headgate.feed.factors import MOST_FACTORS, ByModel, clamped
from headgate.snapshot import TenantRow
from ledger.spool.lines import Line
from ledger.tables import Tables

CORRECTIONS = LEDGER / "corrections.json"
VERSION = 1

LEAST_SAMPLES = 20
LEAST_WEIGHT = 1.0
_KEPT = 1 - 1 / 200  # of what is known, at each full sample: the last few hundred prompts decide
_FULL_TOKENS = 1000  # shorter prompts weigh less: what a template adds is most of them
_TOLD_DIGITS = 2  # finer differences are noise

log = structlog.get_logger()


class Mean(msgspec.Struct):
    """An exponential mean of reported / counted."""

    api: str
    model: str
    weighted: float = 0.0
    weight: float = 0.0
    samples: int = 0

    def add(self, counted: int, reported: int) -> None:
        """One prompt; a ratio out of bounds counts as the bound, so that no single one moves the mean far."""
        share = min(counted / _FULL_TOKENS, 1.0)
        kept = 1 - share * (1 - _KEPT)
        self.weighted = self.weighted * kept + share * clamped(reported / counted)
        self.weight = self.weight * kept + share
        self.samples += 1

    def factor(self) -> float:
        """1 while too little is known."""
        if self.samples < LEAST_SAMPLES or self.weight < LEAST_WEIGHT:
            return 1.0
        return round(clamped(self.weighted / self.weight), _TOLD_DIGITS)


class _Kept(msgspec.Struct):
    """The whole file."""

    means: list[Mean] = []
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Sample:
    """What one request says: both counts of its prompt, and whose they are."""

    api: str
    model: str
    counted: int
    reported: int


def sample_of(line: Line, tenant_of: Callable[[str], TenantRow | None]) -> Sample | None:
    """None where a line says nothing: the count is the first target's, so that one has to have answered."""
    if line.type != "end" or line.attempts != 1 or line.status is None or not 200 <= line.status < 300:
        return None
    if not line.counted_tokens or not line.prompt_tokens or min(line.counted_tokens, line.prompt_tokens) < 1:
        return None
    tenant = tenant_of(line.tenant or "")
    for target in tenant.targets(line.model or "") if tenant else ():
        if (target.provider, target.model) == (line.target, line.upstream_model):
            return Sample(*target.counted_as, line.counted_tokens, line.prompt_tokens)
    return None


class Corrections:
    """An observer of the follower's. `take` is told all factors that are not 1, at the start and when they change."""

    def __init__(self, take: Callable[[ByModel], None], tables: Tables) -> None:
        self._take = take
        self._tables = tables
        self._means = {(mean.api, mean.model): mean for mean in _load()}
        self._changed = False
        self._told: dict[tuple[str, str], float] = {}
        self._tell()

    def on_line(self, line: Line) -> None:
        """Learn from a request that has ended."""
        sample = sample_of(line, self._tables.tenant)
        if sample is None:
            return
        # The one that was used last is the last one: what nobody uses any more goes first.
        mean = self._means.pop((sample.api, sample.model), None) or Mean(sample.api, sample.model)
        self._means[sample.api, sample.model] = mean
        if len(self._means) > MOST_FACTORS:
            del self._means[next(iter(self._means))]
        mean.add(sample.counted, sample.reported)
        self._changed = True

    def save(self) -> None:
        """Tell and keep what was learned since the last time. Not synced: what is lost is learned again."""
        if not self._changed:
            return
        self._changed = False
        self._tell()
        try:
            _write(_Kept(list(self._means.values())))
        except OSError as error:
            log.warning("corrections can't be kept", error=str(error))

    def _tell(self) -> None:
        factors = {target: mean.factor() for target, mean in self._means.items()}
        told = {target: factor for target, factor in factors.items() if factor != 1.0}
        if told == self._told:
            return
        for target in told.keys() | self._told.keys():
            metrics.TOKEN_FACTOR.labels(*target).set(factors.get(target, 1.0))
        self._told = told
        self._take(told)


def _write(kept: _Kept) -> None:
    draft = CORRECTIONS.with_name(f".{CORRECTIONS.name}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
        file.write(msgspec.json.encode(kept))
    draft.replace(CORRECTIONS)


def _load() -> list[Mean]:
    try:
        kept = msgspec.json.decode(CORRECTIONS.read_bytes(), type=_Kept)
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError) as error:
        log.warning("corrections can't be read: they are learned anew", error=str(error))
        return []
    return kept.means[-MOST_FACTORS:] if kept.version == VERSION else []

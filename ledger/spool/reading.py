"""What lines of the spool say: who ended, who is to be told, and what is no line at all.

Nothing that stands there stops it. No line is waited for here, and nothing is settled.
"""

import time
from collections import Counter
from collections.abc import Callable

import structlog

from headgate import metrics
from ledger.erasing.erased import Erased
from ledger.journal.making import end_line_of
from ledger.pricing.pricing import PricesAway
from ledger.settling.budget_ends import BudgetEnds
from ledger.settling.charges import NO_CHARGE
from ledger.settling.ends import End, PriceOf, end_of
from ledger.settling.usage import EndLine
from ledger.spool.line_times import is_ahead, made_at
from ledger.spool.lines import LINE_TYPES, Line, parsed, problem_of
from ledger.spool.quarantine import TEXT_BYTES, Bad, Quarantine
from ledger.spool.spool_file import Batch, SpoolFile

OnLine = Callable[[Line], None]
OnBatch = Callable[[], None]
OnEnd = Callable[[Line, str], None]

log = structlog.get_logger()


class LineReader:
    """`observers` see every line once, but for a crash; `after` is called when they have seen a batch.

    Lines of tenants that are `erased` are nobody's from here on. What is no line goes into the `quarantine`.
    `kept_for_s` says how long a tenant's rows are kept. `on_end` is told of every request that has ended, with its
    Envoy's epoch, at once; again after a crash.
    """

    def __init__(
        self,
        price_of: PriceOf,
        observers: tuple[OnLine, ...],
        budgets: BudgetEnds,
        after: OnBatch,
        erased: Erased,
        quarantine: Quarantine,
        kept_for_s: Callable[[str], int | None],
        on_end: OnEnd = lambda _, __: None,
    ) -> None:
        self._price_of = price_of
        self._observers = observers
        self._budgets = budgets
        self._after = after
        self._erased = erased
        self._quarantine = quarantine
        self._kept_for_s = kept_for_s
        self._on_end = on_end
        self.lines: Counter[str] = Counter()  # by type, those that are none among them

    def read(self, file: SpoolFile, batch: Batch) -> tuple[list[End], list[EndLine], int]:
        """The requests that ended in the batch, after the observers have seen the lines that are new to them.

        And up to which byte: that of a line whose price can't be read now, where there is one.
        """
        ends: list[End] = []
        lines: list[EndLine] = []
        bad: list[Bad] = []
        types: Counter[str] = Counter()
        ahead = 0
        at, epoch, read_ms = batch.start, file.epoch, time.time_ns() // 1_000_000
        for text in batch.lines:
            start, at = at, at + len(text) + 1
            line = parsed(text)
            if line is None or line.type not in LINE_TYPES:
                bad.append(Bad(file.path.name, start, len(text), problem_of(text), text[:TEXT_BYTES]))
                continue
            if is_ahead(line, read_ms):  # a window that is to come would stand for the one that is
                line, ahead = made_at(line, read_ms), ahead + 1
            line = self._erased.renamed(line)
            if line.type == "end":
                self._on_end(line, epoch)
                try:
                    end, of_budgets = end_of(line, epoch, self._price_of, at), self._budgets.of(line, epoch, at)
                except PricesAway:  # a price that is not known is not nothing
                    at = start
                    break
                ends += [end, *of_budgets] if end else of_budgets
                charge, kept_for_s = end.charge if end else NO_CHARGE, self._kept_for_s(line.tenant or "")
                lines.append(end_line_of(line, charge, text, at, read_ms, kept_for_s))
            if at > file.seen:
                types[line.type] += 1
                self._show(line)
        if ahead:
            log.warning("lines are dated ahead: they count from now", name=file.path.name, lines=ahead)
        self._set_apart(file, bad)
        self._count(types)
        self._after()
        return ends, lines, at

    def leave_out(self, file: SpoolFile) -> bool:
        """What was too long to be a line; whether there was any."""
        found, file.too_long = file.too_long, []
        self._set_apart(file, [Bad(file.path.name, one.at, one.size, "too long", one.text) for one in found])
        return bool(found)

    def cut_off(self, file: SpoolFile, tail: bytes) -> None:
        """The beginning of a line whose end will not come: the file's last."""
        if file.read < file.seen:  # by an earlier process
            return
        log.warning("last line of an envoy that ended is cut off", name=file.path.name, size_bytes=len(tail))
        self._keep([Bad(file.path.name, file.read, len(tail), "cut off", tail[:TEXT_BYTES])])

    def _set_apart(self, file: SpoolFile, found: list[Bad]) -> None:
        bad = [one for one in found if one.at >= file.seen]
        if bad:
            log.error("spool lines that are none", name=file.path.name, lines=len(bad), first_byte=bad[0].at)
            self._keep(bad)

    def _keep(self, bad: list[Bad]) -> None:
        self._count(Counter(garbage=len(bad)))
        self._quarantine.add(bad)

    def _count(self, types: "Counter[str]") -> None:
        self.lines += types
        for kind, number in types.items():
            metrics.LEDGER_LINES.labels(kind).inc(number)

    def _show(self, line: Line) -> None:
        for observer in self._observers:
            try:
                observer(line)
            except Exception:  # an observer's bug must not keep reservations open
                log.exception("observer failed", request_id=line.request_id)

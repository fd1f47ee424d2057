"""Holds what clients saw, the engine made, the ledger counted and the store has against each other. Pure.

A request is *recorded* when the store has its line's row; *recovered* too when Envoy was killed before that line was
on the disk, and the ledger made one of the request's record. It is *covered* when the store has its charged
reservation instead. Everything that is not as it must be is a sentence in `problems`.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.crash.asks import INPUT_NANO, OUTPUT_NANO, UNLIMITED, Kill
from bench.crash.cases import Case, cases_of
from bench.crash.clients import Answer
from bench.crash.engine import Made
from bench.crash.kept import Kept, Stored, Sums
from ledger.spool.lines import RECOVERED

ESTIMATES_WITHIN = 0.05
FLUSH_S = 0.02  # --file-flush-interval-msec, headgate/supervise/parts.py
SLACK_S = 0.5  # until the thread that writes has its turn on a machine that has none to spare

_SHOWN = 5


@dataclass(frozen=True)
class Estimates:
    """Tokens that nobody reported: what was charged, and between what they truly are."""

    requests: int = 0
    charged: int = 0
    least: int = 0
    most: int = 0

    def add(self, charged: int, least: int, most: int) -> "Estimates":
        """One request more."""
        return Estimates(self.requests + 1, self.charged + charged, self.least + least, self.most + most)

    @property
    def fit(self) -> bool:
        """Whether they are within 5 % of what may be true."""
        return self.least * (1 - ESTIMATES_WITHIN) <= self.charged <= self.most * (1 + ESTIMATES_WITHIN)


@dataclass
class Verdict:
    """Figures by name, and what is wrong."""

    figures: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def hold(self, holds: bool, problem: str) -> None:
        """Note a problem unless it `holds`."""
        if not holds:
            self.problems.append(problem)


def verdict_of(
    answers: Sequence[Answer],
    killed: Sequence[Kill],
    made: Mapping[str, list[Made]],
    kept: Kept,
    limits: Mapping[str, Mapping[str, Any]],
) -> Verdict:
    """Look at all of it."""
    verdict = Verdict()
    cases, silent = cases_of(answers, made, kept.rows)
    _look_at_ids(verdict, cases, silent, kept.rows)
    _look_at_presence(verdict, cases, killed)
    _look_at_recorded(verdict, cases)
    _look_at_estimates(verdict, cases)
    _look_at_unwritten(verdict, cases, killed, kept)
    _look_at_sums(verdict, kept, limits)
    verdict.figures |= {"requests": len(answers), "kills": dict(Counter(kill.part for kill in killed))}
    return verdict


def _look_at_ids(verdict: Verdict, cases: Sequence[Case], silent: Sequence[Answer], rows: Sequence[Stored]) -> None:
    """None counts twice, and none came from nowhere."""
    standing: Counter[str] = Counter()
    for row in rows:
        standing[row.request_id] += row.sign
    twice = [request_id for request_id, count in standing.items() if count != 1]
    verdict.hold(not twice, f"{len(twice)} request ids count otherwise than once: {twice[:_SHOWN]}")
    left = sum(answer.left for answer in silent)
    verdict.figures["left before they were anything"] = left
    verdict.figures["cut off before they were anything"] = len(silent) - left
    strangers = [case for case in cases if not case.answer]
    known = all(one.row and (one.row.reason or not one.row.requests) for one in strangers)
    verdict.hold(
        known and len(strangers) <= len(silent),
        f"{len(strangers)} rows for {len(silent)} requests without an answer: {strangers[:_SHOWN]}",
    )


def _age_s(answer: Answer, killed: Sequence[Kill]) -> float:
    """How long before Envoy was killed it had ended. A client may read a while later what Envoy had sent."""
    moments = (kill.at for kill in killed if kill.part == "envoy")
    ages = (at - answer.ended_at for at in moments if at >= answer.ended_at - SLACK_S)
    return max(0.0, min(ages, default=float("inf")))


def _look_at_presence(verdict: Verdict, cases: Sequence[Case], killed: Sequence[Kill]) -> None:
    """Who was answered, or has made an engine work, is in the store."""
    missing = [case for case in cases if not case.row]
    free = [case for case in missing if not case.made and case.answer and (case.answer.status or 0) >= 400]
    lost = [case for case in missing if case not in free]
    verdict.figures["answered"] = sum(bool(case.answer and case.answer.status) for case in cases)
    verdict.figures["in the store"] = sum(bool(case.row) for case in cases)
    verdict.figures["refusals that were lost"] = len(free)
    old = [case for case in free if case.answer and _age_s(case.answer, killed) > FLUSH_S + SLACK_S]
    verdict.hold(not old, f"refusals were lost that are older than a flush: {old[:_SHOWN]}")
    verdict.hold(not lost, f"{len(lost)} requests are lost: {lost[:_SHOWN]}")


def _look_at_recorded(verdict: Verdict, cases: Sequence[Case]) -> None:
    """Token by token, of what was reported."""
    counts: Counter[str] = Counter()
    for case in cases:
        row = case.row
        if not row or row.reason:
            continue
        counts["recorded"] += 1
        price = row.input * INPUT_NANO + row.output * OUTPUT_NANO
        verdict.hold(row.nano_usd == price, f"{row.nano_usd} nano-USD for {row}")
        if row.status >= 400:
            counts["failed"] += 1
            verdict.hold(row.output == row.input == 0, f"a failure is charged tokens: {case}")
        elif row.estimated:
            counts["estimated"] += 1
            guessed = case.is_finished and row.provider != "none"
            verdict.hold(not guessed, f"finished, and guessed though it was reported: {case}")
        elif case.is_finished:
            counts["finished"] += 1
            told, true = (row.input, row.output), (case.words, case.generated)
            verdict.hold(told == true, f"finished: stored {told}, made {true}: {case}")
            verdict.hold(case.delivered == case.generated, f"finished: not all was delivered: {case}")
        else:
            counts["aborted"] += 1
            in_order = case.delivered <= row.output <= case.generated
            verdict.hold(in_order, f"aborted: {case.delivered} <= {row.output} <= {case.generated}: {case}")
    verdict.figures |= counts


def _look_at_estimates(verdict: Verdict, cases: Sequence[Case]) -> None:
    """Of prompts and of answers, each model by itself."""
    found: defaultdict[str, Estimates] = defaultdict(Estimates)
    for case in cases:
        row = case.row
        if not row or row.reason or not row.estimated or case.is_lesson:
            continue
        name = f"estimated answers, {row.model} at {row.provider}"
        found[name] = found[name].add(row.output, case.delivered, case.generated)
        if case.made:
            found["estimated prompts"] = found["estimated prompts"].add(row.input, case.words, case.words)
        slack = 1 + ESTIMATES_WITHIN
        in_order = case.delivered <= row.output * slack + 1 and row.output <= case.generated * slack + 1
        verdict.hold(in_order, f"estimated: {case.delivered} <= {row.output} <= {case.generated}: {case}")
    for name, estimates in sorted(found.items()):
        verdict.figures[name] = estimates
        verdict.hold(estimates.fit, f"{name} are not within 5 %: {estimates}")


def _look_at_unwritten(verdict: Verdict, cases: Sequence[Case], killed: Sequence[Kill], kept: Kept) -> None:
    """What Envoy took with it was not over for longer than the flush interval; a reservation covers what was made."""
    recovered = [case for case in cases if case.row and case.row.flags == RECOVERED]
    covered = [case for case in cases if case.row and case.row.reason]
    late = [_age_s(case.answer, killed) for case in (*recovered, *covered) if case.answer and case.answer.whole]
    for case in covered:
        verdict.hold(bool(case.row and case.row.output >= case.generated), f"covered by less than was made: {case}")
    verdict.figures["recovered"] = len(recovered)
    unlimited = [case for case in recovered if case.row and case.row.tenant == UNLIMITED]
    verdict.figures["of these without limits"] = len(unlimited)
    verdict.figures["covered by their reservation"] = len(covered)
    verdict.figures["of both answered whole"] = len(late)
    oldest = max(late, default=0.0)
    verdict.figures["at most so long before the kill, ms"] = round(1000 * oldest, 1)
    verdict.hold(oldest <= FLUSH_S + SLACK_S, f"lines were lost that are older: {sorted(late)[-_SHOWN:]}")
    ids = {case.request_id for case in covered}
    verdict.hold(ids == kept.estimates, f"charged without a record: {len(kept.estimates)}, stored so: {len(ids)}")


def _look_at_sums(verdict: Verdict, kept: Kept, limits: Mapping[str, Mapping[str, Any]]) -> None:
    """The ledger's sums, the store's rows, the store's sums and the counters are one."""
    stored: dict[str, Sums] = {}
    for row in kept.rows:
        if row.tenant:
            amounts = (row.requests, row.input, row.output, row.nano_usd)
            before = stored.get(row.tenant, Sums(0, 0, 0, 0))
            stored[row.tenant] = Sums(*(one + row.sign * more for one, more in zip(before, amounts, strict=True)))
    verdict.figures["settled"] = dict(kept.settled)
    verdict.hold(dict(kept.settled) == stored, f"settled {dict(kept.settled)}, stored {stored}")
    for table, rolled in kept.rollups.items():
        verdict.hold(dict(rolled) == stored, f"{table} has {rolled}, the rows have {stored}")
    for tenant, sums in kept.settled.items():
        if tenant not in limits:
            continue
        tokens, usd = (limits[tenant][name]["used"] for name in ("monthly_tokens", "monthly_usd"))
        told = (int(tokens), round(float(usd) * 1e9))
        verdict.hold(told == (sums.input + sums.output, sums.nano_usd), f"{tenant}'s limits say {told}, not {sums}")

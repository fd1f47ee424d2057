"""What the crash test would say of a gateway that loses, doubles or changes anything."""

from dataclasses import replace

import pytest

from bench.crash.asks import INPUT_NANO, OUTPUT_NANO, Ask, Kill
from bench.crash.clients import Answer
from bench.crash.engine import Made
from bench.crash.kept import Kept, Stored, Sums
from bench.crash.verdict import Verdict, verdict_of
from ledger.spool.lines import RECOVERED

WORDS, TOKENS, NANO = 300, 30, 300 * INPUT_NANO + 30 * OUTPUT_NANO
ROW = Stored("id", 1, "acme", "continuous", "continuous", "7", 200, "-", 1, WORDS, TOKENS, False, "", NANO)
ASK = Ask(7, "acme", "continuous", streamed=True, tokens=TOKENS, words=WORDS)
WHOLE = Answer(ASK, 100.0, "id", 200, events=TOKENS, whole=True, ended_at=101.0)
MADE = Made(7, True, WORDS, TOKENS, 1, failed=False, events=TOKENS, completed=True)
CUT = replace(WHOLE, whole=False, events=10, left=True)


def judged(
    *rows: Stored, answer: Answer = WHOLE, made: Made = MADE, kills: tuple[Kill, ...] = (), lost: bool = False
) -> Verdict:
    """Sums and limits are right, unless something of it was `lost` on the way to the store."""
    some = Sums(*(sum(row.sign * row[at] for row in rows) for at in (8, 9, 10, 13)))
    sums = {"acme": some} if rows else {}
    settled = {"acme": some._replace(output=some.output + 1)} if lost else sums
    reserved = frozenset(row.request_id for row in rows if row.reason)
    kept = Kept(settled, list(rows), {"usage_by_day": sums}, reserved)
    tokens = sum(one.input + one.output for one in settled.values())
    used = {"monthly_tokens": {"used": tokens}, "monthly_usd": {"used": str(some.nano_usd / 1e9)}}
    return verdict_of([answer], kills, {"id": [made]}, kept, {"acme": used})


def test_nothing_is_wrong_with_what_adds_up() -> None:
    assert judged(ROW).problems == []
    assert judged(priced(ROW, output=12), answer=CUT, made=replace(MADE, events=13, completed=False)).problems == []


def priced(row: Stored, *, output: int) -> Stored:
    return row._replace(output=output, nano_usd=row.input * INPUT_NANO + output * OUTPUT_NANO)


@pytest.mark.parametrize(
    ("verdict", "problem"),
    [
        (judged(), "requests are lost"),
        (judged(ROW, ROW), "count otherwise than once"),
        (judged(ROW, ROW._replace(sign=-1)), "count otherwise than once"),
        (judged(priced(ROW, output=29)), "finished: stored (300, 29), made (300, 30)"),
        (judged(ROW._replace(nano_usd=NANO + 1)), "nano-USD for"),
        (judged(priced(ROW, output=9), answer=CUT), "aborted: 10 <= 9 <= 30"),
        (judged(priced(ROW, output=31), answer=CUT), "aborted: 10 <= 31 <= 30"),
        (judged(priced(ROW, output=40)._replace(estimated=True)), "estimated: 30 <= 40 <= 30"),
        (judged(ROW._replace(estimated=True)), "guessed though it was reported"),
        (judged(ROW._replace(status=503), answer=replace(WHOLE, status=503)), "a failure is charged tokens"),
        (judged(ROW._replace(request_id="other")), "requests are lost"),
        (judged(ROW, lost=True), "settled {'acme'"),
        (judged(priced(ROW, output=20)._replace(reason="epoch")), "covered by less than was made"),
        (judged(ROW._replace(reason="epoch"), kills=(Kill("envoy", 102.0),)), "lines were lost that are older"),
    ],
)
def test_what_is_wrong_is_said(verdict: Verdict, problem: str) -> None:
    assert [one for one in verdict.problems if problem in one], verdict.problems


def test_a_reservation_covers_what_the_killed_envoy_had_not_written() -> None:
    assert judged(priced(ROW, output=120)._replace(reason="epoch"), kills=(Kill("envoy", 101.01),)).problems == []


def test_a_refusal_may_be_lost_in_the_last_moment_alone() -> None:
    refused = replace(WHOLE, status=503)
    for at, is_fine in ((101.01, True), (109.0, False)):
        verdict = verdict_of([refused], [Kill("envoy", at)], {}, Kept({}, [], {}, frozenset()), {})
        assert (verdict.problems == []) is is_fine


def test_what_is_recovered_is_exact_and_ended_right_before_the_kill() -> None:
    recovered = ROW._replace(flags=RECOVERED)
    assert judged(recovered, kills=(Kill("envoy", 101.01),)).problems == []
    assert judged(recovered, kills=(Kill("envoy", 102.0),)).problems
    assert judged(priced(recovered, output=29), kills=(Kill("envoy", 101.01),)).problems

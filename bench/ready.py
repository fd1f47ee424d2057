"""When what is measured takes requests."""

import time
from collections.abc import Callable

import msgspec

from bench.batch import Ask, Batch, Outcome
from bench.child import Child
from bench.failure import Failure
from bench.subject import Subject

_WITHIN_S = 180.0
_POLL_S = 0.01

_QUIET_MS, _LOOK_S, _QUIET_WITHIN_S = 25.0, 0.5, 20.0


def until_answered(client: Child, subject: Subject, check: Callable[[], None]) -> float:
    """Ask until a small request is answered; when it was, on the monotonic clock.

    Raises Failure after three minutes, and what `check` raises before.
    """
    batch = Batch(subject.port, [Ask(subject.body(), dict(subject.headers))], within_s=30, count=1)
    line = msgspec.json.encode(batch)
    deadline = time.monotonic() + _WITHIN_S
    while True:
        outcome = msgspec.json.decode(client.ask(line), type=Outcome)
        if outcome.answered:
            return time.monotonic()
        check()
        if time.monotonic() > deadline:
            raise Failure(f"{subject.name} does not answer: {outcome.errors}")
        time.sleep(_POLL_S)


def until_quiet(subject: Subject) -> None:
    """Until no part is busy any more with what its start left to be done; 20 seconds at most."""
    deadline = time.monotonic() + _QUIET_WITHIN_S
    while time.monotonic() < deadline:
        before = subject.cpu_ns()
        time.sleep(_LOOK_S)
        after = subject.cpu_ns()
        if all(after[name] - before[name] < _QUIET_MS * 1e6 for name in before):
            return

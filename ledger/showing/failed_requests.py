"""One log line for each request that needed more than one attempt, or failed: what was tried, and what came of it.

Attempts and ends come from two files that Envoy flushes separately, in either order: whoever is first waits a moment
for the other. What is remembered is bounded; what is forgotten is missing in a log line and nowhere else.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog

from ledger.spool.attempts import Attempt, kind_of, kind_of_flags
from ledger.spool.lines import Line

WAIT_S = 2.0  # Envoy flushes every 20 ms
REQUESTS_CAP = 10_000
ATTEMPTS_CAP = 32  # of one request
_REASON_LENGTH = 200

_WITHOUT_ATTEMPT = ("breaker", "no_endpoint")  # Envoy tried nothing, so that there is no line of it
_REFUSED = (401, 403, 408, 429)  # by a provider: the gateway's credential or quota, not the client's mistake

log = structlog.get_logger()


@dataclass(slots=True)
class _Ended:
    line: Line
    until: float
    attempts: list[Attempt] = field(default_factory=list)


class FailedRequests:
    """An observer of both files; `flush` it every second or so. `clock` is monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._attempts: dict[str, list[Attempt]] = {}  # of requests that run
        self._ended: dict[str, _Ended] = {}  # that wait for lines of attempts

    def on_attempt(self, attempt: Attempt) -> None:
        """One attempt has failed."""
        if not attempt.request_id:
            return
        if ended := self._ended.get(attempt.request_id):
            ended.attempts.append(attempt)
            self._tell_if_complete(ended)
            return
        some = self._attempts.setdefault(attempt.request_id, [])
        if len(some) < ATTEMPTS_CAP:
            some.append(attempt)
        if len(self._attempts) > REQUESTS_CAP:
            del self._attempts[next(iter(self._attempts))]

    def on_line(self, line: Line) -> None:
        """A request has ended."""
        if line.type != "end" or not line.request_id:
            return
        attempts = self._attempts.pop(line.request_id, [])
        if not _is_worth_a_line(line):
            return
        ended = self._ended[line.request_id] = _Ended(line, self._clock() + WAIT_S, attempts)
        if not self._tell_if_complete(ended) and len(self._ended) > REQUESTS_CAP:
            self._tell(next(iter(self._ended.values())))

    def flush(self, *, all_of_them: bool = False) -> None:
        """Tell of requests that have waited for long enough."""
        now = self._clock()
        for ended in list(self._ended.values()):
            if ended.until > now and not all_of_them:
                return  # they are in order
            self._tell(ended)

    def _tell_if_complete(self, ended: _Ended) -> bool:
        complete = len(ended.attempts) >= _failed_attempts(ended.line)
        if complete:
            self._tell(ended)
        return complete

    def _tell(self, ended: _Ended) -> None:
        line = ended.line
        del self._ended[line.request_id or ""]
        write, event = (log.warning, "request failed") if _has_failed(line) else (log.info, "request was retried")
        write(
            event,
            request_id=line.request_id,
            tenant=line.tenant,
            model=line.model,
            target=line.target,
            status=line.status,
            flags=line.flags,
            attempts=line.attempts,
            failed_attempts=[_told(attempt, line) for attempt in ended.attempts] + _untold(line),
            duration_ms=line.duration_ms,
        )


def _is_worth_a_line(line: Line) -> bool:
    return (line.attempts or 0) > 1 or _has_failed(line)


def _has_failed(line: Line) -> bool:
    """Whether its provider is to blame; not for what it said about a client's mistake, nor for a client that left."""
    if not line.attempts or line.client_left:
        return False
    status = line.status or 0
    return status in _REFUSED or status >= 500 or kind_of_flags(line.flags) is not None


def _failed_attempts(line: Line) -> int:
    """How many attempts must have a line of their own."""
    attempts, kind = line.attempts or 0, kind_of_flags(line.flags)
    last_has_none = kind in _WITHOUT_ATTEMPT or (kind is None and 0 < (line.status or 0) < 400)
    return attempts - 1 if last_has_none else attempts


def _told(attempt: Attempt, line: Line) -> dict[str, Any]:
    kind = kind_of(attempt)
    said = {
        "target": attempt.target,
        "key_name": attempt.provider_key,
        # The attempt itself says only that nobody waited for it any more; its request knows why.
        "kind": kind_of_flags(line.flags) or kind if kind in ("given_up", "hedged") else kind,
        "status": attempt.status or None,
        "reason": (attempt.reason or "")[:_REASON_LENGTH] or None,
        "duration_ms": attempt.duration_ms,
    }
    return {name: value for name, value in said.items() if value is not None}


def _untold(line: Line) -> list[dict[str, Any]]:
    """The last target, when Envoy would not try it."""
    kind = kind_of_flags(line.flags)
    return [{"target": line.target, "kind": kind}] if kind in _WITHOUT_ATTEMPT else []

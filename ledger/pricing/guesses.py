"""What tokens were that no provider has reported, learned line by line from requests whose provider did report them.

Of each model at each provider, and of each model wherever it was answered, for providers that never report. Kept over
restarts; a guess is between what passed at least and what can have been at most, whatever was learned.
"""

import os

import msgspec
import structlog

from headgate.contract import LEDGER
from ledger.pricing.fits import Fit, Shares
from ledger.pricing.prices import WITHOUT_OUTPUT
from ledger.pricing.pricing import NO_GUESS, Guess
from ledger.spool.lines import Line

GUESSES = LEDGER / "guesses.json"
VERSION = 3

MOST_KNOWN = 500
_OFTEN = 200  # samples; from then on one in so many is enough:
_ONE_IN = 8
_MOST_LEARNED = 10_000_000  # bytes or tokens: what claims more teaches nothing
_BYTES_PER_TOKEN = 4
_MOST_UNKNOWN_BYTES = 32_768  # of a prompt: what is larger may be a picture
_NEVER_REPORTED = ("moderations", "rerank")

Place = tuple[str, str, str, bool]

log = structlog.get_logger()


class Known(msgspec.Struct):
    """Of a model at a provider, or, without the provider's name, of a model; of one surface, streamed or not.

    Tokens by a prompt's bytes, by events, and by bytes of the answer; `most` of a prompt.
    """

    place: Place
    prompt: Shares = msgspec.field(default_factory=Shares)
    events: Fit = msgspec.field(default_factory=Fit)
    answer: Fit = msgspec.field(default_factory=Fit)
    most: int = 0
    seen: int = 0

    def learn(self, line: Line) -> None:
        """From a line that has both counts."""
        self.seen += 1
        if self.seen > _OFTEN and self.seen % _ONE_IN:
            return
        prompt, completion = line.prompt_tokens or 0, line.completion_tokens or 0
        _add(self.prompt, line.bytes_in, prompt)
        _add(self.events, line.content_events, completion)
        _add(self.answer, line.content_bytes, completion)
        self.most = max(self.most, min(prompt, _MOST_LEARNED))

    def prompt_of(self, line: Line) -> int | None:
        """None while too little is known."""
        size = line.bytes_in or 0
        if not self.prompt.is_known or size < 1:
            return None
        return max(1, min(round(self.prompt.best(size)), size, self.most))

    def completion_of(self, line: Line) -> int | None:
        """The same of what was delivered. A stream may have been cut, so that nothing else is around its text."""
        events, size = max(line.content_events or 0, 0), max(line.content_bytes or 0, 0)
        if not self.answer.is_known:
            return None
        if not self.place[3]:
            guess = self.answer.best(size)
        elif self.events.is_known and self.events.flat_error <= self.answer.flat_error:
            guess = self.events.flat(events)
        else:
            guess = self.answer.flat(size)
        least = max(events, min(size, 1))
        return max(least, min(round(guess), max(size, events)))


class _Kept(msgspec.Struct):
    """The whole file."""

    known: list[Known] = []
    version: int = VERSION


class Guesses:
    """An observer of the follower's: give it every line; ask `guess_of` when one lacks a count."""

    def __init__(self) -> None:
        self._known = {known.place: known for known in _load()}
        self._changed = False

    def on_line(self, line: Line) -> None:
        """Learn from a request that has ended."""
        if not _teaches(line):
            return
        for place in _places(line):
            # The one that was used last is the last one: what nobody uses any more goes first.
            known = self._known.pop(place, None) or Known(place)
            self._known[place] = known
            if len(self._known) > MOST_KNOWN:
                del self._known[next(iter(self._known))]
            known.learn(line)
        self._changed = True

    def guess_of(self, line: Line) -> Guess:
        """Nothing for what is reported, and for what is charged by the unit."""
        if line.prompt_tokens is not None and line.completion_tokens is not None:
            return NO_GUESS
        if line.unit or line.surface in _NEVER_REPORTED or not line.was_worked_on:
            return NO_GUESS
        known = [found for place in _places(line) if (found := self._known.get(place))]
        prompts = [guess for one in known if (guess := one.prompt_of(line)) is not None]
        completions = [guess for one in known if (guess := one.completion_of(line)) is not None]
        return Guess(prompts[0] if prompts else _unlearned(line), completions[0] if completions else None)

    def save(self) -> None:
        """Keep what was learned since the last time. Not synced: what is lost is learned again."""
        if not self._changed:
            return
        self._changed = False
        try:
            _write(_Kept(list(self._known.values())))
        except OSError as error:
            log.warning("guesses can't be kept", error=str(error))


def _teaches(line: Line) -> bool:
    """A whole answer with both counts. Reasoning that nobody saw would make each event worth more than it is."""
    return (
        line.type == "end"
        and 200 <= (line.status or 0) < 300
        and not line.client_left
        and (line.prompt_tokens or 0) > 0
        and ((line.completion_tokens or 0) > 0 or line.surface in WITHOUT_OUTPUT)
        and not line.reasoning_tokens
        and not line.unit
        and line.estimated_completion_tokens is None
    )


def _places(line: Line) -> tuple[Place, Place]:
    """An adapter counts as its base model does, so that a new version begins with what is known."""
    surface, streamed = line.surface or "", bool(line.streamed)
    return (
        (line.target or "", line.base_model or line.upstream_model or "", surface, streamed),
        ("", line.declared_model, surface, streamed),
    )


def _add(fit: Fit, size: int | None, tokens: int) -> None:
    if size and 0 < size <= _MOST_LEARNED and 0 < tokens <= _MOST_LEARNED:
        fit.add(size, tokens)


def _unlearned(line: Line) -> int | None:
    size = min(line.bytes_in or 0, _MOST_UNKNOWN_BYTES)
    return -(-size // _BYTES_PER_TOKEN) if size > 0 else None


def _write(kept: _Kept) -> None:
    draft = GUESSES.with_name(f".{GUESSES.name}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
        file.write(msgspec.json.encode(kept))
    draft.replace(GUESSES)


def _load() -> list[Known]:
    try:
        kept = msgspec.json.decode(GUESSES.read_bytes(), type=_Kept)
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError) as error:
        log.warning("guesses can't be read: they are learned anew", error=str(error))
        return []
    return kept.known[-MOST_KNOWN:] if kept.version == VERSION else []

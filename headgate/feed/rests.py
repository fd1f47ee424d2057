"""Rests in the counters: shared by all gateways that share them, ended by the server's clock, kept over restarts."""

import hashlib
from collections.abc import Iterable, Sequence
from importlib.resources import files

import msgspec

from headgate.counters.client import Counters
from headgate.counters.scripts import Script
from headgate.feed.messages import RESTS_KEY
from headgate.feed.states import Rest

MOST_RESTS = 1_000  # models at providers; far above what anybody configures


def _script() -> Script:
    text = (files("headgate.feed") / "rests.lua").read_text(encoding="utf-8")
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


SCRIPT = _script()


async def note(
    counters: Counters, rests: Iterable[Rest] = (), ended: Iterable[tuple[str, str]] = ()
) -> tuple[Rest, ...]:
    """Note these rests and the end of others; all that run now, with what is left of them. Raises Unavailable."""
    arguments: list[str | int] = [MOST_RESTS]
    for target in ended:
        arguments += [_target(*target), 0]
    for rest in rests:
        arguments += [_target(rest.cluster, rest.model), max(round(rest.left_s * 1000), 1)]
    return _rests(await counters.run(SCRIPT, (RESTS_KEY,), arguments))


def _target(cluster: str, model: str) -> str:
    return msgspec.json.encode((cluster, model)).decode()


def _rests(reply: Sequence[bytes | int]) -> tuple[Rest, ...]:
    found = []
    for target, left_ms in zip(reply[::2], reply[1::2], strict=True):
        try:
            cluster, model = msgspec.json.decode(target, type=tuple[str, str])  # type: ignore[arg-type] # bytes
        except msgspec.DecodeError:  # not by us
            continue
        found.append(Rest(cluster, model, int(left_ms) / 1000))
    return tuple(found)

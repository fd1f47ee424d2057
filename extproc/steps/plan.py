"""The plan: which target answers, which one after that, within which times."""

import random
import re
from typing import Any

from extproc.exchange import Exchange, Plan
from extproc.refusal import printable
from extproc.surfaces import COMPLETIONS
from headgate.snapshot import TargetRow

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")  # W3C Trace Context, 3.2
_USER_LIMIT = 256  # characters of `user` that the records keep
_ANSWERS_LIMIT = 2**20  # more than any provider gives at once; keeps a client's number within a double

_random = random.Random()  # noqa: S311 - spreads load, guards nothing


def choose_target(exchange: Exchange) -> None:
    """Draws among the targets of the first priority by weight; writes its model into the body."""
    first = [target for target in exchange.targets if target.priority == exchange.targets[0].priority]
    target = first[0] if len(first) == 1 else _drawn(first)
    if target.model != exchange.model:
        exchange.document.set("model", target.model)
    exchange.target = target


def _drawn(targets: list[TargetRow]) -> TargetRow:
    return _random.choices(targets, weights=[target.weight for target in targets])[0]


def make_plan(exchange: Exchange) -> None:
    """Fills `plan`. Replicas of the one target are tried in turn; Envoy picks another one each time."""
    document, surface, target, row = exchange.document, exchange.surface, exchange.target, exchange.row
    metadata: list[tuple[str, str | bool | int]] = [
        ("surface", surface.name),
        ("endpoint", surface.path),
        ("operation", surface.operation),
        ("model", exchange.model),
        ("upstream_model", target.model),
    ]
    if exchange.hide_usage_chunk:
        metadata.append(("hide_usage_chunk", True))
    if exchange.hide_usage_member:
        metadata.append(("hide_usage_member", True))
    # Where `n` is nobody's parameter it may be anything.
    answers = (document.get("n") or 1) if "n" in surface.parameters else 1
    prompts = _prompts(document.get("prompt")) if surface is COMPLETIONS else 1
    if answers * prompts > 1:
        metadata += [("answers", min(answers, _ANSWERS_LIMIT)), ("prompts", min(prompts, _ANSWERS_LIMIT))]
    streams = document.get("stream") is True
    trace = _TRACEPARENT.fullmatch(exchange.incoming.traceparent)
    exchange.plan = Plan(
        clusters=(target.cluster,) * min(row.max_attempts, target.endpoints),
        profile=row.stream_profile if streams else row.whole_profile,
        headers_ms=row.headers_ms if streams else None,
        user=printable((document.get("user") or "")[:_USER_LIMIT]),
        trace_id=trace[1] if trace else "",
        metadata=tuple(metadata),
    )


def _prompts(prompt: Any) -> int:
    """How many prompts a completion request has: one text or one list of tokens, or a list of either."""
    return len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1

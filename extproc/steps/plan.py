"""The plan: what Envoy and the filters behind it have to know of a request."""

import json
import re
from decimal import Decimal
from functools import lru_cache

from extproc.attempt_rows import AttemptRow, AttemptRows, encoded
from extproc.document import Document
from extproc.exchange import Exchange, Incoming, Plan, Use, Value
from extproc.fit import header_text
from extproc.form import Form
from extproc.native import is_native, native_fit
from extproc.refusal import printable
from extproc.same_api import Wanted, write_same_api
from extproc.steps.units import unit_of
from extproc.surface import Surface
from extproc.surfaces import CHAT, CHAT_LIST, COMPLETIONS, OF_RESPONSES, RESPONSES, SHOW_STORED
from headgate.contract import ADAPTER, ADAPTER_CLUSTER, ENGINE, LACKS_ADAPTER, LEADING_KEY, NO_KEY
from headgate.presets import keeps_responses
from headgate.prices import LIST_PRICE
from headgate.purses import written
from headgate.snapshot import TargetRow

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")  # W3C Trace Context, 3.2
_USER_LIMIT = 256  # characters of `user` that the records keep
_ANSWERS_LIMIT = 2**20  # more than any provider gives at once; keeps a client's number within a double


def write_body(exchange: Exchange) -> None:
    """Edits the body for the first attempt when its target speaks the client's API: it then costs no further call.

    Otherwise the body stays as the client wrote it. So it does where the target's preset would take something out of
    it and another target is in the chain: that one's body is made from this one. Marks likewise; of an answer that
    comes whole they have to be taken out again.
    """
    first, surface = exchange.chain[0], exchange.surface
    if not is_native(first, surface):
        return
    if exchange.marks and not (exchange.streams and all(target.stored for target in exchange.chain)):
        return
    fit = None if surface.passes else native_fit(first, surface, exchange.json.edited)
    if fit is None or all(target.is_sent_like(first) for target in exchange.chain):
        wanted = Wanted(first.model, first.usage, exchange.asked_usage, exchange.asked_each, fit, exchange.marks)
        write_same_api(exchange.document, surface, wanted)
        exchange.is_direct = True


def make_plan(exchange: Exchange) -> None:
    """Fills `plan`."""
    row, incoming, chain = exchange.row, exchange.incoming, exchange.chain
    headers_ms = row.headers_ms if exchange.streams else None
    hedge_ms = hedge_of(exchange)
    attempts = _of_attempts(chain, exchange.is_direct, headers_ms, exchange.asked_usage, exchange.asked_each)
    exchange.plan = Plan(
        clusters=tuple([target.cluster for target in chain]),
        profile=row.whole_profile if not exchange.streams else row.hedged_profile if hedge_ms else row.stream_profile,
        headers_ms=headers_ms,
        metadata=(*_of_request(exchange), *_of_answers(exchange), *attempts, *_drops(exchange)),
        own=(
            ("user", user_of_request(exchange)),
            ("trace_id", _trace_id(incoming.traceparent)),
            *_use(exchange.use, len(exchange.raw_body)),
            *_units(exchange),
            *_terms(exchange),
            *_stored(exchange),
            *((("budgets", written(chain[0].purse, exchange.held)),) if exchange.held else ()),
            *_slot(exchange),
        ),
        max_tokens=exchange.lowered_to,
        hedge_ms=hedge_ms,
        hosts=tuple(exchange.hosts),
    )


def hedge_of(exchange: Exchange) -> int | None:
    """When a stream is asked for once more: of a replica of the same target, which takes the same body."""
    chain = exchange.chain
    alike = len(chain) > 1 and all(target == chain[0] for target in chain)
    return exchange.row.hedge_ms if alike and exchange.streams and exchange.is_direct else None


def plan_by_id(exchange: Exchange) -> None:
    """Fills `plan` of a request that is about what was made before: one attempt, at the target that made it."""
    row, chain = exchange.row, exchange.chain
    headers_ms = row.headers_ms if exchange.streams else None
    exchange.plan = Plan(
        clusters=tuple([target.cluster for target in chain]),
        profile=row.stream_profile if exchange.streams else row.whole_profile,
        headers_ms=headers_ms,
        metadata=(
            *_of_request(exchange),
            *_of_attempts(chain, exchange.surface not in SHOW_STORED, headers_ms, False, False),
        ),
        own=(
            ("endpoint", exchange.endpoint),
            ("trace_id", _trace_id(exchange.incoming.traceparent)),
            *(_of_list(exchange.incoming) if exchange.surface is CHAT_LIST else ()),
        ),
        hosts=(exchange.replica,) if exchange.replica else (),
    )


def _of_list(incoming: Incoming) -> list[tuple[str, str]]:
    """Whose stored completions a list may have."""
    confined = incoming.key_models
    models = [] if confined is None else [("key_models", json.dumps(sorted(confined)))]
    return [("tenant", incoming.tenant), *models]


def _stored(exchange: Exchange) -> tuple[tuple[str, str | int | None], ...]:
    """Of a completion that is stored: its marks, or that there was no room for them."""
    if not exchange.stores:
        return ()
    return (("marks", json.dumps(exchange.marks)),) if exchange.marks else (("unlisted", "true"),)


def _slot(exchange: Exchange) -> tuple[tuple[str, str], ...]:
    """For the limiter, of a request that may have to wait: whose slot it takes, which adapter is used where, whether
    that has to come first, and what its replica is chosen by then. Texts, since only such are descriptors.
    """
    engine = "" if exchange.surface.is_free else exchange.chain[0].engine
    if not engine and not exchange.lacks_adapter:
        return ()
    first, version = exchange.chain[0], exchange.incoming.directory
    key = exchange.leading_key.hex() if exchange.leading_key else NO_KEY
    return (
        *([(ENGINE, engine)] if engine else []),
        *([] if exchange.replica else [(LEADING_KEY, key)]),
        *([(ADAPTER, first.model), (ADAPTER_CLUSTER, first.cluster)] if first.base is not None else []),
        *([(LACKS_ADAPTER, "true")] if exchange.lacks_adapter else []),
        *([("directory", str(version))] if version else []),
    )


def _use(use: Use | None, size: int) -> tuple[tuple[str, int | None], ...]:
    """For the spool. Where nobody has counted, the body's size, for the request's record (envoy/module/recorder.h):
    prompts are guessed by that, and what Envoy sends on has another one.
    """
    if use is None:
        return (("bytes_in", size),)
    return (
        ("estimated", use.prompt),
        ("counted", use.counted),
        ("estimated_output", use.answer * use.answers if use.in_background else None),
    )


def _units(exchange: Exchange) -> tuple[tuple[str, int], ...]:
    return () if exchange.units is None else (("estimated_units", exchange.units),)


def factor_of(exchange: Exchange) -> Decimal:
    """What the tenant pays of the model's price.

    A request is reserved and charged by the same terms, those of its beginning, whenever its line is read.
    """
    terms = exchange.tenant.terms if exchange.tenant else None
    return terms.of(exchange.base_model) if terms else LIST_PRICE


def _terms(exchange: Exchange) -> tuple[tuple[str, str], ...]:
    """The factor, where it is not all of the price, for the spool."""
    factor = factor_of(exchange)
    return () if factor == LIST_PRICE else (("price_factor", f"{factor:f}"),)


def _of_request(exchange: Exchange) -> list[tuple[str, Value]]:
    surface = exchange.surface
    special: list[tuple[str, Value]] = [("variant", exchange.variant)] if exchange.variant else []
    if exchange.streams and exchange.row.strategy == "fastest":
        special.append(("timed", True))
    return [
        *special,
        ("generation", exchange.snapshot.generation),
        ("surface", surface.name),
        ("endpoint", surface.path),
        ("operation", surface.operation),
        ("model", exchange.model),
        *([("base_model", exchange.base_model)] if exchange.alias else []),
        ("upstream_model", exchange.chain[0].model),
        *([("free", True)] if surface.is_free else []),
        *(_of_passed(surface, unit_of(exchange)) if surface.passes else ()),
    ]


def _of_passed(surface: Surface, unit: str) -> list[tuple[str, Value]]:
    """What an answer may be, and what is metered of it."""
    found: list[tuple[str, Value]] = [("passes", True)]
    if surface.answer_types:
        found.append(("answer_types", surface.answer_types))
    if unit:
        found.append(("unit", unit))
    return found


def _of_answers(exchange: Exchange) -> list[tuple[str, Value]]:
    """What the metering filter goes by."""
    found: list[tuple[str, Value]] = []
    if exchange.hide_usage_chunk:
        found.append(("hide_usage_chunk", True))
    if exchange.hide_usage_member:
        found.append(("hide_usage_member", True))
    watched = watched_providers(exchange)
    if watched:
        found.append(("watch", watched))
    answers, prompts = shown_of(exchange), prompts_of(exchange)
    if answers * prompts > 1:
        found += [("answers", min(answers, _ANSWERS_LIMIT)), ("prompts", min(prompts, _ANSWERS_LIMIT))]
    return found


@lru_cache(maxsize=4096)
def _of_attempts(
    chain: tuple[TargetRow, ...], is_direct: bool, headers_ms: int | None, asked_usage: bool, asked_each: bool
) -> tuple[tuple[str, Value], ...]:
    """`direct`: the attempts for which the body is right as it is, as ",1,3,"; for others, all that they need.

    `headers_ms` is of streams alone.
    """
    first = chain[0]
    direct = [number for number, target in enumerate(chain, 1) if is_direct and target.is_sent_like(first)]
    found: list[tuple[str, Value]] = [("direct", f",{','.join(map(str, direct))},")]
    if headers_ms is not None:
        found += [("headers_ms", headers_ms), ("streamed", True)]
    if len(direct) < len(chain):
        rows = [
            AttemptRow(
                one.provider,
                one.api,
                one.model,
                one.usage,
                one.max_output_tokens,
                one.preset,
                one.responses,
                one.stored,
            )
            for one in chain
        ]
        attempts = AttemptRows(rows, headers_ms is not None, asked_usage, asked_each)
        found += [("models", tuple(target.model for target in chain)), ("attempts", encoded(attempts))]
    return tuple(found)


def watched_providers(exchange: Exchange) -> str:
    """The providers of the chain that keep what they make, as ",a,b,": then its id has to be known here."""
    if exchange.stores:
        keep = [one for one in exchange.chain if one.stored]
    elif exchange.surface is not RESPONSES or exchange.document.get("store") is False:
        return ""
    else:
        keep = [one for one in exchange.chain if is_native(one, RESPONSES) and keeps_responses(one.preset)]
    return f",{','.join(dict.fromkeys(one.provider for one in keep))}," if keep else ""


def _drops(exchange: Exchange) -> list[tuple[str, Value]]:
    """What each attempt is made without, where nothing is translated: a translation says so itself."""
    surface, chain = exchange.surface, exchange.chain
    may_differ = surface in OF_RESPONSES or any(target.preset and is_native(target, surface) for target in chain)
    if surface.passes or not may_differ:
        return []
    values = exchange.document.values
    fits = [native_fit(target, surface, values) if is_native(target, surface) else None for target in chain]
    texts = tuple([header_text(fit.dropped) if fit else "" for fit in fits])
    return [("drops", texts)] if any(texts) else []


def user_of(document: Document | Form, surface: Surface) -> str:
    """Who the client says its user is."""
    if surface.api == "anthropic":
        metadata = document.get("metadata")
        user = metadata.get("user_id") if isinstance(metadata, dict) else None
        return user if isinstance(user, str) else ""
    user = document.get("user") or (surface is RESPONSES and document.get("safety_identifier"))
    return user if isinstance(user, str) else ""  # where it is nobody's parameter it may be anything


def user_of_request(exchange: Exchange) -> str:
    """The same, as records and limits have it."""
    return printable(user_of(exchange.document, exchange.surface)[:_USER_LIMIT])


def _trace_id(traceparent: str) -> str:
    if not traceparent:
        return ""
    match = _TRACEPARENT.fullmatch(traceparent)
    return match[1] if match else ""


def shown_of(exchange: Exchange) -> int:
    """How many answers to each prompt the client gets. Where `n` is nobody's parameter it may be anything."""
    return exchange.document.get("n") or 1 if "n" in exchange.surface.parameters else 1


def answers_of(exchange: Exchange) -> int:
    """How many are generated, some of them to be thrown away."""
    best_of = exchange.document.get("best_of") if exchange.surface in (CHAT, COMPLETIONS) else None
    # No parameter of chat completions, which some engines know there all the same: it may be anything.
    return max(1, shown_of(exchange), best_of if isinstance(best_of, int) else 1)


def prompts_of(exchange: Exchange) -> int:
    """How many prompts a completion request has: one text or one list of tokens, or a list of either."""
    prompt = exchange.document.get("prompt") if exchange.surface is COMPLETIONS else None
    return len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1

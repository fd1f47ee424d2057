"""GET /v1/models and /v1/models/{id}: the models that the tenant may use and no others, as the client's API has it.

OpenAI's list is whole; Anthropic's comes in pages (`limit`, `after_id`, `before_id`).
"""

import datetime as dt
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec

from extproc.exchange import Answer, Exchange
from extproc.refusal import BadRequest, Forbidden
from extproc.steps.policy import adapter_of, models_of, unknown_model
from extproc.surfaces import MODELS

_PAGE, _LARGEST_PAGE = 20, 1000  # https://platform.claude.com/docs/en/api/models-list


def answer_models(exchange: Exchange) -> Answer | None:
    """Answers the models endpoints; leaves every other request alone."""
    if exchange.surface is not MODELS:
        return None
    names = list(models_of(exchange))
    anthropic = exchange.incoming.api == "anthropic"
    if exchange.rest in ("", "/"):
        body = _page(exchange, names) if anthropic else _list(exchange, names)
    else:
        name = unquote(exchange.rest[1:])
        if name not in names:
            raise unknown_model(name)
        if exchange.incoming.method == "DELETE":
            raise Forbidden(
                f"The model '{name}' is configured by the operator of this gateway and cannot be deleted here.",
                param="model",
                code="model_not_deletable",
            )
        body = _anthropic_model(exchange, name) if anthropic else _openai_model(exchange, name)
    return Answer(msgspec.json.encode(body), MODELS)


def _list(exchange: Exchange, names: list[str]) -> dict[str, Any]:
    return {"object": "list", "data": [_openai_model(exchange, name) for name in names]}


def _openai_model(exchange: Exchange, name: str) -> dict[str, Any]:
    """https://platform.openai.com/docs/api-reference/models/object; of an adapter with vLLM's `root` and `parent`."""
    adapter = adapter_of(exchange, name)
    if adapter is None:
        return {"id": name, "object": "model", "created": exchange.snapshot.created, "owned_by": "headgate"}
    made = {"id": name, "object": "model", "created": adapter.created, "owned_by": adapter.owner}
    return {**made, "root": adapter.base_model, "parent": adapter.base_model}


def _page(exchange: Exchange, names: list[str]) -> dict[str, Any]:
    """The names between the cursors, as many as are asked for: the first ones, or with `before_id` the last ones."""
    query = parse_qs(exchange.incoming.path.partition("?")[2], keep_blank_values=True)
    stages = query.get("lifecycle[]", []) + query.get("lifecycle", [])
    limit, before = _limit(query), "before_id" in query
    found = names[_after(names, query) : _before(names, query)]
    if stages and "active" not in stages:  # which all of ours are
        found = []
    shown = found[-limit:] if before else found[:limit]
    return {
        "data": [_anthropic_model(exchange, name) for name in shown],
        "has_more": len(shown) < len(found),
        "first_id": shown[0] if shown else None,
        "last_id": shown[-1] if shown else None,
    }


def _anthropic_model(exchange: Exchange, name: str) -> dict[str, Any]:
    """https://platform.claude.com/docs/en/api/models"""
    adapter = adapter_of(exchange, name)
    created = dt.datetime.fromtimestamp(adapter.created if adapter else exchange.snapshot.created, dt.UTC)
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lifecycle": "active",
    }


def _limit(query: dict[str, list[str]]) -> int:
    text = query.get("limit", [str(_PAGE)])[-1]
    if not text.isdecimal() or len(text) > 4 or not 1 <= int(text) <= _LARGEST_PAGE:
        raise BadRequest(
            f"The parameter 'limit' is not a number from 1 to {_LARGEST_PAGE}.", param="limit", code="invalid_value"
        )
    return int(text)


def _after(names: list[str], query: dict[str, list[str]]) -> int:
    return _index(names, "after_id", query) + 1 if "after_id" in query else 0


def _before(names: list[str], query: dict[str, list[str]]) -> int:
    return _index(names, "before_id", query) if "before_id" in query else len(names)


def _index(names: list[str], cursor: str, query: dict[str, list[str]]) -> int:
    name = query[cursor][-1]
    if name not in names:
        raise BadRequest(f"The parameter '{cursor}' names no model of yours.", param=cursor, code="invalid_value")
    return names.index(name)

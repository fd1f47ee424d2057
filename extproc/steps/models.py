"""GET /v1/models and /v1/models/{id}: the models that the tenant may use, and no others."""

from typing import Any
from urllib.parse import unquote

import msgspec

from extproc.exchange import Answer, Exchange
from extproc.steps.policy import models_of, unknown_model
from extproc.surfaces import MODELS


def answer_models(exchange: Exchange) -> Answer | None:
    """Answers the models endpoints; leaves every other request alone."""
    if exchange.surface is not MODELS:
        return None
    names = models_of(exchange)
    if exchange.rest in ("", "/"):
        data = [_model(exchange, name) for name in names]
        return Answer(msgspec.json.encode({"object": "list", "data": data}), MODELS)
    name = unquote(exchange.rest[1:])
    if name not in names:
        raise unknown_model(name)
    return Answer(msgspec.json.encode(_model(exchange, name)), MODELS)


def _model(exchange: Exchange, name: str) -> dict[str, Any]:
    """https://platform.openai.com/docs/api-reference/models/object"""
    return {"id": name, "object": "model", "created": exchange.snapshot.created, "owned_by": "headgate"}

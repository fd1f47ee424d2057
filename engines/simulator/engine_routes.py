"""The routes that operate an engine rather than ask it: models, adapters, metrics, health."""

import hmac
import time
from typing import Any, Final

import msgspec
from aiohttp import web

from engines.simulator.bodies import decoded
from engines.simulator.engine import Engine
from engines.simulator.errors import AdapterError, BodyError, engine_error_body, error_body
from engines.simulator.options import Options

_DESCRIPTION: Final = "A simulator: deterministic text from no model at all, for trying, testing and measuring."


class LoadBody(msgspec.Struct, frozen=True):
    """What vLLM's `POST /v1/load_lora_adapter` takes."""

    lora_name: str
    lora_path: str
    load_inplace: bool = False


class UnloadBody(msgspec.Struct, frozen=True):
    """What vLLM's `POST /v1/unload_lora_adapter` takes."""

    lora_name: str


_LOAD: Final = msgspec.json.Decoder(LoadBody)
_UNLOAD: Final = msgspec.json.Decoder(UnloadBody)


class EngineRoutes:
    """One for a simulator."""

    def __init__(self, options: Options, engine: Engine) -> None:
        self._options = options
        self._engine = engine
        self._started = int(time.time())

    def add(self, router: web.UrlDispatcher) -> None:
        """Add the routes; those for adapters exist where adapters do, as in vLLM."""
        router.add_get("/v1/models", self._models)
        router.add_get("/v1/models/{model:.+}", self._model)
        router.add_get("/health", self._health)
        router.add_get("/version", self._version)
        router.add_get("/metrics", self._metrics)
        if self._engine.adapters.enabled:
            router.add_post("/v1/load_lora_adapter", self._load)
            router.add_post("/v1/unload_lora_adapter", self._unload)

    def refused(self, request: web.Request) -> web.Response | None:
        """Return the refusal of a request without the engine's key, as vLLM says it; None where it may go on."""
        key = self._options.api_key
        if not key or not request.path.startswith("/v1"):
            return None
        sent = request.headers.get("authorization", "").encode("utf-8", "surrogateescape")
        if hmac.compare_digest(sent, f"Bearer {key}".encode()):
            return None
        return _json(401, {"error": "Unauthorized"})

    async def _load(self, request: web.Request) -> web.StreamResponse:
        try:
            body = decoded(await request.read(), _LOAD)
            self._engine.adapters.load(body.lora_name, body.lora_path, in_place=body.load_inplace)
        except (AdapterError, BodyError) as error:
            return _adapter_refusal(error)
        return web.Response(text=f"Success: LoRA adapter '{body.lora_name}' added successfully.")

    async def _unload(self, request: web.Request) -> web.StreamResponse:
        try:
            body = decoded(await request.read(), _UNLOAD)
            self._engine.adapters.unload(body.lora_name)
        except (AdapterError, BodyError) as error:
            return _adapter_refusal(error)
        return web.Response(text=f"Success: LoRA adapter '{body.lora_name}' removed successfully.")

    async def _models(self, _request: web.Request) -> web.StreamResponse:
        return _json(200, {"object": "list", "data": self._cards()})

    async def _model(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["model"]
        for card in self._cards():
            if card["id"] == name:
                return _json(200, card)
        message = f"The model {name!r} does not exist; this simulator has {self._options.model!r}"
        body = error_body(404, message, error_type="invalid_request_error", param="model", code="model_not_found")
        return web.Response(status=404, body=body, content_type="application/json")

    async def _health(self, _request: web.Request) -> web.StreamResponse:
        return web.Response()

    async def _version(self, _request: web.Request) -> web.StreamResponse:
        return _json(200, {"version": "simulator"})

    async def _metrics(self, _request: web.Request) -> web.StreamResponse:
        headers = {"content-type": "text/plain; version=1.0.0; charset=utf-8"}
        return web.Response(body=self._engine.metrics(), headers=headers)

    def _cards(self) -> list[dict[str, Any]]:
        base = self._card(self._options.model, self._started, root=self._options.model, parent=None)
        adapters = self._engine.adapters.loaded.values()
        return [
            {**base, "description": _DESCRIPTION},
            *(self._card(a.name, a.created, root=a.path, parent=self._options.model) for a in adapters),
        ]

    def _card(self, name: str, created: int, *, root: str, parent: str | None) -> dict[str, Any]:
        owner = "headgate-simulator"
        return {"id": name, "object": "model", "created": created, "owned_by": owner, "root": root, "parent": parent}


def _adapter_refusal(error: AdapterError | BodyError) -> web.Response:
    if isinstance(error, BodyError):
        body = engine_error_body(400, f"1 validation error:\n  {error.message}", "Bad Request", f"body.{error.param}")
        return web.Response(status=400, body=body, content_type="application/json")
    body = engine_error_body(error.status, error.message, error.kind)
    return web.Response(status=error.status, body=body, content_type="application/json")


def _json(status: int, body: dict[str, Any]) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")

"""The admin API as tests ask it: the app over a real database, and callers that authz has signed for."""

import contextlib
import json
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from fastapi import FastAPI

from control.app import make_app
from control.invoices.seen import SeenInvoices
from control.store.store import Store
from control.tools import Tools
from headgate.contract import IDENTITY_HEADER
from headgate.declared import (
    Declared,
    DeclaredKey,
    DeclaredModel,
    DeclaredPlan,
    DeclaredProvider,
    DeclaredTarget,
    DeclaredTenant,
)
from headgate.identity import Identity, sign
from headgate.peppers import Peppers
from tests.control.usage_of_rows import asked_of, marks_of

SERVICE_KEY = b"s" * 32
PEPPERS = Peppers(b"p" * 32)
URL = "http://gateway"
_FOLDER = tempfile.TemporaryDirectory()  # of files that each app has for itself

MODELS = {
    name: DeclaredModel([DeclaredTarget("local", "llama", "internal")], priced=name != "org/name:8b")
    for name in ("chat", "big", "org/name:8b")
}
DECLARED = Declared(
    generation=7,
    tenants={
        "filed": DeclaredTenant(
            plan="starter",
            models=["chat"],
            limits={"rpm": 90},
            keys=[DeclaredKey("ci", limits={"rpm": 5}), DeclaredKey("old", disabled=True, expires=1_800_000_000.0)],
            store_prompts=True,
            usage_retention_days=30,
            pricing={"discount": "10%"},
        )
    },
    plans={"starter": DeclaredPlan({"rpm": 60, "per": [{"by": ["key"], "tpm": 1000}]})},
    models=MODELS,
    providers={
        "local": DeclaredProvider("openai", "internal", ["http://127.0.0.1:8000"], credentials={"api_key": "env"})
    },
)


@dataclass
class Caller:
    """Somebody as authz has found them."""

    app: FastAPI
    kind: Any = "key"
    id: str = "key_somebody"
    tenant: str | None = None
    role: Any = "admin"
    memberships: dict[str, Any] = field(default_factory=dict)
    age_ms: int = 0
    key: bytes = SERVICE_KEY

    async def ask(self, method: str, path: str, said: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        """`said` is JSON, or bytes as they are, or come. Below /admin/v1."""
        target = f"/admin/v1{path}"
        sent = {"content-type": "application/json"} if said is not None or method == "POST" else {}
        sent |= {IDENTITY_HEADER: self.signed(method, target)} | dict(headers or {})
        plain = said is None or isinstance(said, bytes | AsyncIterator)
        content = said if plain else json.dumps(said).encode()
        async with client(self.app) as http:
            return await http.request(method, target, content=content, headers=sent)

    def signed(self, method: str, target: str) -> str:
        now_ms = round(time.time() * 1000) - self.age_ms
        raw = httpx2.URL(URL + target).raw_path.decode()
        identity = Identity(
            *(self.kind, self.id, self.tenant, self.role, self.memberships),
            *("req-1", "192.0.2.9", method, raw, now_ms),
        )
        return sign(identity, self.key)

    async def get(self, path: str, **headers: str) -> Any:
        return await self.ask("GET", path, headers={name.replace("_", "-"): said for name, said in headers.items()})

    async def put(self, path: str, said: Any = None, **headers: str) -> Any:
        return await self.ask("PUT", path, said, {name.replace("_", "-"): one for name, one in headers.items()})

    async def post(self, path: str, said: Any = None, **headers: str) -> Any:
        body = {} if said is None else said
        return await self.ask("POST", path, body, {name.replace("_", "-"): one for name, one in headers.items()})

    async def patch(self, path: str, said: Any, **headers: str) -> Any:
        return await self.ask("PATCH", path, said, {name.replace("_", "-"): one for name, one in headers.items()})

    async def delete(self, path: str, **headers: str) -> Any:
        return await self.ask("DELETE", path, headers={name.replace("_", "-"): one for name, one in headers.items()})

    async def all(self, path: str, limit: int = 50) -> list[Any]:
        """Of a list, page by page."""
        found: list[Any] = []
        after = ""
        while True:
            sign_of = "&" if "?" in path else "?"
            answer = (await self.get(f"{path}{sign_of}limit={limit}{after}")).json()
            found += answer["data"]
            if answer["next"] is None:
                return found
            after = f"&after={answer['next']}"


@contextlib.asynccontextmanager
async def client(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url=URL) as http:
        yield http


def tools(**more: Any) -> Tools:
    usual = {"make_digest": PEPPERS.digest, "ask_ledger": lambda _: {"error": "there is no ledger in this test"}}
    usual |= {"ask_usage": asked_of(()), "host": "host_here", "hand_over": lambda: None}
    usual |= {"ask_marks": marks_of(()), "seen_invoices": SeenInvoices(Path(_FOLDER.name) / secrets.token_hex(8))}
    return Tools(**(usual | more))


def api(store: Store, declared: Declared = DECLARED, **more: Any) -> FastAPI:
    return make_app(store, lambda: SERVICE_KEY, lambda: declared, tools(**more))


def named() -> str:
    return f"t-{secrets.token_hex(6)}"

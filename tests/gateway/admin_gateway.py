"""A gateway whose admin API is used: its first admin key, and requests to /admin/v1 over plain HTTP and TLS."""

import re
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import httpx2
from running_gateway import RunningGateway, free_address, running_gateway
from tls_client import trusting
from upstreams import Engine

from tests.certificates import Authority

DEADLINE_S = 60.0
PRINTED_ADMIN_KEY = re.compile(r"^admin key  (hg-[A-Za-z0-9_-]{43})\b", re.MULTILINE)


@dataclass
class AdminGateway:
    gateway: RunningGateway
    tenant_key: str
    https: str
    trust: ssl.SSLContext

    def printed(self) -> list[str]:
        """Every admin key that `headgate up` has printed."""
        return PRINTED_ADMIN_KEY.findall(self.gateway.log())

    def admin_key(self) -> str:
        until(self.printed)
        return self.printed()[0]

    def ask(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, tls: bool = False, **options: Any
    ) -> httpx2.Response:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        url = f"https://{self.https}" if tls else self.gateway.url
        return httpx2.request(
            method, url + path, json=body, headers=headers, timeout=DEADLINE_S, verify=self.trust, **options
        )

    def chat(self) -> httpx2.Response:
        body = {"model": "chat", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}
        return self.gateway.post("/v1/chat/completions", body, self.tenant_key)


def until(holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def admin_gateway(folder: Path, engine: Engine, **more: Any) -> Iterator[AdminGateway]:
    """With one tenant, one key of its, one model; `more` is of gateway.yaml."""
    authority = Authority("servers")
    authority.issue("127.0.0.1").write(folder, "server")
    key, address = f"hg-{token_urlsafe(32)}", free_address()
    config = {
        "listen": {"https": {"address": address, "cert": "server.pem", "key": "server-key.pem"}},
        "providers": {"local": {"api": "openai", "endpoints": [f"http://{engine.address}"]}},
        "models": {"chat": {"targets": [{"provider": "local", "model": "up"}]}},
        "tenants": {
            "acme": {"models": ["chat"], "keys": [{"name": "ci", "sha256": sha256(key.encode()).hexdigest()}]}
        },
        **more,
    }
    with running_gateway(folder, config, {}) as gateway:
        yield AdminGateway(gateway, key, address, trusting(authority))

"""A managed vLLM tells everybody how it is, and does nothing for who has not its key."""

import asyncio
from typing import Any

import pytest

from engines.vllm.inside.headgate_guard import Guard

WELL = (b"authorization", b"Bearer the-key")


async def _application(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


def asked(path: str, *headers: tuple[bytes, bytes], kind: str = "http") -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {}

    asyncio.run(Guard(_application)({"type": kind, "path": path, "headers": headers}, receive, send))
    return sent


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "the-key")


@pytest.mark.parametrize("path", ["/v1/models", "/invocations", "/tokenize", "/health/", "//health", "/"])
def test_without_the_key_nothing_is_done(path: str) -> None:
    assert asked(path)[0]["status"] == 401
    assert asked(path, (b"authorization", b"Bearer another"))[0]["status"] == 401
    assert asked(path, (b"authorization", b"Bearer "))[0]["status"] == 401
    assert asked(path, WELL, WELL)[0]["status"] == 401
    assert asked(path, WELL)[0]["status"] == 200


@pytest.mark.parametrize("path", ["/health", "/metrics"])
def test_how_it_is_is_no_secret(path: str) -> None:
    assert asked(path)[0]["status"] == 200


def test_a_websocket_is_closed() -> None:
    assert asked("/v1/realtime", kind="websocket") == [{"type": "websocket.close", "code": 1008}]


def test_an_engine_without_a_key_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VLLM_API_KEY")
    with pytest.raises(KeyError):
        Guard(_application)

"""A managed vLLM tells everybody whether it is well, and does nothing for who has not its key."""

import asyncio
import json
from contextlib import nullcontext
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


@pytest.mark.parametrize("path", ["/v1/models", "/metrics", "/invocations", "/tokenize", "/health/", "//health", "/"])
def test_without_the_key_nothing_is_done(path: str) -> None:
    assert asked(path)[0]["status"] == 401
    assert asked(path, (b"authorization", b"Bearer another"))[0]["status"] == 401
    assert asked(path, (b"authorization", b"Bearer "))[0]["status"] == 401
    assert asked(path, WELL, WELL)[0]["status"] == 401
    assert asked(path, WELL)[0]["status"] == 200


def test_whether_it_is_well_is_no_secret() -> None:
    assert asked("/health")[0]["status"] == 200


def test_a_websocket_is_closed() -> None:
    assert asked("/v1/realtime", kind="websocket") == [{"type": "websocket.close", "code": 1008}]


def test_an_engine_without_a_key_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VLLM_API_KEY")
    with pytest.raises(KeyError):
        Guard(_application)


TRACE = "EngineCore encountered an issue. See stack trace (above) for the root cause."
FIRST = b'data: {"id":"chatcmpl-1","choices":[{"delta":{"content":"{\\"error\\""}}]}\n\n'


def streamed(path: str, *events: bytes, raised: Exception | None = None) -> bytes:
    """What the client of a stream gets to read."""

    async def application(_scope: Any, _receive: Any, send: Any) -> None:
        head = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        for event in events:
            await send({"type": "http.response.body", "body": event, "more_body": True})
        if raised:
            raise raised
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": path, "headers": (WELL,)}
    with pytest.raises(type(raised)) if raised else nullcontext():
        asyncio.run(Guard(application)(scope, send, send))
    assert [message.get("more_body", False) for message in sent[1:]] == [True] * (len(sent) - 2) + [False]
    return b"".join(message["body"] for message in sent[1:])


def error_event(code: int, message: str) -> bytes:
    said = {"error": {"message": message, "type": "Error", "param": None, "code": code}}
    return f"data: {json.dumps(said)}\n\n".encode()


def test_a_stream_in_which_the_engine_dies_ends_in_an_error_without_its_inside() -> None:
    end = b"data: [DONE]\n\n"
    text = streamed("/v1/chat/completions", FIRST, error_event(500, TRACE), end)
    assert text.startswith(FIRST)
    assert text.endswith(end)
    error = json.loads(text.removeprefix(FIRST).removesuffix(end).removeprefix(b"data: "))["error"]
    assert error["message"] == "The model's engine failed while it worked on the request."
    assert (error["type"], error["param"], error["code"]) == ("server_error", None, "engine_failed")


def test_what_a_stream_says_of_its_request_stays() -> None:
    about = error_event(400, "The prompt is too long.")
    assert streamed("/v1/chat/completions", FIRST, about) == FIRST + about


def test_a_stream_that_breaks_off_inside_ends_in_an_error_of_its_api() -> None:
    created = b'event: response.created\ndata: {"type":"response.created","sequence_number":0}\n\n'
    text = streamed("/v1/responses", created, raised=RuntimeError(TRACE))
    name, _, data = text.removeprefix(created).decode().strip().partition("\ndata: ")
    said = json.loads(data)
    assert (name, said["type"], said["sequence_number"], said["code"]) == (
        "event: error",
        "error",
        1,
        "engine_failed",
    )
    assert "stack trace" not in streamed("/v1/completions", FIRST, raised=RuntimeError(TRACE)).decode()

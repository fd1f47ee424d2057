"""Errors that the gateway writes in the place of a provider's: whole, and of the length that they claim."""

import contextlib
import http.client
import json
import time
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import token_urlsafe
from threading import Thread
from typing import Any

import pytest
from running_gateway import RunningGateway, running_gateway

KEY = f"hg-{token_urlsafe(32)}"
PAGE = b"<html>" + b"x" * 5000
PAGES = {
    "refused": (401, "application/json", [b'{"error":{"message":"sk-...wxyz"}}']),
    "forbidden-slowly": (403, "application/json", [b'{"error":', b'{"message":', b'"sk-...wxyz"}}']),
    "page": (502, "text/html", [PAGE]),
    "page-slowly": (500, "text/html", [PAGE, PAGE, PAGE]),
    "redirect": (302, "text/html", [PAGE]),
}
CODES = {"refused": "provider_refused_credential", "forbidden-slowly": "provider_refused_credential"}
ASKED: list[tuple[str, str, Any]] = [
    ("POST", "/v1/responses", {"input": "x"}),
    ("POST", "/v1/responses", {"input": "x", "stream": True}),
    ("POST", "/v1/responses/input_tokens", {"input": "x"}),
    ("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "store": True}),
    ("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "store": True, "stream": True}),
    ("GET", "/v1/chat/completions", None),
]


class _Pages(BaseHTTPRequestHandler):
    """Answers as its path's first part says; `empty` is a 200 without a body."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.do_GET()

    def do_GET(self) -> None:
        status, kind, pieces = PAGES.get(self.path.split("/")[1], (200, "application/json", []))
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(sum(map(len, pieces))))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # who has heard enough may leave
            for piece in pieces:
                self.wfile.write(piece)
                self.wfile.flush()
                time.sleep(0.05)  # so that each is a piece for the gateway too

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Pages)
    Thread(target=server.serve_forever, daemon=True).start()
    names = [*PAGES, "empty"]
    root = f"http://127.0.0.1:{server.server_port}"
    config = {
        "providers": {name: {"api": "openai", "base_url": f"{root}/{name}", "api_key": "env:K"} for name in names},
        "models": {name: {"targets": [{"provider": name, "model": "m"}]} for name in names},
        "tenants": {"acme": {"models": names, "keys": [{"name": "ci", "sha256": sha256(KEY.encode()).hexdigest()}]}},
    }
    with running_gateway(tmp_path_factory.mktemp("faulty"), config, {"K": "sk-0123wxyz"}) as gateway:
        yield gateway
    server.shutdown()
    server.server_close()


def _asked(gateway: RunningGateway, method: str, path: str, model: str, body: Any) -> tuple[int, Any]:
    """The answer as its head bounds it."""
    raw = json.dumps({"model": model, **body}).encode() if body else None
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    with contextlib.closing(http.client.HTTPConnection(gateway.http, timeout=20)) as connection:
        connection.request(method, path if body else f"{path}?model={model}", raw, headers)
        with connection.getresponse() as response:
            return response.status, json.loads(response.read() or b"null")


@pytest.mark.parametrize("fault", PAGES)
@pytest.mark.parametrize(("method", "path", "body"), ASKED)
def test_an_error_has_all_of_its_body(faulty: RunningGateway, method: str, path: str, body: Any, fault: str) -> None:
    status, said = _asked(faulty, method, path, fault, body)
    assert status == (502 if fault == "redirect" else PAGES[fault][0])
    assert said, "the head says that there is no body"
    assert said["error"]["code"] == CODES.get(fault, "provider_malformed_answer")
    assert "wxyz" not in json.dumps(said)


def test_a_list_without_a_body_is_an_error(faulty: RunningGateway) -> None:
    status, said = _asked(faulty, "GET", "/v1/chat/completions", "empty", None)
    assert (status, said["error"]["code"]) == (502, "provider_malformed_answer")

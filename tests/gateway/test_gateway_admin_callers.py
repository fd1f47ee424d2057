"""Requests for /admin/v1 through the real Envoy: what control gets to see of who asks, and who gets no further."""

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

import httpx2
import pytest
from directory_gateway import SERVICE_TEXT, DirectoryGateway, directory_gateway, key_row

from headgate.contract import CONTROL_API_SOCKET, IDENTITY_HEADER
from headgate.directory.rows import KeyRow, gone
from headgate.identity import BadIdentity, Identity, verify
from headgate.virtual_key import make_key

HERE = "127.77.0.9"
CONFIG: dict[str, Any] = {
    "providers": {"p": {"api": "openai", "endpoints": ["http://127.0.0.1:9"]}},
    "models": {"m": {"targets": [{"provider": "p", "model": "m"}]}},
    "tenants": {"acme": {"models": ["m"]}},
}


class Control(ThreadingUnixStreamServer):
    """Writes down what it is asked, as it comes."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        super().__init__(str(path), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Control

    def handle_one_request(self) -> None:
        self.client_address = ("control", 0)
        super().handle_one_request()

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.command, self.path, headers))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the library's names

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DirectoryGateway]:
    with directory_gateway(tmp_path_factory.mktemp("admin"), CONFIG) as running:
        yield running


@pytest.fixture(scope="module")
def control(gateway: DirectoryGateway) -> Iterator[Control]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(gateway.state)  # a Unix socket's path ends at 107 bytes
        server = Control(CONTROL_API_SOCKET)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def admin(gateway: DirectoryGateway) -> str:
    key = make_key()
    gateway.put(key_row(key, "key_admin", None, role="admin"))
    return key


def ask(gateway: DirectoryGateway, method: str, path: str, **headers: str) -> httpx2.Response:
    """From a client at HERE, who claims to be somebody."""
    fields = {IDENTITY_HEADER: "forged", "x-forwarded-for": "192.0.2.1"}
    transport = httpx2.HTTPTransport(local_address=HERE)
    with httpx2.Client(transport=transport, timeout=60) as client:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.request(method, f"http://{gateway.http}{path}", headers=fields | named)


def identity(asked: tuple[str, str, dict[str, str]]) -> Identity:
    method, path, headers = asked
    now_ms = int(time.time() * 1000)
    return verify(headers[IDENTITY_HEADER], SERVICE_TEXT.encode(), method=method, path=path, now_ms=now_ms)


@pytest.mark.parametrize(
    "path", ["/admin/v1/tenants?limit=2&after=a%2Fb", "/admin/v1//tenants", "/admin/v1/x/../%74enants"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_control_is_told_who_asks(
    gateway: DirectoryGateway, control: Control, admin: str, method: str, path: str
) -> None:
    reply = ask(gateway, method, path, authorization=f"Bearer {admin}", openai_tenant="acme")
    assert reply.status_code == 200
    seen = control.asked[-1]
    found = identity(seen)
    assert (found.kind, found.id, found.tenant, found.role) == ("key", "key_admin", None, "admin")
    assert (found.source_address, found.request_id) == (HERE, reply.headers["x-request-id"])
    assert seen[0] == method
    assert not {"authorization", "openai-tenant"} & seen[2].keys()
    assert admin not in str(seen)
    with pytest.raises(BadIdentity):
        identity(("PATCH", *seen[1:]))


def test_without_a_key_control_is_not_asked(gateway: DirectoryGateway, control: Control) -> None:
    before = len(control.asked)
    for headers in ({}, {"authorization": f"Bearer {make_key()}"}, {"x_api_key": "x"}):
        for path in ("/admin/v1/tenants", "/admin/v1", "/admin/v1/openapi.json?x", "/admin/v1/x/../openapi.json/"):
            reply = ask(gateway, "GET", path, **headers)
            assert reply.status_code == 401
            assert reply.headers["content-type"] == "application/problem+json"
            assert reply.json()["request_id"] == reply.headers["x-request-id"]
    assert ask(gateway, "POST", "/admin/v1/openapi.json").status_code == 401
    assert len(control.asked) == before


def test_the_description_is_anybodys(gateway: DirectoryGateway, control: Control) -> None:
    assert ask(gateway, "GET", "/admin/v1/openapi.json").status_code == 200
    assert control.asked[-1][1] == "/admin/v1/openapi.json"
    assert IDENTITY_HEADER not in control.asked[-1][2]


def test_a_revoked_admin_gets_no_further(gateway: DirectoryGateway, control: Control) -> None:
    key = make_key()
    gateway.put(key_row(key, "key_gone", None, role="admin"))
    assert ask(gateway, "GET", "/admin/v1/me", authorization=f"Bearer {key}").status_code == 200
    gateway.put(gone(KeyRow, ("key_gone",)))
    deadline = time.monotonic() + 60
    while ask(gateway, "GET", "/admin/v1/me", authorization=f"Bearer {key}").status_code != 401:
        assert time.monotonic() < deadline


def test_bytes_that_no_client_library_sends(gateway: DirectoryGateway, control: Control, admin: str) -> None:
    host, _, port = gateway.http.partition(":")
    before = len(control.asked)
    for target in ("/admin/v1/a%00b", "/admin/v1/%2e%2e/x", "/admin/v1/;x", "/admin/v1/x#y", "/admin\\v1\\tenants"):
        with socket.create_connection((host, int(port)), timeout=60) as client:
            head = f"GET {target} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {admin}\r\nconnection: close\r\n\r\n"
            client.sendall(head.encode())
            while client.recv(65536):
                pass
    for seen in control.asked[before:]:
        assert identity(seen).id == "key_admin"  # signed for what control reads, whatever Envoy made of it

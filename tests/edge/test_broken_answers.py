"""Answers that are not a provider's API, through the real Envoy: the next attempt answers, or we do."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headgate.supervise.ports import free_port
from tests.edge.lone_envoy import MANAGER, MODULE, LoneEnvoy, named, resources, typed

BROKEN = b'{"error":{"message":"broken"}}'
CONFIG = f"\npath /v1\nhost x\nkeep :method\nstream text/event-stream\nbroken {BROKEN.decode()}\n"
REQUEST = {"surface": "chat", "endpoint": "/chat/completions", "upstream_model": "m"}
JSON = b'{"ok":1}'


def answer(status: int = 200, kind: str = "text/html", body: bytes = b"<html>", **headers: str) -> list[bytes]:
    lines = [f"HTTP/1.1 {status} X", "connection: close", f"content-length: {len(body)}"]
    lines += [f"content-type: {kind}"] if kind else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ["\r\n".join([*lines, "", ""]).encode() + body]


GOOD = answer(kind="application/json", body=JSON)
LARGE = [b"HTTP/1.1 200 X\r\nconnection: close\r\ncontent-type: text/html\r\n\r\n", *[b"x" * 1_000_000] * 20]
CHUNKED = b"HTTP/1.1 200 X\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
BAD = {
    "a page": answer(),
    "no type": answer(kind=""),
    "text": answer(kind="text/plain", body=JSON),
    "compressed": answer(kind="application/json", content_encoding="gzip"),
    "a redirect": answer(302, location="http://login/"),
    "a redirect without a body": answer(302, kind="", body=b"", location="http://login/"),
    "nothing": answer(204, kind="", body=b""),
    "an empty page": answer(body=b""),
    "an empty page in chunks": [CHUNKED, b"0\r\n\r\n"],
    "a large page": LARGE,
}
ERRORS = {
    "a page": answer(403),
    "a page for a bad request": answer(400),
    "a page for a limit": answer(429),
    "a compressed error": answer(400, kind="application/json", content_encoding="gzip"),
    "an error without a body": answer(404, kind="", body=b""),
}


class Attempts:
    """An Envoy that tries one scripted upstream twice."""

    def __init__(self, folder: Path) -> None:
        self._upstream = socket.create_server(("127.0.0.1", 0))
        self._port = free_port()
        self._envoy = LoneEnvoy(folder, self._bootstrap(), [self._port])

    def ask(self, *answers: list[bytes]) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body that a client gets when the upstream's attempts answer this."""
        thread = threading.Thread(target=self._serve, args=(answers,))
        thread.start()
        with socket.create_connection(("127.0.0.1", self._port), timeout=30) as client:
            client.sendall(b"GET / HTTP/1.0\r\nhost: x\r\n\r\n")  # 1.0: the body comes without chunks
            received = b""
            while more := client.recv(65536):
                received += more
        thread.join()
        head, _, body = received.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body

    def close(self) -> None:
        self._envoy.close()
        self._upstream.close()

    def _serve(self, answers: tuple[list[bytes], ...]) -> None:
        for pieces in answers:
            peer, _ = self._upstream.accept()
            with peer, contextlib.suppress(ConnectionError):  # Envoy does not wait for what it has given up
                peer.recv(65536)
                for piece in pieces:
                    peer.sendall(piece)

    def _bootstrap(self) -> dict[str, Any]:
        retry = {"retry_on": "5xx", "num_retries": 1, "retry_back_off": {"base_interval": "0.01s"}}
        route = {"match": {"prefix": "/"}, "route": {"cluster": "x", "retry_policy": retry}}
        metadata = [{"metadata_namespace": "hg.request", "value": REQUEST}]
        manager = typed(
            MANAGER,
            stat_prefix="x",
            http_protocol_options={"accept_http_10": True},
            route_config={"virtual_hosts": [{"name": "x", "domains": ["*"], "routes": [route]}]},
            http_filters=[
                named("a", "filters.http.set_metadata.v3.Config", metadata=metadata),
                named("b", "filters.http.router.v3.Router"),
            ],
        )
        attempt = {
            "dynamic_module_config": {"module": {"local": {"filename": str(MODULE)}}},
            "filter_name": "attempt",
            "filter_config": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": CONFIG},
        }
        http = {
            "explicit_http_config": {"http_protocol_options": {}},
            "http_filters": [
                named("a", "filters.http.dynamic_modules.v3.DynamicModuleFilter", **attempt),
                named("b", "filters.http.upstream_codec.v3.UpstreamCodec"),
            ],
        }
        return {"static_resources": resources({self._port: manager}, self._upstream.getsockname()[1], http)}


@pytest.fixture(scope="module")
def attempts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attempts]:
    running = Attempts(tmp_path_factory.mktemp("envoy"))
    yield running
    running.close()


@pytest.mark.parametrize("name", BAD)
def test_the_next_attempt_answers(attempts: Attempts, name: str) -> None:
    status, headers, body = attempts.ask(BAD[name], GOOD)
    assert (status, headers["content-type"], body) == (200, "application/json", JSON)


@pytest.mark.parametrize("name", BAD)
def test_after_the_last_attempt_the_client_gets_an_error(attempts: Attempts, name: str) -> None:
    status, headers, body = attempts.ask(BAD[name], BAD[name])
    assert (status, headers["content-type"], body) == (502, "application/json", BROKEN)
    assert not {"location", "content-encoding"} & set(headers)


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_that_is_no_json_keeps_its_status_alone(attempts: Attempts, name: str) -> None:
    status, headers, body = attempts.ask(ERRORS[name])
    assert (status, headers["content-type"], body) == (int(ERRORS[name][0].split()[1]), "application/json", BROKEN)


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", "text/event-stream;x"])
@pytest.mark.parametrize("status", [200, 400, 404])
def test_what_is_the_api_passes(attempts: Attempts, kind: str, status: int) -> None:
    seen, headers, body = attempts.ask(answer(status, kind, b"as it is", content_encoding="identity"))
    assert (seen, headers["content-type"], body) == (status, kind, b"as it is")

"""All filters of a worker in this process, asked as Envoy asks: bytes of HTTP/2 in, bytes out.

Between the two nothing is left out but the socket: the counters are a real valkey-server.
"""

import asyncio
import hashlib
import itertools
import json
import os
import struct
from functools import partial

from headgate.contract import AUTHZ, COUNTERS_URL_ENV, REQUEST_ID
from headgate.grpc_server.calls import open_call
from headgate.grpc_server.connection import Connection
from headgate.grpc_server.headers import literal
from headgate.limits import LimitsRow
from headgate.wire.ext_authz_pb2 import CheckRequest
from headgate.wire.ext_proc_pb2 import ProcessingRequest
from headgate.worker import LIMITS, WorkerOptions, begin
from tests.counters.valkey_server import ValkeyServer
from tests.extproc.ext_proc_client import snapshot_of
from tests.ratelimit.limiter_process import know_sums

KEYS = {tenant: f"hg-{tenant * 43:.43}" for tenant in ("plain", "limited", "free")}
MODELS = {"plain": "chat", "limited": "priced", "free": "chat"}
GATEWAY = {
    "listen": {"http": "127.0.0.1:0"},
    "providers": {"local": {"api": "openai", "endpoints": ["http://127.0.0.1:1"], "usage": "continuous"}},
    "models": {
        "chat": {"targets": [{"provider": "local", "model": "bench"}]},
        "priced": {"targets": [{"provider": "local", "model": "bench"}], "price": {"input": 1, "output": 2}},
    },
    "plans": {
        "plain": {"rpm": 10**9, "concurrency": 10**6},
        "limited": {"rpm": 10**9, "concurrency": 10**6, "tpm": 10**9, "monthly_usd": 10**6},
    },
    "tenants": {
        tenant: {
            **({} if tenant == "free" else {"plan": tenant}),
            "models": [MODELS[tenant]],
            "keys": [{"name": "ci", "sha256": hashlib.sha256(key.encode()).hexdigest()}],
        }
        for tenant, key in KEYS.items()
    },
}
EPOCH = "20260101T000000-aaaaaa"

_DATA, _HEADERS, _SETTINGS, _WINDOW_UPDATE = 0, 1, 4, 8
_ROOM = 2**30  # bytes of answers, of all requests together
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1


class Filters:
    """A worker with Envoy's connection to it. Made in a running loop."""

    def __init__(self, server: ValkeyServer) -> None:
        os.environ[COUNTERS_URL_ENV] = f"unix://{server.socket}"
        snapshot = snapshot_of(json.dumps(GATEWAY))
        with server.client() as client:
            rows = {name: row.limits or LimitsRow() for name, row in snapshot.tenants.items()}
            know_sums(client, rows)
        _, methods = begin(WorkerOptions("filters", "", lifeline=False, drain_s=0), snapshot)
        by_path = {method.path.encode(): method for method in methods}
        self._woken = asyncio.Event()
        self._connection = Connection(LIMITS, partial(open_call, by_path), self._woken.set)
        self._numbers = itertools.count(1, 2)
        room = _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _ROOM))
        greeting = _frame(_SETTINGS, 0, 0) + _frame(_SETTINGS, _ACK, 0) + room
        self._connection.receive(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + greeting)
        self._connection.take()
        self._asked = itertools.count()

    async def plan(self, messages: list[bytes]) -> list[bytes]:
        """Takes a request through, the one whose turn it is; the bytes that the worker answered, in turn."""
        answers = [self._send(message) for message in messages]
        if not answers[-1]:
            await self._woken.wait()
            self._woken.clear()
            answers[-1] = self._connection.take()
        return answers

    def messages(self, tenant: str) -> list[bytes]:
        """What Envoy sends for one chat request of the tenant's."""
        request_id = f"b2c0cf86-6c4e-4c42-8f1c-{next(self._asked):012}"
        check, process = next(self._numbers), next(self._numbers)
        model, number = MODELS[tenant], request_id[-7:]
        text = f"{number}: say in eight words what a head gate does."
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": text}]}).encode()
        return [
            _opened(check, "envoy.service.auth.v3.Authorization/Check")
            + _data(check, _check(tenant, request_id), _END_STREAM),
            _opened(process, "envoy.service.ext_proc.v3.ExternalProcessor/Process")
            + _data(process, _head(tenant, request_id, body)),
            _data(process, ProcessingRequest(request_body={"body": body, "end_of_stream": True}).SerializeToString()),
        ]

    def _send(self, data: bytes) -> bytes:
        self._connection.receive(data)
        return self._connection.take()


def _check(tenant: str, request_id: str) -> bytes:
    request = CheckRequest()
    http = request.attributes.request.http
    http.method, http.path = "POST", "/v1/chat/completions"
    http.headers.update({"authorization": f"Bearer {KEYS[tenant]}", REQUEST_ID: request_id})
    request.attributes.source.address.socket_address.address = "127.0.0.1"
    return request.SerializeToString()


def _head(tenant: str, request_id: str, body: bytes) -> bytes:
    request = ProcessingRequest()
    said = {
        ":path": "/v1/chat/completions",
        ":method": "POST",
        "content-type": "application/json",
        REQUEST_ID: request_id,
    }
    for name, value in said.items():
        request.request_headers.headers.headers.add(key=name, raw_value=value.encode())
    known = {"tenant": tenant, "key_id": f"{tenant}/ci", "generation": 1}
    request.metadata_context.filter_metadata[AUTHZ].update(known)
    return request.SerializeToString()


def _opened(stream: int, path: str) -> bytes:
    block = b"\x83\x86" + literal(b":path", f"/{path}".encode()) + literal(b":authority", b"headgate/filters")
    block += literal(b"te", b"trailers") + literal(b"content-type", b"application/grpc")
    block += literal(b"x-headgate-epoch", EPOCH.encode())
    return _frame(_HEADERS, _END_HEADERS, stream, block)


def _data(stream: int, message: bytes, flags: int = 0) -> bytes:
    return _frame(_DATA, flags, stream, struct.pack(">BI", 0, len(message)) + message)


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload

"""A worker process: loads the tables, serves the gRPC services of its parts on one socket, drains on SIGTERM.

Knows no service by itself: parts are module names with `services(snapshot)`, so that one process can hold all
filters (as under `headgate up`) or one of them (as in a container of its own).
"""

import asyncio
import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
import structlog
import uvloop

from headgate.snapshot import Snapshot

PARTS = {
    "authz": ("authz.service",),
    "extproc": ("extproc.service",),
    "filters": ("authz.service", "extproc.service"),
}

# Above the largest request body that Envoy may send in one message, its headers included.
_MESSAGE_BYTES = 2**30 + 2**20
_SERVING = b"\x08\x01"  # grpc.health.v1.HealthCheckResponse{status: SERVING}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Method:
    """One gRPC method: its full path, whether it streams, how to decode requests; replies are bytes."""

    service: str
    name: str
    handler: Callable[..., Any]
    decode: Callable[[bytes], Any]
    streams: bool


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """`address` is a gRPC address (`unix:run/worker-0.sock`, `127.0.0.1:9101`)."""

    part: str
    address: str
    lifeline: bool
    drain_s: float


def run(options: WorkerOptions, snapshot: Snapshot) -> None:
    """Serves until SIGTERM, SIGINT or, with `lifeline`, until standard input ends."""
    uvloop.run(_serve(options, snapshot))


async def _serve(options: WorkerOptions, snapshot: Snapshot) -> None:
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", _MESSAGE_BYTES),
            ("grpc.max_send_message_length", _MESSAGE_BYTES),
            ("grpc.so_reuseport", 0),
            ("grpc.http2.bdp_probe", 0),  # estimates bandwidth with pings: none is scarce on a Unix socket
        ]
    )
    methods = [_health()]
    for module in PARTS[options.part]:
        methods.extend(importlib.import_module(module).services(snapshot))
    server.add_generic_rpc_handlers(tuple(_generic_handler(method) for method in methods))
    _remove_stale_socket(options.address)
    server.add_insecure_port(options.address)
    await server.start()
    log.info("worker started", part=options.part, generation=snapshot.generation, pid=os.getpid())
    await _end(lifeline=options.lifeline)
    await server.stop(options.drain_s)
    log.info("worker stopped", part=options.part)


def _remove_stale_socket(address: str) -> None:
    scheme, _, path = address.partition(":")
    if scheme == "unix":
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - a relative path of a socket, not a file that we read


def _generic_handler(method: Method) -> grpc.GenericRpcHandler:
    build = grpc.stream_stream_rpc_method_handler if method.streams else grpc.unary_unary_rpc_method_handler
    rpc = build(method.handler, request_deserializer=method.decode, response_serializer=bytes)
    return grpc.method_handlers_generic_handler(method.service, {method.name: rpc})


def _health() -> Method:
    async def check(_request: bytes, _context: object) -> bytes:
        return _SERVING

    return Method("grpc.health.v1.Health", "Check", check, bytes, streams=False)


async def _end(*, lifeline: bool) -> None:
    """Returns when the process should stop."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    watch = asyncio.create_task(_watch_stdin(ended)) if lifeline else None
    await ended.wait()
    if watch:
        watch.cancel()


async def _watch_stdin(ended: asyncio.Event) -> None:
    """Ends the worker with its supervisor, which holds the other end of the pipe and never writes."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(4096):
        pass
    ended.set()

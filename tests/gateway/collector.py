"""An OTLP/HTTP collector of the tests: takes spans as a real one would and keeps them."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

WAIT_S = 60.0


@dataclass(frozen=True)
class Span:
    """One span; `parent` is "" for a root."""

    trace: str
    span: str
    parent: str
    name: str
    kind: int
    attributes: dict[str, str]
    resource: dict[str, str]


class Collector:
    """What came in at `url`."""

    def __init__(self) -> None:
        self.url = ""
        self.bodies: list[bytes] = []
        self.paths: set[str] = set()

    def spans(self, trace: str | None = None) -> list[Span]:
        found = [span for body in self.bodies for span in _spans(body)]
        return [span for span in found if trace in (None, span.trace)]

    def wait(self, trace: str, holds: Callable[[list[Span]], bool]) -> list[Span]:
        """The trace, once it is complete; Envoy sends every five seconds."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            found = self.spans(trace)
            if holds(found):
                return found
            time.sleep(0.1)
        raise AssertionError(self.spans(trace))


def _spans(body: bytes) -> Iterator[Span]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        about = {one.key: one.value.string_value for one in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Span(
                    trace=span.trace_id.hex(),
                    span=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    name=span.name,
                    kind=span.kind,
                    attributes={one.key: _text(one.value) for one in span.attributes},
                    resource=about,
                )


def _text(value: object) -> str:
    kind = value.WhichOneof("value")  # type: ignore[attr-defined]
    return str(getattr(value, kind)) if kind else ""


SERVER, CLIENT = SpanMessage.SPAN_KIND_SERVER, SpanMessage.SPAN_KIND_CLIENT


@contextmanager
def collector() -> Iterator[Collector]:
    """Run one on a free port, in a thread: tests of a gateway are not asynchronous."""
    kept, ready = Collector(), threading.Event()
    loop = asyncio.new_event_loop()

    async def take(request: web.Request) -> web.Response:
        kept.paths.add(request.path)
        kept.bodies.append(await request.read())
        return web.Response(content_type="application/x-protobuf")

    async def serve() -> web.AppRunner:
        app = web.Application(client_max_size=2**24)
        app.router.add_post("/{path:.*}", take)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        kept.url = f"http://{host}:{port}"
        return runner

    def run() -> None:
        runner = loop.run_until_complete(serve())
        ready.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(WAIT_S)
        yield kept
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()

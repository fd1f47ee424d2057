"""Spans of the gRPC servers, as children of Envoy's span for the call; sent to the collector in the background.

Off unless gateway.yaml has `telemetry`; while it is off, nothing of OpenTelemetry is even imported. Whether a request
is traced is Envoy's decision, which comes with the call's `traceparent`. What waits to be sent is bounded; without a
collector it is dropped. Attributes are names and counts, never a text of the request.
"""

import importlib
import logging
import ssl
import threading
from typing import Any

from headgate import metrics
from headgate.grpc_server import Metadata

SERVICE_NAME = "headgate"
MAX_QUEUED_SPANS = 2048
SEND_EVERY_MS = 1000
SEND_TIMEOUT_S = 2.0
CLOSE_WITHIN_S = 1.0

_SAMPLED = 0x01
_tracer: "_Tracer | None" = None


class Span:
    """A span that has begun."""

    __slots__ = ("_span",)

    def __init__(self, span: Any) -> None:
        self._span = span

    def end(self, **attributes: str | int | None) -> None:
        """It is over; `__` in a name is a dot, and what is None or empty is left out."""
        known = {name.replace("__", "."): value for name, value in attributes.items() if value not in (None, "")}
        self._span.set_attributes(known)
        self._span.end()


class _Tracer:
    """OpenTelemetry's SDK, set up for one collector."""

    def __init__(self, url: str, part: str) -> None:
        # Here and not above: what is off should cost no memory.
        api = importlib.import_module("opentelemetry.trace")
        sdk = importlib.import_module("opentelemetry.sdk.trace")
        export = importlib.import_module("opentelemetry.sdk.trace.export")
        resources = importlib.import_module("opentelemetry.sdk.resources")
        sampling = importlib.import_module("opentelemetry.sdk.trace.sampling")
        # Its own words would be a line for each batch while the collector is away; the spans are counted instead.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._api = api
        self._provider = sdk.TracerProvider(
            sampler=sampling.ALWAYS_ON,  # Envoy has decided
            resource=resources.Resource({"service.name": SERVICE_NAME, "headgate.part": part}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            export.BatchSpanProcessor(
                _exporter(url, export), max_queue_size=MAX_QUEUED_SPANS, schedule_delay_millis=SEND_EVERY_MS
            )
        )
        self._tracer = self._provider.get_tracer("headgate")

    def begin(self, name: str, trace_id: int, parent_id: int) -> Span:
        """A span below Envoy's."""
        api = self._api
        parent = api.SpanContext(trace_id, parent_id, is_remote=True, trace_flags=api.TraceFlags(_SAMPLED))
        context = api.set_span_in_context(api.NonRecordingSpan(parent))
        return Span(self._tracer.start_span(name, context=context, kind=api.SpanKind.SERVER))

    def close(self) -> None:
        """Send what is there, but do not wait for a collector that says nothing."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_WITHIN_S)


def _exporter(url: str, export: Any) -> Any:
    """Sends over OTLP/HTTP and counts what became of it."""
    otlp = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    requests = importlib.import_module("requests")
    session = requests.Session()
    session.trust_env = False  # a proxy of the environment is not meant for the collector, as it is not for Envoy
    counts = {outcome: metrics.SERVER_SPANS.labels(outcome) for outcome in ("sent", "dropped")}

    class Counted(otlp.OTLPSpanExporter):  # type: ignore[misc, name-defined]
        def export(self, spans: Any) -> Any:
            result = super().export(spans)
            counts["sent" if result is export.SpanExportResult.SUCCESS else "dropped"].inc(len(spans))
            return result

    cafile = ssl.get_default_verify_paths().cafile if url.startswith("https:") else None
    return Counted(endpoint=url, timeout=SEND_TIMEOUT_S, session=session, certificate_file=cafile)


def configure(url: str, part: str) -> None:
    """Turn tracing on for this process; `url` is where the collector takes traces."""
    global _tracer
    _tracer = _Tracer(url, part)


def close() -> None:
    """At the end of the process."""
    if _tracer is not None:
        _tracer.close()


def begin(name: str, call: Metadata) -> Span | None:
    """A span for this call; None when tracing is off or Envoy does not trace the request."""
    if _tracer is None:
        return None
    ids = _sampled_parent(call.header("traceparent"))
    return None if ids is None else _tracer.begin(name, *ids)


def _sampled_parent(traceparent: str | None) -> tuple[int, int] | None:
    """Trace id and parent id (W3C Trace Context, 3.2); None when there is none, or none that is sampled."""
    parts = (traceparent or "").split("-")
    try:
        trace_id, parent_id, flags = int(parts[1], 16), int(parts[2], 16), int(parts[3], 16)
    except (IndexError, ValueError):
        return None
    return (trace_id, parent_id) if flags & _SAMPLED and trace_id and parent_id else None

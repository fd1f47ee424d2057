"""Envoy's HTTP filters in the order in which a request passes them: the first of the two lists to know.

The second is `extproc/steps.py`, what happens inside the `ext_proc` entry. Every filter that asks a server has its
own timeout and refuses with 503 when the server fails: nothing passes unchecked.
"""

import hashlib
from pathlib import Path

from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutation
from envoy_data_plane.envoy.config.core.v3 import (
    ApiVersion,
    AsyncDataSource,
    DataSource,
)
from envoy_data_plane.envoy.config.ratelimit.v3 import RateLimitServiceConfig
from envoy_data_plane.envoy.extensions.dynamic_modules.v3 import DynamicModuleConfig
from envoy_data_plane.envoy.extensions.filters.http.buffer.v3 import Buffer
from envoy_data_plane.envoy.extensions.filters.http.dynamic_modules.v3 import DynamicModuleFilter
from envoy_data_plane.envoy.extensions.filters.http.ext_authz.v3 import ExtAuthz
from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import (
    ExternalProcessor,
    ProcessingMode,
    ProcessingModeBodySendMode,
    ProcessingModeHeaderSendMode,
)
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import HeaderMutation as HeaderMutationFilter
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import Mutations
from envoy_data_plane.envoy.extensions.filters.http.ratelimit.v3 import RateLimit
from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router, RouterUpstreamAccessLogOptions
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from envoy_data_plane.envoy.type.v3 import HttpStatus, StatusCode
from envoy_data_plane.google.protobuf import StringValue

import headgate
from headgate.config.queue_rules import MAX_WAIT_S
from headgate.contract import (
    ADAPTER_WAIT_S,
    ADMISSION,
    AUTHZ,
    CREDENTIAL_HEADERS,
    FALLBACK,
    LIMITER,
    PLAN,
    REQUEST,
    REQUEST_ID,
    TARGET,
    TENANT_HEADER,
    epoch_of,
)
from headgate.edge.admin_api import admin_headers
from headgate.edge.answers import translated_answers
from headgate.edge.asking import asked, only, processor
from headgate.edge.messages import pack, seconds, set_header
from headgate.edge.spool import attempt_logs
from headgate.edge.watched import watched_answers
from headgate.error_shapes import VERSION_HEADER

_PACKAGE = Path(headgate.__file__).parent
MODULE = _PACKAGE / "_envoy" / "module.so"  # made of envoy/module by hatch_build.py

# A worker that hangs is killed within 2.5 s (supervise/watchdog.py), and what it was asked another one is asked then.
AUTHZ_TIMEOUT_S = 4.0
# Of requests that may wait for their adapter and for an engine: longer than all that they may wait for. Others do not
# come by: a worker that hangs holds none of them longer than before.
ADMISSION_TIMEOUT_S = ADAPTER_WAIT_S + MAX_WAIT_S + 30.0
HTTP3_OFFER_S = 86_400  # how long a client may remember it
# What the steps may add to a body that is exactly as large as a client may send: model and stream_options.
BODY_SLACK_BYTES = 2**20


def http_filters(
    spool: str, max_body_bytes: int, http3_port: int | None = None, *, tls: bool = False
) -> list[HttpFilter]:
    """Who; how large; what, where to, and may they now; is there room; metering; translation; off to the provider."""
    return [
        *([HttpFilter(name="headgate.http3", typed_config=pack(_http3_offer(http3_port)))] if http3_port else []),
        admin_headers(tls=tls),
        authorization(),
        # Ahead of ext_proc: a body over its buffer limit can hang there, here it is a 413.
        HttpFilter(name="envoy.filters.http.buffer", typed_config=pack(_buffer(max_body_bytes))),
        HttpFilter(name="envoy.filters.http.ext_proc", typed_config=pack(_ext_proc(epoch_of(spool)))),
        HttpFilter(name=ADMISSION, typed_config=pack(_admission(epoch_of(spool)))),
        HttpFilter(name="envoy.filters.http.dynamic_modules", typed_config=pack(_metering(spool))),
        HttpFilter(name="headgate.translated", typed_config=pack(translated_answers())),
        HttpFilter(name="headgate.watched", typed_config=pack(watched_answers())),
        HttpFilter(name="envoy.filters.http.router", typed_config=pack(_router(spool))),
    ]


def authorization() -> HttpFilter:
    """Who is calling."""
    return HttpFilter(name=AUTHZ, typed_config=pack(_ext_authz()))


def _http3_offer(port: int) -> HeaderMutationFilter:
    """Tells clients of the TLS listener where HTTP/3 is. RFC 7838."""
    return HeaderMutationFilter(
        mutations=Mutations(
            response_mutations=[HeaderMutation(append=set_header("alt-svc", f'h3=":{port}"; ma={HTTP3_OFFER_S}'))]
        )
    )


def _metering(spool: str) -> DynamicModuleFilter:
    """Its records lie beside the spool file (envoy/module/recorder.h)."""
    return module_filter("metering", str(Path(spool).with_name(epoch_of(spool))))


def module_filter(name: str, text: str = "") -> DynamicModuleFilter:
    """A filter of envoy/module, which reads the text."""
    module = MODULE.read_bytes() if MODULE.is_file() else b""  # without it Envoy says what is missing
    return DynamicModuleFilter(
        filter_name=name,
        # The first line nobody reads: another module is another configuration, so that `up` takes no old one over.
        filter_config=pack(StringValue(value=f"{hashlib.sha256(module).hexdigest()}\n{text}")),
        dynamic_module_config=DynamicModuleConfig(
            module=AsyncDataSource(local=DataSource(filename=str(MODULE))),
            metrics_namespace=f"headgate.{name}",  # its counters, of metering: `unmetered`, `unhidden`, `unrecorded`
        ),
    )


def _buffer(max_body_bytes: int) -> Buffer:
    return Buffer(max_request_bytes=max_body_bytes + BODY_SLACK_BYTES)


def _router(spool: str) -> Router:
    return Router(
        suppress_envoy_headers=True,
        upstream_log=attempt_logs(spool),
        upstream_log_options=RouterUpstreamAccessLogOptions(flush_upstream_log_on_upstream_stream=True),
    )


def _ext_authz() -> ExtAuthz:
    return ExtAuthz(
        grpc_service=asked(AUTHZ_TIMEOUT_S),
        transport_api_version=ApiVersion.V3,
        failure_mode_allow=False,
        status_on_error=HttpStatus(code=StatusCode.ServiceUnavailable),
        # The rest of the request is none of authz's business, and costs time to send.
        allowed_headers=only((*CREDENTIAL_HEADERS, TENANT_HEADER, REQUEST_ID, VERSION_HEADER, "upgrade")),
        # A client's, where the listener has verified one. No header says so: those can be written by anybody.
        include_peer_certificate=True,
    )


def _ext_proc(epoch: str) -> ExternalProcessor:
    mode = ProcessingMode(
        # Headers are sent although nothing is decided on them: without, a new route is ignored.
        request_header_mode=ProcessingModeHeaderSendMode.SEND,
        request_body_mode=ProcessingModeBodySendMode.BUFFERED,
        request_trailer_mode=ProcessingModeHeaderSendMode.SKIP,
        response_header_mode=ProcessingModeHeaderSendMode.SKIP,
        response_body_mode=ProcessingModeBodySendMode.NONE,
        response_trailer_mode=ProcessingModeHeaderSendMode.SKIP,
    )
    line = (":path", ":method", "content-type", "content-encoding", "traceparent", REQUEST_ID)
    headers = (*line, VERSION_HEADER, TARGET, FALLBACK)
    return processor(mode, headers=headers, reads=[AUTHZ], writes=[REQUEST, PLAN, LIMITER], epoch=epoch)


def _admission(epoch: str) -> RateLimit:
    """Asks with the descriptors of headgate/edge/routes.py, which only requests for some engines have.

    The epoch says whose reservation it is: this Envoy's.
    """
    return RateLimit(
        domain=epoch,
        timeout=seconds(ADMISSION_TIMEOUT_S),
        failure_mode_deny=True,
        status_on_error=HttpStatus(code=StatusCode.ServiceUnavailable),
        rate_limited_status=HttpStatus(code=StatusCode.ServiceUnavailable),
        rate_limit_service=RateLimitServiceConfig(
            grpc_service=asked(ADMISSION_TIMEOUT_S), transport_api_version=ApiVersion.V3
        ),
        disable_x_envoy_ratelimited_header=True,
    )

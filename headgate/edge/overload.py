"""Envoy's overload manager: what is given up, and when, before the machine runs out of memory or descriptors.

Shares are of `listen.max_memory`, measured on Envoy's heap. What is cheapest to lose goes first: idle connections,
new requests, requests that are still being sent; answers that are running are left alone. HTTP/2 streams that hold
megabytes in buffers are the exception: they are what fills the memory.
"""

from envoy_data_plane.envoy.config.overload.v3 import (
    BufferFactoryConfig,
    LoadShedPoint,
    OverloadAction,
    OverloadManager,
    ResourceMonitor,
    ScaledTrigger,
    ScaleTimersOverloadActionConfig,
    ScaleTimersOverloadActionConfigScaleTimer,
    ScaleTimersOverloadActionConfigTimerType,
    ThresholdTrigger,
    Trigger,
)
from envoy_data_plane.envoy.extensions.resource_monitors.downstream_connections.v3 import DownstreamConnectionsConfig
from envoy_data_plane.envoy.extensions.resource_monitors.fixed_heap.v3 import FixedHeapConfig
from envoy_data_plane.google.protobuf import Any

from headgate.config.model import Listen
from headgate.edge.messages import pack, seconds

CONNECTIONS = "envoy.resource_monitors.global_downstream_max_connections"
HEAP = "envoy.resource_monitors.fixed_heap"

_TRACKED_STREAM_POWER = 20  # streams whose buffers hold 1 MiB and more can be reset


def overload_manager(listen: Listen) -> OverloadManager:
    """The limits of `listen` and what happens near them."""
    return OverloadManager(
        refresh_interval=seconds(0.1),
        resource_monitors=[
            _monitor(HEAP, FixedHeapConfig(max_heap_size_bytes=listen.max_memory_bytes)),
            _monitor(
                CONNECTIONS, DownstreamConnectionsConfig(max_active_downstream_connections=listen.max_connections)
            ),
        ],
        actions=[
            _action("reduce_timeouts", _rising(0.75, 0.90), _impatience()),
            _action("shrink_heap", _above(0.80)),
            _action("disable_http_keepalive", _above(0.85)),
            _action("stop_accepting_requests", _above(0.90)),
            _action("reset_high_memory_stream", _rising(0.90, 0.98)),
        ],
        loadshed_points=[
            _point("http1_server_abort_dispatch", 0.95),
            _point("tcp_listener_accept", 0.98),
            _point("http2_server_go_away_and_close_on_dispatch", 0.98),
        ],
        buffer_factory_config=BufferFactoryConfig(minimum_account_to_track_power_of_two=_TRACKED_STREAM_POWER),
    )


def _monitor(name: str, config: FixedHeapConfig | DownstreamConnectionsConfig) -> ResourceMonitor:
    return ResourceMonitor(name=name, typed_config=pack(config))


def _action(name: str, trigger: Trigger, config: Any | None = None) -> OverloadAction:
    return OverloadAction(name=f"envoy.overload_actions.{name}", triggers=[trigger], typed_config=config)


def _point(name: str, share: float) -> LoadShedPoint:
    return LoadShedPoint(name=f"envoy.load_shed_points.{name}", triggers=[_above(share)])


def _above(share: float) -> Trigger:
    return Trigger(name=HEAP, threshold=ThresholdTrigger(value=share))


def _rising(low: float, high: float) -> Trigger:
    return Trigger(name=HEAP, scaled=ScaledTrigger(scaling_threshold=low, saturation_threshold=high))


def _impatience() -> Any:
    """How long idle connections stay when memory is full."""
    return pack(
        ScaleTimersOverloadActionConfig(
            timer_scale_factors=[
                ScaleTimersOverloadActionConfigScaleTimer(
                    timer=ScaleTimersOverloadActionConfigTimerType.HTTP_DOWNSTREAM_CONNECTION_IDLE,
                    min_timeout=seconds(2),
                ),
                ScaleTimersOverloadActionConfigScaleTimer(
                    timer=ScaleTimersOverloadActionConfigTimerType.TRANSPORT_SOCKET_CONNECT,
                    min_timeout=seconds(1),
                ),
            ]
        )
    )

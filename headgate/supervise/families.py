"""The metrics that the supervisor makes at the time of a scrape: of parts, of the configuration, of Envoy.

`definitions` has these and those that processes count, of headgate/metrics.py and its like: all that
a scrape can have.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from headgate import adapter_metrics, alert_metrics, metrics, queue_metrics, usage_metrics


@dataclass(frozen=True, slots=True)
class Family:
    """A metric without a process of its own. A counter's `name` ends in `_total`."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    is_histogram: bool = False

    @property
    def kind(self) -> str:
        """Its Prometheus type."""
        if self.is_histogram:
            return "histogram"
        return "counter" if self.name.endswith("_total") else "gauge"


BUILD_INFO = Family("headgate_build_info", "1; the version that runs is in the label.", ("version",))
READY = Family("headgate_ready", "1 while every part can work, as /readyz says.")
PART_READY = Family("headgate_part_ready", "1 while the part answers its probe.", ("part",))
PART_RESTARTS = Family(
    "headgate_part_restarts_total", "Times that the part ended unasked and started again.", ("part",)
)
PART_ENDS = Family(
    "headgate_part_ends_total",
    "Times that the part ended unasked, by how: exit status, signal, ended unseen (it was taken over), not started.",
    ("part", "how"),
)
PART_NEXT_START = Family(
    "headgate_part_next_start_timestamp_seconds",
    "When the part, which has ended, is started again, Unix time; only there until then.",
    ("part",),
)
PART_START = Family("headgate_part_start_time_seconds", "When the part's process started, Unix time.", ("part",))
PART_CPU = Family("headgate_part_cpu_seconds_total", "User and system CPU time of the part's process.", ("part",))
PART_MEMORY = Family("headgate_part_resident_memory_bytes", "Resident memory of the part's process.", ("part",))
CONFIG_GENERATION = Family("headgate_config_generation", "Number of the configuration that is served.")
CONFIG_TIMESTAMP = Family("headgate_config_loaded_timestamp_seconds", "When that configuration was taken, Unix time.")
RELOADS = Family(
    "headgate_reloads_total", "Times that a changed file was looked at, by what became of it.", ("outcome",)
)
RELOAD_OK = Family("headgate_config_last_reload_successful", "0 while the file on disk is one that was refused.")
ISSUER_KEYS_FETCHED = Family(
    "headgate_issuer_keys_fetched_timestamp_seconds",
    "When the keys of a token's issuer were last fetched, Unix time; 0 is never.",
    ("issuer",),
)
CERTIFICATE_EXPIRY = Family(
    "headgate_certificate_expiry_timestamp_seconds",
    "When the certificate file named by this key of gateway.yaml expires, Unix time.",
    ("certificate",),
)
SPOOL_BYTES = Family("headgate_spool_bytes", "Size of all spool files.")
SPOOL_FILES = Family("headgate_spool_files", "Number of spool files.")
SPOOL_FREE = Family("headgate_spool_free_bytes", "Space left on the spool's disk.")
COUNTERS_DAMAGED = Family(
    "headgate_counters_damaged_folders", "Folders of the embedded counters that were damaged and set aside."
)

REQUESTS_IN_FLIGHT = Family("headgate_requests_in_flight", "Requests of clients that are being answered now.")
CONNECTIONS = Family("headgate_connections", "Open connections of clients.")
CONNECTIONS_TOTAL = Family("headgate_connections_opened_total", "Connections that clients opened.")
RESPONSES = Family("headgate_responses_total", "Answers by Envoy's own count, by class of status.", ("status_class",))
CLIENT_TIMEOUTS = Family(
    "headgate_client_timeouts_total", "Requests that arrived too slowly, or stood still.", ("kind",)
)
CLIENT_RESETS = Family("headgate_client_resets_total", "Requests that clients reset.")
PROTOCOL_ERRORS = Family("headgate_protocol_errors_total", "Connections closed for what is no HTTP.")
FILTER_CALLS = Family(
    "headgate_filter_calls_total", "Calls of Envoy's filters to our servers, by outcome.", ("filter", "outcome")
)
FILTER_ERRORS = Family(
    "headgate_filter_errors_total", "Failures of Envoy's filters: no answer from a server.", ("filter",)
)
METERING = Family(
    "headgate_metering_problems_total", "Requests that the metering filter could not treat fully.", ("problem",)
)
WORKERS = Family("headgate_filter_workers", "Filter workers that Envoy knows.")
WORKERS_HEALTHY = Family("headgate_filter_workers_healthy", "Filter workers that Envoy sends calls to.")
SPOOL_LINES = Family("headgate_spool_lines_total", "Lines that Envoy has written for the spool and beside it.")
SPOOL_WRITE_FAILURES = Family(
    "headgate_spool_write_failures_total", "Times that Envoy could not write to the spool: those lines are lost."
)
ENVOY_REJECTED = Family(
    "headgate_envoy_config_rejected_total", "Updates of Envoy's configuration that Envoy refused.", ("kind",)
)
OVERLOAD = Family("headgate_overload_active", "1 while Envoy takes this action against overload.", ("action",))
OVERLOAD_PRESSURE = Family(
    "headgate_overload_pressure_ratio", "How much of a bounded resource Envoy uses, from 0 to 1.", ("resource",)
)
OVERLOAD_REFUSALS = Family(
    "headgate_overload_refusals_total", "Connections and requests that Envoy refused to protect itself.", ("kind",)
)
TRACE_SPANS = Family(
    "headgate_trace_spans_total", "Spans that Envoy handed to the collector or dropped.", ("outcome",)
)

_PROVIDER = ("provider", "provider_key")  # the latter of a provider with several, and empty otherwise
PROVIDER_CONNECTIONS = Family("headgate_provider_connections", "Open connections to the provider.", _PROVIDER)
PROVIDER_IN_FLIGHT = Family("headgate_provider_requests_in_flight", "Attempts being answered now.", _PROVIDER)
PROVIDER_PENDING = Family("headgate_provider_requests_pending", "Attempts waiting for a connection.", _PROVIDER)
PROVIDER_REQUESTS = Family("headgate_provider_requests_total", "Attempts sent.", _PROVIDER)
PROVIDER_RESPONSES = Family(
    "headgate_provider_responses_total", "Answers, by class of status.", (*_PROVIDER, "status_class")
)
PROVIDER_RETRIES = Family("headgate_provider_retries_total", "Attempts after a failed one.", _PROVIDER)
PROVIDER_FAILURES = Family(
    "headgate_provider_failures_total", "Attempts without an answer, by what happened.", (*_PROVIDER, "kind")
)
PROVIDER_ENDPOINTS = Family("headgate_provider_endpoints", "Endpoints of the provider.", _PROVIDER)
PROVIDER_HEALTHY = Family("headgate_provider_endpoints_healthy", "Endpoints that pass health checks.", _PROVIDER)
PROVIDER_EJECTED = Family("headgate_provider_endpoints_ejected", "Endpoints left out for failing.", _PROVIDER)
PROVIDER_EJECTIONS = Family(
    "headgate_provider_ejections_total", "Times an endpoint was left out for failing.", _PROVIDER
)
PROVIDER_CHECKS_FAILED = Family("headgate_provider_health_check_failures_total", "Failed health checks.", _PROVIDER)
PROVIDER_BREAKER = Family("headgate_provider_breaker_open", "1 while Envoy's circuit breaker is open.", _PROVIDER)

_REPLICA = ("engine", "replica")  # the latter by its address, as Envoy has it
ENGINE_STATE = Family(
    "headgate_engine_replica_state", "1 for the state that the replica is in, 0 for the others.", (*_REPLICA, "state")
)
ENGINE_RUNNING = Family("headgate_engine_requests_running", "Requests that the replica works on.", _REPLICA)
ENGINE_WAITING = Family("headgate_engine_requests_waiting", "Requests that wait inside the replica.", _REPLICA)
ENGINE_CAPACITY = Family("headgate_engine_requests_capacity", "Requests that it works on at once.", _REPLICA)
ENGINE_KV = Family("headgate_engine_kv_cache_used_ratio", "How much of its KV cache is taken, from 0 to 1.", _REPLICA)
ENGINE_ADAPTERS = Family("headgate_engine_adapters", "Adapters that are resident.", _REPLICA)
ENGINE_ADAPTERS_USED = Family(
    "headgate_engine_adapters_in_use", "Adapters that requests run with, or wait for.", _REPLICA
)
ENGINE_TOKENS = Family(
    "headgate_engine_tokens_total",
    "Tokens of prompts (input) and answers (output), as it counts.",
    (*_REPLICA, "type"),
)
ENGINE_PREFIX_QUERIES = Family(
    "headgate_engine_prefix_cache_queries_total", "Tokens of prompts that its prefix cache was asked for.", _REPLICA
)
ENGINE_PREFIX_HITS = Family(
    "headgate_engine_prefix_cache_hits_total", "Tokens of prompts that its prefix cache had.", _REPLICA
)
ENGINE_PREEMPTIONS = Family(
    "headgate_engine_preemptions_total", "Times that it put a request back for want of KV cache.", _REPLICA
)
ENGINE_FIRST_TOKEN = Family(
    "headgate_engine_time_to_first_token_seconds",
    "Time to the first token as the replica measures it, its own waiting included.",
    _REPLICA,
    is_histogram=True,
)
ENGINE_RESTARTS = Family("headgate_engine_restarts_total", "Times that it was seen to have started anew.", _REPLICA)
ENGINE_LOOK_FAILURES = Family(
    "headgate_engine_look_failures_total", "Looks at it that found trouble, by what it was.", (*_REPLICA, "kind")
)
ENGINE_JUNK = Family(
    "headgate_engine_metrics_junk_total", "Lines of its metrics that were left out, for what can't be.", _REPLICA
)
_ENGINE = ("engine",)
ENGINE_SLOTS = Family("headgate_engine_slots", "Requests that its ready replicas run at once.", _ENGINE)
ENGINE_SLOTS_HELD = Family("headgate_engine_slots_held", "Slots that requests hold.", _ENGINE)
ENGINE_SLOTS_WAITED_FOR = Family("headgate_engine_slots_waited_for", "Requests that wait for a slot.", _ENGINE)
ENGINE_FULL = Family("headgate_engine_full", "1 while another request would have to wait.", _ENGINE)
GPU_USED = Family("headgate_gpu_used_ratio", "Share of the last moments in which the GPU computed.", ("gpu",))
GPU_MEMORY = Family("headgate_gpu_memory_bytes", "Memory of the GPU.", ("gpu",))
GPU_MEMORY_USED = Family("headgate_gpu_memory_used_bytes", "Memory of the GPU that is taken.", ("gpu",))

FAMILIES = tuple(value for value in list(globals().values()) if isinstance(value, Family))


@dataclass(frozen=True, slots=True)
class Definition:
    """What the documentation says of one metric: its name as scraped, its type and labels."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str


def definitions() -> Iterator[Definition]:
    """Every metric that a scrape can have."""
    modules = metrics, usage_metrics, adapter_metrics, queue_metrics, alert_metrics
    for value in [value for module in modules for value in vars(module).values()]:
        if isinstance(value, Counter | Gauge | Histogram):
            plain: Any = value
            name = f"{plain._name}_total" if isinstance(value, Counter) else plain._name
            yield Definition(name, plain._type, tuple(plain._labelnames), plain._documentation)
    for family in FAMILIES:
        yield Definition(family.name, family.kind, family.labels, family.help)

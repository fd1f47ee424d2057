"""The metrics of Headgate: names, types, labels, help. docs/metrics.md lists them; a test holds the two together.

Parts count in place with the objects below, and with those of headgate/*_metrics.py. Under `headgate up` these
are files in PROMETHEUS_MULTIPROC_DIR, merged by the supervisor, so one scrape covers all processes;
headgate/supervise/families.py has what it makes itself, of processes, files and Envoy's statistics. Labels are
bounded: names out of gateway.yaml and words that stand in code. Never a key id, a request id, or anything else that
a client wrote.
"""

import os

from prometheus_client import Counter, Gauge, Histogram, values

OTHER = "other"

_pid = [os.getpid()]
os.register_at_fork(after_in_child=lambda: _pid.__setitem__(0, os.getpid()))
if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
    # With every count the library looks whether it is still the same process, by a system call of its own.
    values.ValueClass = values.MultiProcessValue(lambda: _pid[0])  # type: ignore[no-untyped-call]

# 10 ms to 10 min: from an embedding to the longest answer.
LATENCY_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
ROUND_TRIP_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)

_ROUTE = ("model", "provider")

# -- requests, by the ledger's follower from the spool's `end` lines (ledger/showing/metrics.py) --

REQUESTS = Counter(
    "headgate_requests",
    "Requests that ended, refused ones included; status 0 is a client that left before there was one.",
    ("tenant", *_ROUTE, "status"),
    registry=None,
)
TOKENS = Counter(
    "headgate_tokens",
    "Tokens as the providers reported them; cached and cache_write ones are part of input, reasoning ones of output.",
    ("tenant", *_ROUTE, "type"),
    registry=None,
)
DURATION = Histogram(
    "headgate_request_duration_seconds",
    "From the request's first byte to the answer's last one, of requests that a provider answered.",
    _ROUTE,
    registry=None,
    buckets=LATENCY_BUCKETS,
)
FIRST_BYTE = Histogram(
    "headgate_time_to_first_byte_seconds",
    "From the request's first byte to the provider's first one.",
    _ROUTE,
    registry=None,
    buckets=LATENCY_BUCKETS,
)
RESPONSES_KEPT = Counter(
    "headgate_responses_kept",
    "Responses and completions that providers keep, by what became of their ids: noted, unread (none), lost.",
    ("how",),
    registry=None,
)
ATTEMPTS = Counter("headgate_attempts", "Attempts at a provider, retries included.", _ROUTE, registry=None)
FALLBACKS = Counter(
    "headgate_fallback_requests",
    "Requests that took more than one attempt; provider is the last.",
    _ROUTE,
    registry=None,
)
DISCONNECTS = Counter(
    "headgate_client_disconnects", "Requests whose client left before the answer was complete.", _ROUTE, registry=None
)
UNMETERED = Counter(
    "headgate_unmetered_requests",
    "Requests answered with 200 by a provider that reported no tokens.",
    _ROUTE,
    registry=None,
)
COST = Counter(
    "headgate_cost_usd",
    "What requests cost by the prices that they began with, in USD.",
    ("tenant", *_ROUTE),
    registry=None,
)
UNPRICED = Counter(
    "headgate_unpriced_requests",
    "Requests answered by a provider whose model has a price and whose cost is unknown.",
    _ROUTE,
    registry=None,
)

ADAPTER_TOKENS = Counter(
    "headgate_adapter_tokens",
    "Tokens of requests that an engine answered with an adapter, by what clients call it.",
    ("engine", "adapter", "type"),
    registry=None,
)
VARIANTS = Counter(
    "headgate_variant_requests",
    "Requests that ended, of models with a split, by the variant that they belong to.",
    ("model", "variant", "status"),
    registry=None,
)

# -- the ledger's follower --

LEDGER_LINES = Counter(
    "headgate_ledger_lines", "Lines that the follower has read from the spool.", ("type",), registry=None
)
LEDGER_BEHIND = Gauge(
    "headgate_ledger_behind_bytes",
    "Bytes of the spool that the follower has not read yet.",
    registry=None,
    multiprocess_mode="livesum",
)
SETTLEMENT = Histogram(
    "headgate_settlement_seconds",
    "Time from a request's end until it is counted and its reservation closed, of the first of those read together.",
    registry=None,
    buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600),
)
LEDGER_WAITS = Gauge(
    "headgate_ledger_waits",
    "1 while the ledger's database can't be written, so that nothing is settled.",
    registry=None,
    multiprocess_mode="livemax",
)
CHARGES = Counter("headgate_charged_requests", "Requests whose usage was counted against limits.", registry=None)
MISSED = Counter(
    "headgate_missed_requests",
    "Charged requests that the counters had not decided on, because they were away.",
    registry=None,
)
ESTIMATED_CHARGES = Counter(
    "headgate_estimated_charges",
    "Requests without a record that were charged what they had reserved: their lease was over, or their Envoy died.",
    ("reason",),
    registry=None,
)
ESTIMATES_REPLACED = Counter(
    "headgate_estimates_replaced", "Such requests whose record came after all and took its place.", registry=None
)
RECORDS_UNREAD = Counter(
    "headgate_unread_record_files",
    "Files of records, of an Envoy that has ended, whose layout this version does not know: they stay in the spool.",
    registry=None,
)
REBUILDS = Counter(
    "headgate_limit_rebuilds",
    "Times that the sums of all calendar windows were written to the counters, by why.",
    ("reason",),
    registry=None,
)

# -- the directory: by each worker, and by control what the database has --

DIRECTORY_VERSION = Gauge(
    "headgate_directory_version",
    "Version of the directory: of the worker that is furthest behind, by its part, and as control has written it.",
    ("part",),
    registry=None,
    multiprocess_mode="livemin",
)

# -- the feed: by the ledger's process what it says of targets, by the workers what they have heard --

ISSUER_FETCHES = Counter(
    "headgate_issuer_fetches",
    "Looks at the keys of a token's issuer, by what became of them: fetched, failed.",
    ("issuer", "outcome"),
    registry=None,
)
FEED_CLUSTERS = Gauge(
    "headgate_feed_clusters",
    "Clusters of providers that plans leave out or put last, by their state.",
    ("state",),
    registry=None,
    multiprocess_mode="livesum",
)
FEED_RESTS = Gauge(
    "headgate_feed_rests",
    "Models at providers that rest because the provider asked for it, on all gateways that share the counters.",
    registry=None,
    multiprocess_mode="livemax",
)
FEED_REFUSED_KEYS = Gauge(
    "headgate_feed_refused_keys",
    "Keys that rest because their provider refused them, on all gateways that share the counters.",
    registry=None,
    multiprocess_mode="livemax",
)
FEED_FIGURES = Gauge(
    "headgate_feed_figures",
    "Figures that strategies go by, as they were told last, by what they are of.",
    ("what",),
    registry=None,
    multiprocess_mode="livesum",
)
FEED_SENT = Gauge(
    "headgate_feed_sent_timestamp_seconds",
    "When the ledger's process last told the workers how targets are, Unix time.",
    registry=None,
    multiprocess_mode="livemax",
)
FEED_HEARD = Gauge(
    "headgate_feed_heard_timestamp_seconds",
    "When the worker that has waited the longest last heard of this, Unix time.",
    ("what",),  # without a label it would be 0 in every process that counts, and 0 the smallest
    registry=None,
    multiprocess_mode="livemin",
)
ENGINES_SENT = Gauge(
    "headgate_engines_sent_timestamp_seconds",
    "When the engines' part last told the workers how replicas are, Unix time.",
    registry=None,
    multiprocess_mode="livemax",
)
RESTS = Counter(
    "headgate_rests",
    "Times that a provider's 429 made one of its models rest, by the key's name where it has several.",
    ("provider", "provider_key"),
    registry=None,
)
KEY_REFUSALS = Counter(
    "headgate_key_refusals",
    "Times that a provider refused one of several keys, which then rests, by the key's name.",
    ("provider", "provider_key"),
    registry=None,
)

TOKEN_FACTOR = Gauge(
    "headgate_token_factor",
    "What counts of prompts for an upstream model are multiplied with, learned from what providers report.",
    ("api", "model"),
    registry=None,
    multiprocess_mode="livemax",
)

BUDGET_LIMIT = Gauge(
    "headgate_provider_budget_limit",
    "A provider's budget, or that of one of its keys; limit is its kind. 0 where it was taken out of gateway.yaml.",
    ("provider", "provider_key", "limit"),
    registry=None,
    multiprocess_mode="livemax",
)
BUDGET_USED = Gauge(
    "headgate_provider_budget_used",
    "What is used of it by all gateways on the counters, with what running requests may still use.",
    ("provider", "provider_key", "limit"),
    registry=None,
    multiprocess_mode="livemax",
)

PROVIDER_LIMIT = Gauge(
    "headgate_provider_limit",
    "A provider's own limit as its last answer said: requests, tokens, input-tokens or output-tokens.",
    ("provider", "provider_key", "model", "limit"),
    registry=None,
    multiprocess_mode="livemostrecent",
)
PROVIDER_LEFT = Gauge(
    "headgate_provider_limit_left",
    "What was left of it then.",
    ("provider", "provider_key", "model", "limit"),
    registry=None,
    multiprocess_mode="livemostrecent",
)
LEFT_JUNK = Counter(
    "headgate_provider_limit_junk",
    "What providers said of their limits that is no number, or no time.",
    ("provider",),
    registry=None,
)

# -- failed attempts, by the ledger from the attempts' lines --

ATTEMPT_FAILURES = Counter(
    "headgate_attempt_failures",
    "Attempts at a provider that failed, whether another one followed or not, by what happened.",
    ("provider", "kind"),
    registry=None,
)

HEDGED = Counter(
    "headgate_hedged_attempts",
    "Attempts that were given up because another one of their request was quicker, or because the client left.",
    ("provider",),
    registry=None,
)

# -- answers that are translated, by the filter workers --

FAILED_ANSWERS = Counter(
    "headgate_failed_answers",
    "Answers that a provider broke off, or that were not what its API says, found while translating them.",
    ("provider", "kind"),
    registry=None,
)

# -- decisions, by the filter workers --

REFUSALS = Counter(
    "headgate_refusals",
    "Requests that one of our servers refused, by its reason.",
    ("server", "reason"),
    registry=None,
)
SLOWED = Counter(
    "headgate_slowed_refusals",
    "Refusals of bad keys from where many came from: sent later (held), or at once (refused), as too many wait.",
    ("how",),
    registry=None,
)
FAILURES = Counter(
    "headgate_failures",
    "Calls that one of our servers failed to handle: bugs, answered with 500.",
    ("server",),
    registry=None,
)
LIMITER_DECISIONS = Counter(
    "headgate_limiter_decisions",
    "Decisions of the limiter; by is who decided: the counters, or the emergency limit while they are away.",
    ("decision", "by"),
    registry=None,
)
LIMITER_ROUND_TRIP = Histogram(
    "headgate_limiter_round_trip_seconds",
    "Time of one round trip to the counters, failed ones included.",
    registry=None,
    buckets=ROUND_TRIP_BUCKETS,
)
LIMITER_EMERGENCY = Gauge(
    "headgate_limiter_emergency",
    "1 while a limiter cannot go by the counters and limits by itself.",
    registry=None,
    multiprocess_mode="livemax",
)
LIMITER_LOWERED = Counter(
    "headgate_limiter_lowered",
    "Requests that were let through with fewer output tokens than they asked for.",
    ("by",),
    registry=None,
)
LIMITER_WAITS = Counter(
    "headgate_limiter_waits",
    "Requests that waited a moment for what running requests still held, by what became of them.",
    ("outcome",),
    registry=None,
)
LIMITER_PASSED = Counter(
    "headgate_limiter_passed",
    "Limits that requests were let through above, by kind: soft ones, and ones with overage.",
    ("limit", "what"),
    registry=None,
)
LIMITER_SETTLEMENTS = Counter(
    "headgate_limiter_settlements",
    "Reservations that were closed, by the request's end, its Envoy's, or that of its lease.",
    ("by",),
    registry=None,
)

BUDGET_DECISIONS = Counter(
    "headgate_provider_budget_decisions",
    "Requests whose first provider has a budget, by who looked for room in it: the counters, or the worker alone.",
    ("by",),
    registry=None,
)
BUDGET_REFUSALS = Counter(
    "headgate_provider_budget_refusals",
    "Requests that a provider was left out of for its budget, by the kind of limit.",
    ("provider", "limit"),
    registry=None,
)

SERVER_SPANS = Counter(
    "headgate_server_spans",
    "Spans that the gRPC servers handed to the collector or dropped.",
    ("outcome",),
    registry=None,
)

"""Names that cross a process: headers, metadata namespaces, files of the state directory.

Each is defined once, here, because Envoy's configuration (written by `headgate`), the gRPC servers and what runs
inside Envoy all have to agree on it. Nothing here computes anything.
"""

from pathlib import Path

# Answers to clients (DESIGN: these are documented; any other x-headgate-* header is internal).
REQUEST_ID = "x-request-id"
TARGET = "x-headgate-target"
ATTEMPTS = "x-headgate-attempts"
ERROR_SOURCE = "x-headgate-error-source"

DROPPED = "x-headgate-dropped"
MAX_TOKENS = "x-headgate-max-tokens"  # of requests too, from extproc to envoy/module, which takes it out
WARNING = "x-headgate-warning"  # a soft limit that is passed
OVERAGE = "x-headgate-overage"  # a limit that is passed for a price
QUEUE_POSITION = "x-headgate-queue-position"  # where a request stood when it began to wait for an engine
PREDICTED_START = "x-headgate-predicted-start-ms"  # when it was to begin by what was known then
USAGE_UNTIL = "x-headgate-usage-until"  # on answers about usage: what ended before is in them
STORED = "x-headgate-stored"  # "false": nobody here will know it by its id; "unlisted": by its id alone

# Of clients' requests: TARGET too, where a tenant may choose it.
FALLBACK = "x-headgate-fallback"

# How long the client would wait for a byte, in seconds; OpenAI's and Anthropic's SDKs say so, the first is surer.
CLIENT_TIMEOUTS = ("x-stainless-read-timeout", "x-stainless-timeout")

# Set by extproc for Envoy's route table and for envoy/module/attempt.c; never leaves the gateway.
ROUTE_PROFILE = "x-headgate-profile"
ATTEMPT_PATH = "x-headgate-path"  # what follows a provider's root, for one attempt

# Set by Envoy on clients' upgrades, for the bridge alone: who it is, what a body may have, and, with the prefix, what
# the client has said of itself.
TENANT = "x-headgate-tenant"
MAX_BODY = "x-headgate-max-body"
KEPT_PREFIX = "x-headgate-kept-"

CONNECTION_SURFACE = "responses.websocket"  # of a WebSocket's own line in the spool
WEBSOCKET_ROUTE = "responses.websocket"

HEDGED = "/hedged"  # what the names of routes end in whose attempts may wait beside each other

# Set by envoy/module/attempt.c on providers' answers for Envoy's router and its log; never leaves the gateway.
RETRY = "x-headgate-retry"  # why the next target is to be asked
UNLOADED = "x-headgate-unloaded"  # by envoy/module: an engine has the adapter no more; seconds until another try
TRIED_MODEL = "x-headgate-tried-model"

ADAPTER_NOT_LOADED = "adapter_not_loaded"  # an error's code: no replica has the adapter that the request is for
ADAPTER_AGAIN_S = 5
ADAPTER_WAIT_S = 30.0  # that a request goes without it, before it stands in the line of its engine and there

# Of Bedrock's answers: how many tokens the input of embeddings had, where the body does not tell.
INPUT_TOKENS = "x-amzn-bedrock-input-token-count"

# Tells the kinds of ext_proc calls apart: gRPC metadata.
ROLE, ATTEMPT_ROLE, ANSWER_ROLE, WATCH_ROLE = "x-headgate-role", "attempt", "answer", "watch"

UPSTREAM_ADDRESS = "upstream.address"  # Envoy's attribute: which host answers, as the plan's `hosts` name it

# Which Envoy asks, of the call that makes the plan: its reservations are told from others' by it.
EPOCH = "x-headgate-epoch"

# What a provider says is left of its limits, on its answer between two upstream filters.
LEFT = "x-headgate-left"

# Set by envoy/module on the head of a stream that has to be translated; taken away when it is.
TRANSLATE = "x-headgate-translate"

# Requests carry a credential in one of these; authz reads them, none goes further.
CREDENTIAL_HEADERS = ("authorization", "api-key", "x-api-key")
TENANT_HEADER = "openai-tenant"

# Set by authz on requests to the admin API, for control alone: who asks (headgate/identity.py).
IDENTITY_HEADER = "x-headgate-identity"
ADMIN_PATH = "/admin/v1/"
ADAPTER_UPLOADS = rf"{ADMIN_PATH}tenants/[^/]+/adapters/[^/]+/versions"  # bodies that are not held back
ADMIN_MARK = "x-headgate-admin"  # set by Envoy on requests to control, for its own logs and replies
FOR_ADMIN, FOR_USAGE = "1", "usage"  # its values: which of control's APIs
MAX_ADMIN_BODY_BYTES = 2**20
ADMIN_OPENAPI = "/admin/v1/openapi.json"  # what anybody may read there

# Dynamic metadata namespaces. AUTHZ is the filter's own name: Envoy puts ext_authz's answer there.
AUTHZ = "envoy.filters.http.ext_authz"
REQUEST = "hg.request"  # what extproc learned: model, surface, user, the plan's first target
ATTEMPT = "hg.attempt"  # what extproc has sent in a translated attempt, for its answer's translation
LIMITER = "envoy.filters.http.ratelimit"  # likewise the limiter's; extproc writes there what it has reserved
ADMISSION = "headgate.admission"  # the filter that asks it for a slot of an engine
LIMIT_HEADERS = "headers"  # in LIMITER: what the client is told of limits, by envoy/module; a line each, `name:value`
ENGINE = "engine"  # in REQUEST: whose slot the request takes; such requests are asked about there
# Likewise those that no replica has the adapter for; of all for an adapter its name on engines, and their cluster.
LACKS_ADAPTER, ADAPTER, ADAPTER_CLUSTER = "lacks_adapter", "adapter", "cluster"
# In REQUEST, of both: what requests that begin alike have in common, as hex, or NO_KEY; not there where one replica
# alone will do.
LEADING_KEY, NO_KEY = "leading_key", "-"
PLAN = "hg.plan"  # `priority_groups`, read by Envoy's priority-group cluster specifier
# In PLAN: replicas of engines for the attempts that go to one, read by those clusters' balancers. In LIMITER: the
# same of a request that has waited, which counts then.
HOSTS = "hosts"
LINE = "hg.line"  # by envoy/module when a stream is over, for its line in the spool
USAGE = "hg.usage"  # written by envoy/module, read by the access log

# Cluster metadata: {"provider": name}, "key" of one with a pool of them, "line" for the spool.
CLUSTER_METADATA = "headgate"
MAX_CHARS = 10  # of a body's number of tokens that envoy/module may overwrite, spaces first
ANSWERED = "answered"  # true in AUTHZ, REQUEST or LIMITER when that server made the answer itself
RESERVED = "reserved"  # in LIMITER: whether the request holds something that its end gives back

# Files below the state directory. Every part runs with the state directory as its working directory, so
# these stay relative: a Unix socket's path ends at 107 bytes, whatever directory the operator picked.
LOCK = Path("lock")
PARTS = Path("parts.json")
DEMO_KEY = Path("demo-key")
SNAPSHOT = Path("snapshot.json")
PRICES = Path("prices")  # beside it: one file per generation
DECLARED = Path("declared.json")  # beside it: what gateway.yaml declares, for control
DATABASE = Path("control.db")  # of control, unless services.database names another
BOOTSTRAP = Path("envoy/bootstrap.json")
CLUSTERS = Path("envoy/cds.json")
ROUTES = Path("envoy/rds.json")
SECRETS = Path("secrets")  # a link into memory-backed storage where the machine has some
SEALING = Path("sealing.json")  # which key of Vault's or KMS's wraps data keys; empty where LOCAL_KEY does
LOCAL_KEY = Path("identity/local-key")
SPOOL = Path("spool")
LEDGER = Path("ledger")  # how far the follower is
USAGE_STORE = Path("usage")  # all requests, unless services.usage names a ClickHouse
OBJECTS = Path("objects")  # adapters, unless services.objects names another place
UPLOADS = Path("uploads")  # adapters that are on their way in
ADAPTER_CACHE = Path("adapters")  # what engines are given of them
ERASURES = Path("erasures")  # tenants whose data is to go, from control to the ledger and to the usage store
WEBHOOKS = Path("webhooks")  # what the ledger is to tell alerts.webhook, from control
DIRECTORY = Path("directory")  # what control tells the other parts of the database
KEY_USES = LEDGER / "key-uses.json"  # when keys were last used, until control has taken it
IDENTITY = Path("identity")  # durable secrets that this host has made
LAST_INVOICE = IDENTITY / "last-invoice.json"  # that this host has seen in the database
ADAPTER_KEY = IDENTITY / "adapter-key"  # signs adapters, where gateway.yaml gives no key
PEPPER, SERVICE_KEY = IDENTITY / "pepper", IDENTITY / "service-key"  # where gateway.yaml gives none
ENGINES_FOLDER = Path("engines")  # where managed engines work
ENGINES_KEY = IDENTITY / "engines-key"  # what managed engines ask of who asks them
ISSUER_KEYS = Path("jwks")  # public keys of tokens' issuers
LOGS = Path("log")
RUN = Path("run")
METRICS = RUN / "metrics"  # what the parts count; a link into memory-backed storage where the machine has some
ADMIN_ADDRESS = RUN / "admin"  # where the supervisor's /readyz is, for `headgate status`
ENVOY_ADMIN_SOCKET = RUN / "envoy-admin.sock"
COUNTERS_SOCKET = RUN / "counters.sock"
CONTROL_SOCKET = RUN / "supervisor.sock"  # for `headgate restart`
BRIDGE_SOCKET = RUN / "bridge.sock"  # where Envoy brings clients' WebSockets
CONTROL_API_SOCKET = RUN / "control.sock"  # where Envoy brings requests for /admin/v1
INNER_SOCKET = RUN / "inner.sock"  # where Envoy takes the requests of these
LEDGER_SOCKET = RUN / "ledger.sock"  # says how far the follower is
ENGINES_SOCKET = RUN / "engines.sock"  # says how engines are (headgate/engine_standing.py)
EVENTS_SOCKET = RUN / "events.sock"  # says how many events wait, and for what
LEDGER_QUESTIONS = RUN / "ledger-questions.sock"  # for `headgate limits`: a JSON line for a JSON line
USAGE_SOCKET = RUN / "usage.sock"  # answers about usage: a JSON line asked, JSON lines answered
WORKERS_ENV = "HEADGATE_WORKERS"  # how many share what a limiter gives out by itself
COUNTERS_URL_ENV = "HEADGATE_COUNTERS"  # services.counters, for parts: on no command line and in no file of ours
DATABASE_URL_ENV = "HEADGATE_DATABASE"  # services.database, for control alone: likewise
TELLS_EVENTS_ENV = "HEADGATE_TELLS_EVENTS"  # for the ledger: somebody reads the journal for Kafka, too
EVENTS_URL_ENV = "HEADGATE_EVENTS"  # services.events, for that part alone: likewise
USAGE_URL_ENV = "HEADGATE_USAGE"  # services.usage, for the usage store's part alone: likewise


FILTERS_CLUSTER = "headgate/filters"  # the filter workers, in Envoy's eyes
BRIDGE_CLUSTER = "headgate/bridge"  # responses over WebSocket
CONTROL_CLUSTER = "headgate/control"  # the admin API
NO_TARGET_CLUSTER = "headgate/no-target"  # where a request without a plan would go: nowhere
TELEMETRY_CLUSTER = "headgate/telemetry"  # the OTLP collector, when gateway.yaml names one


RECORDS_ENDING = ".inflight"  # beside a spool file: what its Envoy's requests have come to (envoy/module/recorder.h)


def epoch_of(spool: str) -> str:
    """What one Envoy's life is called: its spool file's name, up to the first dot. Rotated files keep it."""
    return Path(spool).name.partition(".")[0]


def worker_socket(index: int) -> Path:
    """The Unix socket of filter worker `index`, relative to the state directory."""
    return RUN / f"worker-{index}.sock"


def worker_generation(index: int) -> Path:
    """Where filter worker `index` says which generation of the tables it works by."""
    return RUN / f"worker-{index}.generation"


def cluster_name(provider: str) -> str:
    """What a provider's clusters are called in statistics; the prefix keeps them apart from our own clusters."""
    return f"provider/{provider}"


def otlp_traces_url(base: str) -> str:
    """Where a collector at `base` takes traces over OTLP/HTTP."""
    return f"{base}/v1/traces"

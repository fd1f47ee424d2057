"""One request on its way through the steps: what came in, what the steps have learned, what goes out."""

from dataclasses import dataclass, field

from extproc.document import Document
from extproc.surfaces import NONE, Surface
from headgate.snapshot import ModelRow, Snapshot, TargetRow


@dataclass(frozen=True, slots=True)
class Incoming:
    """The request line and the headers that extproc gets to see, and who authz says is calling."""

    method: str
    path: str
    content_type: str
    content_encoding: str
    traceparent: str
    request_id: str
    tenant: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that needs no provider."""

    body: bytes
    surface: Surface


@dataclass(frozen=True, slots=True)
class Plan:
    """What Envoy does with the request: attempt n goes to clusters[n]. `user` and `trace_id` are "" for none."""

    clusters: tuple[str, ...]
    profile: str
    headers_ms: int | None
    user: str
    trace_id: str
    metadata: tuple[tuple[str, str | bool | int], ...]


@dataclass(slots=True)
class Exchange:
    """Steps read what earlier steps wrote; the comment above a field names the step that fills it.

    A field without a default is absent until then: reading it too early is an AttributeError, a bug in the order.
    """

    incoming: Incoming
    snapshot: Snapshot
    spool_is_short: bool = False
    raw_body: bytes = b""
    refusal: str = ""  # why it ended here, for operators
    # find_surface
    surface: Surface = NONE
    rest: str = ""
    # parse
    document: Document = field(init=False)
    # resolve_model
    model: str = field(init=False)
    row: ModelRow = field(init=False)
    targets: list[TargetRow] = field(init=False)
    # choose_target
    target: TargetRow = field(init=False)
    # ask_for_usage
    hide_usage_chunk: bool = False
    hide_usage_member: bool = False
    # make_plan
    plan: Plan = field(init=False)

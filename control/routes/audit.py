"""`/audit` and `/tenants/{tenant}/audit`: who did what. Read-only, like the log itself."""

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema
from starlette.responses import Response, StreamingResponse

from control.audit_chain import PARTS, Entry, Head, lines_of
from control.call import Call, Called, shown
from control.fields import Moment, Shown, Time
from control.found_tenant import tenant_of
from control.lists import MOST_ON_A_PAGE, After, Limit
from control.masking import text_of
from control.routing import Routes
from control.store.audit_log import list_entries, piece, piece_ends, verify_log
from control.store.paging import Page, Wish
from control.store.store import Store

routes = Routes("audit")
_HEAD = "^[0-9]{1,15}:[0-9a-f]{64}$"


def _head(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(_HEAD[1:-1], value):
        raise ValueError("expected SEQ:HASH, as an earlier look said")
    return value


KnownHead = Annotated[str, PlainValidator(_head), WithJsonSchema({"type": "string", "pattern": _HEAD})]


class AuditEntry(Shown):
    """Something that was done. `before` and `after` are what it was done to, secrets masked.

    `erased` names the parts that were dropped when a tenant or a person was deleted.
    """

    seq: int
    at: Time
    version: int | None
    action: str
    object_kind: str
    object_id: str | None
    tenant_id: str | None
    actor_kind: str
    actor_id: str | None
    actor_tenant_id: str | None
    source: str | None
    request_id: str | None
    before: Any
    after: Any
    erased: list[str]
    hash: str


class AuditEntries(Shown):
    """Some entries, and the cursor of the next, older ones."""

    data: list[AuditEntry]
    next: str | None


class LogHead(Shown):
    """How far the log is: noted elsewhere, it shows later that nothing up to there was rewritten."""

    seq: int
    hash: str


class BadEntry(Shown):
    """The first entry that is not as it was written."""

    seq: int
    problem: str


class Verdict(Shown):
    """What a look at every entry has found; `bad` null: all are as they were written."""

    entries: int
    head: LogHead
    bad: BadEntry | None


@routes.serve("GET", "/audit", "platform.audit.read", AuditEntries, fails=(400,))
def read_audit(
    call: Called,
    limit: Limit = MOST_ON_A_PAGE,
    after: After = None,
    tenant: str | None = None,
    actor: str | None = None,
    action: str | None = None,
    object: str | None = None,  # noqa: A002 - the filter's name
    since: Moment | None = None,
    until: Moment | None = None,
) -> Response:
    """The newest first; from `since` on, before `until`."""
    filters = {"actor_id": actor, "action": action, "object_id": object, "since": since, "until": until}
    with call.read() as reader:
        page = list_entries(reader, Wish(limit, after), tenant_id=tenant, **filters)  # type: ignore[arg-type]
    return _listed(page, [entry_shown(entry) for entry in page.items])


@routes.serve("GET", "/tenants/{tenant}/audit", "audit.read", AuditEntries, fails=(400,))
def read_tenant_audit(
    call: Called,
    tenant: str,
    limit: Limit = MOST_ON_A_PAGE,
    after: After = None,
    actor: str | None = None,
    action: str | None = None,
    object: str | None = None,  # noqa: A002 - the filter's name
    since: Moment | None = None,
    until: Moment | None = None,
) -> Response:
    """What was done to the tenant. From which address the platform's admins did it stays theirs."""
    filters = {"actor_id": actor, "action": action, "object_id": object, "since": since, "until": until}
    with call.read() as reader:
        tenant_of(call, reader)
        page = list_entries(reader, Wish(limit, after), tenant_id=tenant, **filters)  # type: ignore[arg-type]
    return _listed(page, [_to_tenant(call, entry) for entry in page.items])


@routes.serve(
    "GET",
    "/audit/export",
    "platform.audit.read",
    None,
    more={200: {"description": "A line for each entry.", "content": {"application/x-ndjson": {"schema": {}}}}},
)
def export_audit(call: Called) -> Response:
    """All entries, the oldest first, with what it takes to verify them."""
    return StreamingResponse(_lines(call.store), media_type="application/x-ndjson")


@routes.serve("GET", "/audit/verify", "platform.audit.read", Verdict)
def verify_audit(call: Called, head: KnownHead | None = None) -> Response:
    """Looks at every entry. `head` is what an earlier look said: finds what was cut off or rewritten since."""
    seq, _, digest = (head or "").partition(":")
    known = Head(int(seq), bytes.fromhex(digest)) if head else None
    with call.read() as reader:
        verdict = verify_log(reader, known)
    bad = BadEntry(seq=verdict.bad.seq, problem=verdict.bad.problem) if verdict.bad else None
    at = LogHead(seq=verdict.head.seq, hash=verdict.head.hash.hex())
    return shown(Verdict(entries=verdict.entries, head=at, bad=bad)).response()


def entry_shown(entry: Entry) -> AuditEntry:
    """What is said of an entry."""
    return AuditEntry(
        seq=entry.seq,
        at=text_of(entry.at),
        version=entry.version,
        action=entry.action,
        object_kind=entry.object_kind,
        object_id=entry.object_id,
        tenant_id=entry.tenant_id,
        actor_kind=entry.actor_kind,
        actor_id=entry.actor_id,
        actor_tenant_id=entry.actor_tenant_id,
        source=entry.source,
        request_id=entry.request_id,
        before=None if entry.before is None else json.loads(entry.before),
        after=None if entry.after is None else json.loads(entry.after),
        erased=[part for part in PARTS if getattr(entry, f"{part}_salt") is None],
        hash=entry.hash.hex(),
    )


def _to_tenant(call: Call, entry: Entry) -> AuditEntry:
    said = entry_shown(entry)
    if call.asker.is_admin or entry.actor_tenant_id == call.asker.tenant:
        return said
    return said.model_copy(update={"source": None})


def _listed(page: Page[Entry], data: list[AuditEntry]) -> Response:
    return shown(AuditEntries(data=data, next=page.next)).response()


def _lines(store: Store) -> Iterator[bytes]:
    """Each piece from a read of its own: a client that reads slowly holds nothing up."""
    after = 0
    while True:
        with store.read() as reader:
            ends = piece_ends(reader, after=after)
        if not ends:
            return
        for last in ends:
            with store.read() as reader:
                some = piece(reader, after, last)
            yield b"".join(lines_of(some))
            after = last

"""`/deletions`: how far the deletions of tenants are."""

from starlette.responses import Response

from control.call import Call, Called, shown
from control.fields import Flag, Shown, Time
from control.lists import MOST_ON_A_PAGE, After, Limit
from control.masking import text_of
from control.problems import not_found
from control.routing import Routes
from control.store.deletions import find_deletion, list_deletions
from control.store.paging import Wish
from control.store.unit import Reader
from control.store.values import Deletion as Row

routes = Routes("deletions")


class Deletion(Shown):
    """A deletion. `tenant` is forgotten when it has finished; `fingerprint` is SHA-256 of `<id>:<tenant>`."""

    id: str
    tenant: str | None
    fingerprint: str
    requested_at: Time
    requested_by: str
    done: list[str]
    waiting_for: list[str]
    finished_at: Time | None


class DeletionList(Shown):
    """Some deletions, and the cursor of the next ones."""

    data: list[Deletion]
    next: str | None


@routes.serve("GET", "/deletions", "platform.deletions.read", DeletionList, fails=(400,))
def read_deletions(
    call: Called, limit: Limit = MOST_ON_A_PAGE, after: After = None, finished: Flag | None = None
) -> Response:
    """The newest first."""
    with call.read() as reader:
        page = list_deletions(reader, Wish(limit, after), finished=finished)
        data = [deletion_shown(call, reader, row) for row in page.items]
    return shown(DeletionList(data=data, next=page.next)).response()


@routes.serve("GET", "/deletions/{deletion}", "platform.deletions.read", Deletion)
def read_deletion(call: Called, deletion: str) -> Response:
    """One deletion: `done` are the stores that have nothing left, `host/…` those of a host."""
    with call.read() as reader:
        row = find_deletion(reader, deletion)
        if row is None:
            raise not_found("deletion")
        return shown(deletion_shown(call, reader, row)).response()


def deletion_shown(call: Call, reader: Reader, row: Row) -> Deletion:
    """What is said of a deletion."""
    return Deletion(
        id=row.id,
        tenant=row.tenant_id,
        fingerprint=row.fingerprint.hex(),
        requested_at=text_of(row.requested_at),
        requested_by=row.requested_by,
        done=list(row.done),
        waiting_for=list(call.service.deletions.waiting_for(reader, row)),
        finished_at=text_of(row.finished_at) if row.finished_at else None,
    )

"""What a receiver of webhooks is still to be told: stored with what happened, and gone once a ledger has it."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select

from control.store.tables import EventRow
from control.store.unit import Reader, Writer


def add_event(writer: Writer, event_id: str, tenant_id: str, body: str) -> None:
    """In the unit of what it tells of."""
    writer.run(insert(EventRow).values(id=event_id, tenant_id=tenant_id, at=writer.now, body=body))


def waiting_events(reader: Reader, most: int) -> tuple[tuple[str, str], ...]:
    """Ids and bodies, the oldest first."""
    query = select(EventRow.id, EventRow.body).order_by(EventRow.at, EventRow.id).limit(most)
    return tuple((row[0], row[1]) for row in reader.rows(query))


def forget_events(writer: Writer, ids: Sequence[str]) -> None:
    """Somebody else has them now."""
    writer.run(delete(EventRow).where(EventRow.id.in_(ids)))

"""The gateways whose usage this database bills, and how far each was in the usage store when last looked at."""

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import insert, select, update

from control.store.base import table_of
from control.store.billing_tables import UsageGatewayRow
from control.store.unit import Reader, Unit, Writer
from control.store.values import NEVER


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageGateway:
    """`run` and `batch` are its mark (headgate/usage_questions.py) in the store `place`; None: it has had none."""

    id: str
    host_id: str | None = None
    place: str | None = None
    run: int | None = None
    batch: int | None = None
    noted_at: dt.datetime = NEVER


_COLUMNS = tuple(table_of(UsageGatewayRow).c[name] for name in UsageGateway.__slots__)


def list_usage_gateways(reader: Reader) -> dict[str, UsageGateway]:
    """By id: those of hosts that were removed, too."""
    rows = reader.rows(select(*_COLUMNS).order_by(UsageGatewayRow.id))
    return {row.id: UsageGateway(**row._mapping) for row in rows}


def put_usage_gateway(writer: Writer, gateway: UsageGateway, now: dt.datetime) -> None:
    """In the place of what was known of it."""
    values = {name: getattr(gateway, name) for name in UsageGateway.__slots__} | {"noted_at": now}
    there = writer.row(select(UsageGatewayRow.id).where(UsageGatewayRow.id == gateway.id))
    mine = UsageGatewayRow.id == gateway.id
    writer.run(
        update(UsageGatewayRow).where(mine).values(values) if there else insert(UsageGatewayRow).values(values)
    )


def accept_usage_gateway(unit: Unit, gateway: UsageGateway, before: UsageGateway | None, reason: str) -> None:
    """What the store has of it is all that there is, by somebody's word. Recorded."""
    put_usage_gateway(unit, gateway, unit.now)
    unit.record(
        "usage_gateway.accept",
        "usage_gateway",
        gateway.id,
        before=_mark_of(before),
        after=_mark_of(gateway) | {"reason": reason},
    )


def _mark_of(gateway: UsageGateway | None) -> dict[str, object]:
    """Numbers as text: JSON's are exact up to 2^53 only."""
    run, batch = (gateway.run, gateway.batch) if gateway else (None, None)
    return {
        "host_id": gateway.host_id if gateway else None,
        "run": None if run is None else str(run),
        "batch": None if batch is None else str(batch),
    }

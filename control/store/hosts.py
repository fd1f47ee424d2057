"""The hosts whose gateways use this database: each says now and then that it is there.

A tenant's deletion waits for all of them, since each has spool and usage of its own. One that is gone for good is
removed by an operator: nobody else can know that its disks are.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import delete, insert, select, update

from control.store.base import table_of
from control.store.failures import Missing
from control.store.tables import HostRow
from control.store.unit import Reader, Unit, Writer
from control.store.values import Host

_COLUMNS = tuple(table_of(HostRow).c[name] for name in Host.__slots__)


def note_host(writer: Writer, host: Host) -> Host:
    """That it is there now."""
    row = writer.row(select(*_COLUMNS).where(HostRow.id == host.id))
    known = Host(**row._mapping) if row else replace(host, first_seen_at=writer.now)
    fresh = replace(known, name=host.name, seen_at=writer.now)
    values = {name: getattr(fresh, name) for name in Host.__slots__}
    statement = update(HostRow).where(HostRow.id == host.id) if row else insert(HostRow)
    writer.run(statement.values(values))
    return fresh


def note_usage(writer: Writer, host_id: str, place: str, until: dt.datetime, now: dt.datetime) -> None:
    """How far its usage is stored, and where: never less far in the same place, and never farther than now."""
    row = writer.row(select(HostRow.usage_until, HostRow.usage_place).where(HostRow.id == host_id))
    if row is None or until > now or (row[0] is not None and row[1] == place and until <= row[0] <= now):
        return
    writer.run(update(HostRow).where(HostRow.id == host_id).values(usage_until=until, usage_place=place))


def note_engines(
    writer: Writer, host: Host, bases: tuple[str, ...], elsewhere: tuple[str, ...], unserved: Mapping[str, str]
) -> None:
    """What its engines have just said (`values.Host`): so it is there."""
    note_host(writer, host)
    said = {
        "engines_at": writer.now,
        "adapter_bases": bases,
        "adapters_elsewhere": elsewhere,
        "adapters_unserved": unserved,
    }
    writer.run(update(HostRow).where(HostRow.id == host.id).values(said))


def list_hosts(reader: Reader) -> tuple[Host, ...]:
    """All that were ever seen and not removed, the oldest first."""
    rows = reader.rows(select(*_COLUMNS).order_by(HostRow.first_seen_at, HostRow.id))
    return tuple(Host(**row._mapping) for row in rows)


def remove_host(unit: Unit, host_id: str) -> None:
    """Nobody waits for it any more; it comes back if it says again that it is there. Recorded. Raises Missing."""
    if not unit.run(delete(HostRow).where(HostRow.id == host_id)):
        raise Missing("there is no such host")
    unit.record("host.remove", "host", host_id)

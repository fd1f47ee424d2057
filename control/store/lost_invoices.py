"""Numbers of invoices that a database had which was put back since: up to which one each prefix was used."""

from collections.abc import Mapping

from sqlalchemy import insert, select

from control.store.billing_tables import LostInvoicesRow
from control.store.unit import Reader, Unit


def is_lost(reader: Reader, prefix: str, seq: int) -> bool:
    """Whether that number was given by what is lost."""
    wanted = (LostInvoicesRow.prefix == prefix, LostInvoicesRow.seq >= seq)
    return bool(reader.rows(select(LostInvoicesRow.seq).where(*wanted).limit(1)))


def put_lost(unit: Unit, prefix: str, seq: int, said: Mapping[str, object]) -> None:
    """All up to `seq`. Recorded, with what is `said` of it."""
    unit.run(insert(LostInvoicesRow).values(prefix=prefix, seq=seq, noted_at=unit.now))
    unit.record("invoice.lost", "invoice", str(said["number"]), after=dict(said))

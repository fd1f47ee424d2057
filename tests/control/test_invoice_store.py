"""What is issued stays: no change, no gap and no second number, whoever tries, and whatever is killed."""

import subprocess
import sys
from pathlib import Path

import pytest
from databases import Database
from rows import ADMIN
from test_store_migrations import ENVIRONMENT

from control.store.failures import Exists, StoreDamaged
from control.store.invoices import Issued, Texts, find_number, insert_issued, next_seq, texts_of
from control.store.store import Store

CHILD = (sys.executable, str(Path(__file__).with_name("invoice_child.py")))
TEXTS = Texts(b'{"total":"1.00"}', b"<p>1.00</p>")


def issue(store: Store, customer: str = "acme") -> Issued:
    with store.write(ADMIN) as unit:
        seq = next_seq(unit)
        drawn = Issued(
            seq=seq,
            number=f"INV-{seq:06}",
            kind="invoice",
            customer=customer,
            month="2026-10",
            revision=1,
            issued_at=unit.now,
            total_cents=100,
        )
        return insert_issued(unit, drawn, TEXTS)


GAP = (
    "INSERT INTO invoices SELECT 7, 'INV-7', kind, customer, month, 2, corrects, issued_at, total_cents, document,"
    " document_digest, page, page_digest, detached_at FROM invoices"
)
CHANGES = (
    "UPDATE invoices SET total_cents = 1",
    "UPDATE invoices SET document = '{}'",
    "UPDATE invoices SET customer = 'x', detached_at = 5",
    "UPDATE invoices SET detached_at = NULL",
    "DELETE FROM invoices",
    GAP,
)


@pytest.mark.parametrize("statement", CHANGES)
def test_what_is_issued_is_not_changed(store: Store, migrated: Database, statement: str) -> None:
    before = issue(store)
    with pytest.raises(Exception, match="stays as it is"):
        migrated.execute(statement)
    with store.read() as reader:
        assert find_number(reader, before.number) == before
        assert texts_of(reader, before) == TEXTS


def test_a_deleted_tenants_can_be_detached_once(store: Store, migrated: Database) -> None:
    issue(store)
    migrated.execute("UPDATE invoices SET detached_at = 5")
    with pytest.raises(Exception, match="stays as it is"):
        migrated.execute("UPDATE invoices SET detached_at = 6")


def test_a_second_invoice_of_a_month_is_none(store: Store) -> None:
    issue(store)
    with pytest.raises(Exists):
        issue(store)
    with store.read() as reader:
        assert find_number(reader, "INV-000002") is None


def test_who_takes_the_triggers_away_is_noticed(store: Store, migrated: Database) -> None:
    issued = issue(store)
    table = "" if migrated.kind == "sqlite" else " ON invoices"
    for name in ("invoices_update", "invoices_delete") if migrated.kind == "sqlite" else ("invoices_rows",):
        migrated.execute(f"DROP TRIGGER {name}{table}")
    migrated.execute('UPDATE invoices SET document = \'{"total":"0.01"}\'')
    with store.read() as reader, pytest.raises(StoreDamaged, match="not as it was issued"):
        texts_of(reader, issued)


def test_killed_at_any_statement_there_is_no_gap_and_no_half(store: Store, migrated: Database) -> None:
    """A child dies before each statement of an issue in turn, the last time before the commit."""
    done = subprocess.run(
        [*CHILD, migrated.url], env=ENVIRONMENT, capture_output=True, text=True, check=True, timeout=240
    )
    died = int(done.stdout)
    assert died >= 6, done.stderr
    numbers = [row[0] for row in migrated.execute("SELECT seq FROM invoices ORDER BY seq")]
    issued = migrated.execute("SELECT count(*) FROM audit WHERE action = 'invoice.issue'")[0][0]
    events = migrated.execute("SELECT count(*) FROM events")[0][0]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) == issued == events == died + 1  # one after each death, and the one that lived

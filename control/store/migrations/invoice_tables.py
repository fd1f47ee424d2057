"""Invoices and what is told of them, of step 0001: a part of that step, which never changes once it is released."""

from typing import Any

import sqlalchemy as sa
from alembic import op


def make_invoices() -> None:
    """The tables, and what keeps invoices as they were issued."""
    op.create_table(
        "invoices",
        _column("seq", sa.BigInteger()),
        _column("number", _words(64)),
        _column("kind", _words(16)),
        _column("customer", _words(256)),
        _column("month", _words(7)),
        _column("revision", sa.BigInteger()),
        _column("corrects", sa.BigInteger(), null=True),
        *(_column(name, sa.BigInteger()) for name in ("issued_at", "total_cents")),
        _column("document", sa.Text()),
        _column("document_digest", sa.LargeBinary()),
        _column("page", sa.Text()),
        _column("page_digest", sa.LargeBinary()),
        _column("detached_at", sa.BigInteger(), null=True),
        sa.CheckConstraint("kind IN ('invoice', 'credit_note')", name=op.f("ck_invoices_kind")),
        sa.CheckConstraint("(kind = 'credit_note') = (corrects IS NOT NULL)", name=op.f("ck_invoices_corrects")),
        sa.PrimaryKeyConstraint("seq", name="pk_invoices"),
    )
    for columns in (("customer", "month", "revision", "kind"), ("number",), ("corrects",)):
        op.create_index(f"uq_invoices_{'_'.join(columns)}", "invoices", list(columns), unique=True)
    op.create_index("ix_invoices_month_seq", "invoices", ["month", "seq"])
    op.create_table(
        "lost_invoices",
        _column("prefix", _words(64)),
        *(_column(name, sa.BigInteger()) for name in ("seq", "noted_at")),
        sa.PrimaryKeyConstraint("prefix", "seq", name="pk_lost_invoices"),
    )
    op.create_table(
        "events",
        _column("id", _words(64)),
        _column("tenant_id", _words(256)),
        _column("at", sa.BigInteger()),
        _column("body", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
    )
    op.create_index("ix_events_tenant_id", "events", ["tenant_id"])
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL:
        op.execute(statement)


def _words(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _column(name: str, kind: sa.types.TypeEngine[Any], *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=null, autoincrement=False)


def _kept(same: str) -> str:
    return " AND ".join(f"NEW.{column} {same} OLD.{column}" for column in _ISSUED)


_ISSUED = (
    *("seq", "number", "kind", "customer", "month", "revision", "corrects", "issued_at", "total_cents"),
    *("document", "document_digest", "page", "page_digest"),
)
_GAP = "NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM invoices)"
_DETACHED = "OLD.detached_at IS NULL AND NEW.detached_at IS NOT NULL"
_REFUSE = "SELECT RAISE(ABORT, 'an invoice that is issued stays as it is')"
_SQLITE = (
    f"CREATE TRIGGER invoices_insert BEFORE INSERT ON invoices WHEN {_GAP} BEGIN {_REFUSE}; END",
    f"""
    CREATE TRIGGER invoices_update BEFORE UPDATE ON invoices WHEN NOT ({_kept("IS")} AND {_DETACHED})
    BEGIN {_REFUSE}; END
    """,
    f"CREATE TRIGGER invoices_delete BEFORE DELETE ON invoices BEGIN {_REFUSE}; END",
)
_POSTGRESQL = (
    f"""
    CREATE FUNCTION headgate_invoice_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            IF {_GAP} THEN RAISE EXCEPTION 'an invoice that is issued stays as it is'; END IF;
            RETURN NEW;
        ELSIF TG_OP = 'UPDATE' THEN
            IF {_kept("IS NOT DISTINCT FROM")} AND {_DETACHED} THEN RETURN NEW; END IF;
        END IF;
        RAISE EXCEPTION 'an invoice that is issued stays as it is';
    END $$
    """,
    """
    CREATE TRIGGER invoices_rows BEFORE INSERT OR UPDATE OR DELETE ON invoices
    FOR EACH ROW EXECUTE FUNCTION headgate_invoice_is_kept()
    """,
    """
    CREATE TRIGGER invoices_truncate BEFORE TRUNCATE ON invoices
    FOR EACH STATEMENT EXECUTE FUNCTION headgate_invoice_is_kept()
    """,
)

"""Credits, of step 0001: a part of that step, which never changes once it is released."""

from typing import Any

import sqlalchemy as sa
from alembic import op


def make_credits() -> None:
    """The tables, and what keeps entries as they were booked."""
    op.create_table(
        "credit_entries",
        _column("seq", sa.BigInteger()),
        *(_column(name, _words(64)) for name in ("id", "customer")),
        _column("kind", _words(16)),
        _column("amount_nano", sa.BigInteger()),
        _column("expires_on", sa.BigInteger(), null=True),
        _column("note", _words(256)),
        _column("ended", sa.BigInteger(), null=True),
        _column("created_at", sa.BigInteger()),
        _column("created_by", _words(128)),
        _column("detached_at", sa.BigInteger(), null=True),
        *(sa.CheckConstraint(rule, name=op.f(f"ck_credit_entries_{name}")) for name, rule in _CHECKS.items()),
        sa.PrimaryKeyConstraint("seq", name="pk_credit_entries"),
    )
    for column in ("id", "ended"):
        op.create_index(f"uq_credit_entries_{column}", "credit_entries", [column], unique=True)
    op.create_index("ix_credit_entries_customer_seq", "credit_entries", ["customer", "seq"])
    op.create_table(
        "credit_accounts",
        _column("tenant_id", _words(64)),
        *(_column(name, sa.BigInteger()) for name in ("since_day", "booked_nano")),
        _column("ending", sa.Text()),
        *(_column(name, sa.BigInteger()) for name in ("version", "created_at", "updated_at")),
        _column("deleted_at", sa.BigInteger(), null=True),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_credit_accounts"),
    )
    op.create_index("ix_credit_accounts_version", "credit_accounts", ["version"])
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL:
        op.execute(statement)


def _words(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _column(name: str, kind: sa.types.TypeEngine[Any], *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=null, autoincrement=False)


def _kept(same: str) -> str:
    return " AND ".join(f"NEW.{column} {same} OLD.{column}" for column in _BOOKED)


_CHECKS = {
    "kind": "kind IN ('prepaid', 'granted', 'adjustment', 'expired')",
    "ended": "(kind = 'expired') = (ended IS NOT NULL)",
    "amount_nano": (
        "(kind IN ('prepaid', 'granted') AND amount_nano > 0) OR (kind = 'expired' AND amount_nano <= 0)"
        " OR (kind = 'adjustment' AND amount_nano <> 0)"
    ),
    "expires_on": "expires_on IS NULL OR kind IN ('prepaid', 'granted')",
}
_BOOKED = (
    *("seq", "id", "customer", "kind", "amount_nano", "expires_on", "note", "ended"),
    *("created_at", "created_by"),
)
_GAP = "NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM credit_entries)"
_DETACHED = "OLD.detached_at IS NULL AND NEW.detached_at IS NOT NULL"
_REFUSE = "SELECT RAISE(ABORT, 'credits that are booked stay as they are')"
_SQLITE = (
    f"CREATE TRIGGER credit_entries_insert BEFORE INSERT ON credit_entries WHEN {_GAP} BEGIN {_REFUSE}; END",
    f"""
    CREATE TRIGGER credit_entries_update BEFORE UPDATE ON credit_entries WHEN NOT ({_kept("IS")} AND {_DETACHED})
    BEGIN {_REFUSE}; END
    """,
    f"CREATE TRIGGER credit_entries_delete BEFORE DELETE ON credit_entries BEGIN {_REFUSE}; END",
)
_POSTGRESQL = (
    f"""
    CREATE FUNCTION headgate_credits_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            IF {_GAP} THEN RAISE EXCEPTION 'credits that are booked stay as they are'; END IF;
            RETURN NEW;
        ELSIF TG_OP = 'UPDATE' THEN
            IF {_kept("IS NOT DISTINCT FROM")} AND {_DETACHED} THEN RETURN NEW; END IF;
        END IF;
        RAISE EXCEPTION 'credits that are booked stay as they are';
    END $$
    """,
    """
    CREATE TRIGGER credit_entries_rows BEFORE INSERT OR UPDATE OR DELETE ON credit_entries
    FOR EACH ROW EXECUTE FUNCTION headgate_credits_are_kept()
    """,
    """
    CREATE TRIGGER credit_entries_truncate BEFORE TRUNCATE ON credit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION headgate_credits_are_kept()
    """,
)

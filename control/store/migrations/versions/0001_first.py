"""The first tables."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from control.store.migrations.adapter_tables import make_adapters
from control.store.migrations.credit_tables import make_credits
from control.store.migrations.invoice_tables import make_invoices

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_PUBLIC = (
    "seq",
    "at",
    "version",
    "action",
    "object_kind",
    "actor_kind",
    "actor_digest",
    "subject_digest",
    "previous",
    "hash",
)
_ACTOR = ("actor_id", "actor_tenant_id", "source", "request_id", "actor_salt")
_SUBJECT = ("tenant_id", "object_id", "before", "after", "subject_salt")
_LIVING = sa.text("deleted_at IS NULL")
_UNFINISHED = sa.text("finished_at IS NULL")
_ROLES = "'owner', 'developer', 'analyst', 'read-only'"


def upgrade() -> None:
    """All tables, the directory at version 0, and what keeps the audit log."""
    _directory()
    _people()
    _keys()
    _requests()
    _hosts()
    make_invoices()
    make_credits()
    make_adapters()
    _audit()


def _words(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _column(name: str, kind: sa.types.TypeEngine[Any], *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=null, autoincrement=False)


def _row_of_the_directory() -> list[sa.Column[Any]]:
    moments = ("version", "created_at", "updated_at", "deleted_at")
    return [_column(name, sa.BigInteger(), null=name == "deleted_at") for name in moments]


def _table(name: str, *parts: sa.schema.SchemaItem, key: tuple[str, ...]) -> None:
    op.create_table(name, *parts, sa.PrimaryKeyConstraint(*key, name=f"pk_{name}"))


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))


def _check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))


def _directory() -> None:
    _table(
        "directory_version",
        *(_column(name, sa.BigInteger()) for name in ("id", "version", "compacted")),
        _check("directory_version", "one_row", "id = 1"),
        key=("id",),
    )
    op.execute("INSERT INTO directory_version (id, version, compacted) VALUES (1, 0, 0)")
    _table(
        "tenants",
        _column("id", _words(64)),
        _column("display_name", _words(256)),
        _column("plan", _words(64), null=True),
        _column("zones", sa.Text(), null=True),
        *(_column(name, sa.Boolean()) for name in ("pin_targets", "store_prompts", "disabled")),
        _column("usage_retention_days", sa.BigInteger(), null=True),
        _column("pricing", sa.Text(), null=True),
        _column("metadata", sa.Text()),
        _column("created_by", _words(128)),
        _column("deleting_at", sa.BigInteger(), null=True),
        *_row_of_the_directory(),
        key=("id",),
    )
    _index("tenants", "plan")
    _index("tenants", "version")
    _table(
        "plans",
        _column("id", _words(64)),
        _column("display_name", _words(256)),
        _column("limits", sa.Text()),
        _column("zones", sa.Text(), null=True),
        _column("pricing", sa.Text(), null=True),
        *_row_of_the_directory(),
        key=("id",),
    )
    _index("plans", "version")
    _table(
        "limits",
        _column("tenant_id", _words(64)),
        _column("subject", _words(16)),
        _column("subject_id", _words(64)),
        _column("limits", sa.Text()),
        *_row_of_the_directory(),
        _check("limits", "subject", "subject IN ('tenant', 'user')"),
        key=("tenant_id", "subject", "subject_id"),
    )
    _index("limits", "version")
    _table(
        "model_grants",
        _column("tenant_id", _words(64)),
        _column("model", _words(128)),
        _column("created_by", _words(128)),
        *_row_of_the_directory(),
        key=("tenant_id", "model"),
    )
    _index("model_grants", "version")


def _people() -> None:
    _table(
        "users",
        _column("id", _words(64)),
        _column("issuer", _words(512)),
        _column("subject", _words(256)),
        _column("email", _words(320), null=True),
        _column("display_name", _words(256), null=True),
        _column("platform_role", _words(16), null=True),
        _column("disabled", sa.Boolean()),
        *_row_of_the_directory(),
        _check("users", "platform_role", "platform_role IS NULL OR platform_role = 'admin'"),
        key=("id",),
    )
    op.create_index(
        "uq_users_issuer_subject",
        "users",
        ["issuer", "subject"],
        unique=True,
        sqlite_where=_LIVING,
        postgresql_where=_LIVING,
    )
    _index("users", "created_at", "id")
    _index("users", "version")
    _table(
        "memberships",
        _column("tenant_id", _words(64)),
        _column("user_id", _words(64)),
        _column("role", _words(16)),
        *_row_of_the_directory(),
        _check("memberships", "role", f"role IN ({_ROLES})"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_memberships_user_id"),
        key=("tenant_id", "user_id"),
    )
    _index("memberships", "user_id")
    _index("memberships", "version")


def _keys() -> None:
    _table(
        "virtual_keys",
        _column("id", _words(64)),
        _column("tenant_id", _words(64), null=True),
        _column("name", _words(64)),
        _column("prefix", _words(16)),
        _column("digest", sa.LargeBinary()),
        _column("pepper_id", _words(64)),
        _column("role", _words(16)),
        *(_column(name, sa.Text(), null=True) for name in ("endpoints", "models", "limits")),
        _column("metadata", sa.Text()),
        _column("created_by", _words(128)),
        *(_column(name, sa.BigInteger(), null=True) for name in ("expires_at", "valid_until")),
        _column("rotated_from", _words(64), null=True),
        _column("disabled", sa.Boolean()),
        *_row_of_the_directory(),
        _check(
            *("virtual_keys", "role"),
            f"(role = 'admin' AND tenant_id IS NULL) OR (role IN ({_ROLES}) AND tenant_id IS NOT NULL)",
        ),
        _check("virtual_keys", "digest", "length(digest) = 32"),
        sa.UniqueConstraint("digest", name="uq_virtual_keys_digest"),
        key=("id",),
    )
    _index("virtual_keys", "tenant_id", "created_at", "id")
    _index("virtual_keys", "tenant_id", "name")
    _index("virtual_keys", "version")
    _table(
        "key_uses",
        *(_column(name, _words(64)) for name in ("tenant_id", "key_id")),
        _column("used_at", sa.BigInteger()),
        key=("tenant_id", "key_id"),
    )
    _table(
        "data_keys",
        _column("id", _words(64)),
        _column("wrapped", sa.LargeBinary()),
        _column("wrapped_by", _words(256)),
        *(_column(name, sa.BigInteger()) for name in ("created_at", "wrapped_at")),
        key=("id",),
    )
    _table(
        "provider_credentials",
        *(_column(name, _words(64)) for name in ("provider", "field")),
        *(_column(name, sa.LargeBinary()) for name in ("ciphertext", "nonce")),
        _column("data_key_id", _words(64), null=True),
        _column("created_by", _words(128)),
        *_row_of_the_directory(),
        _check("provider_credentials", "nonce", "length(nonce) = 12"),
        _check("provider_credentials", "data_key", "data_key_id IS NOT NULL OR deleted_at IS NOT NULL"),
        sa.ForeignKeyConstraint(["data_key_id"], ["data_keys.id"], name="fk_provider_credentials_data_key_id"),
        key=("provider", "field"),
    )
    _index("provider_credentials", "data_key_id")
    _index("provider_credentials", "version")


def _requests() -> None:
    _table(
        "idempotency_keys",
        _column("key_digest", sa.LargeBinary()),
        _column("tenant_id", _words(64), null=True),
        _column("body_digest", sa.LargeBinary()),
        _column("status", sa.BigInteger()),
        _column("answer", sa.LargeBinary()),
        _column("expires_at", sa.BigInteger()),
        key=("key_digest",),
    )
    _index("idempotency_keys", "tenant_id")
    _index("idempotency_keys", "expires_at")
    _table(
        "tenant_deletions",
        _column("id", _words(64)),
        _column("tenant_id", _words(64), null=True),
        _column("fingerprint", sa.LargeBinary()),
        _column("requested_by", _words(128)),
        _column("requested_at", sa.BigInteger()),
        _column("done", sa.Text()),
        _column("finished_at", sa.BigInteger(), null=True),
        key=("id",),
    )
    op.create_index(
        "uq_tenant_deletions_tenant_id",
        "tenant_deletions",
        ["tenant_id"],
        unique=True,
        sqlite_where=_UNFINISHED,
        postgresql_where=_UNFINISHED,
    )


def _hosts() -> None:
    _table(
        "hosts",
        _column("id", _words(64)),
        _column("name", _words(256)),
        *(_column(name, sa.BigInteger()) for name in ("first_seen_at", "seen_at")),
        _column("usage_until", sa.BigInteger(), null=True),
        _column("usage_place", _words(256), null=True),
        _column("engines_at", sa.BigInteger(), null=True),
        *(_column(name, sa.Text()) for name in ("adapter_bases", "adapters_elsewhere", "adapters_unserved")),
        key=("id",),
    )
    _table(
        "usage_gateways",
        _column("id", _words(64)),
        _column("host_id", _words(64), null=True),
        _column("place", _words(256), null=True),
        *(_column(name, sa.BigInteger(), null=True) for name in ("run", "batch")),
        _column("noted_at", sa.BigInteger()),
        key=("id",),
    )


def _audit() -> None:
    _table(
        "audit",
        *(_column(name, sa.BigInteger()) for name in ("seq", "at")),
        _column("version", sa.BigInteger(), null=True),
        _column("action", _words(64)),
        *(_column(name, _words(32)) for name in ("object_kind", "actor_kind")),
        _column("actor_id", _words(128), null=True),
        *(_column(name, _words(64), null=True) for name in ("actor_tenant_id", "source", "request_id")),
        _column("actor_salt", sa.LargeBinary(), null=True),
        _column("actor_digest", sa.LargeBinary()),
        _column("tenant_id", _words(64), null=True),
        _column("object_id", _words(256), null=True),
        *(_column(name, sa.Text(), null=True) for name in ("before", "after")),
        _column("subject_salt", sa.LargeBinary(), null=True),
        *(_column(name, sa.LargeBinary()) for name in ("subject_digest", "previous", "hash")),
        key=("seq",),
    )
    _index("audit", "at")
    for column in ("tenant_id", "actor_id", "actor_tenant_id", "object_id"):
        _index("audit", column, "seq")
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL:
        op.execute(statement)


def _kept(columns: tuple[str, ...], same: str) -> str:
    return " AND ".join(f"NEW.{column} {same} OLD.{column}" for column in columns)


def _dropped(columns: tuple[str, ...]) -> str:
    return " AND ".join(f"NEW.{column} IS NULL" for column in columns)


def _allowed(same: str) -> str:
    return (
        f"{_kept(_PUBLIC, same)}"
        f" AND (({_kept(_ACTOR, same)}) OR ({_dropped(_ACTOR)}))"
        f" AND (({_kept(_SUBJECT, same)}) OR (OLD.action <> 'audit.erase' AND {_dropped(_SUBJECT)}))"
    )


_NEXT = "NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM audit)"
_REFUSE = "SELECT RAISE(ABORT, 'the audit log is append-only')"
_SQLITE = (
    f"CREATE TRIGGER audit_insert BEFORE INSERT ON audit WHEN {_NEXT} BEGIN {_REFUSE}; END",
    f"CREATE TRIGGER audit_update BEFORE UPDATE ON audit WHEN NOT ({_allowed('IS')}) BEGIN {_REFUSE}; END",
    f"CREATE TRIGGER audit_delete BEFORE DELETE ON audit BEGIN {_REFUSE}; END",
)
_POSTGRESQL = (
    f"""
    CREATE FUNCTION headgate_audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            IF {_NEXT} THEN RAISE EXCEPTION 'the audit log is append-only'; END IF;
            RETURN NEW;
        ELSIF TG_OP = 'UPDATE' THEN
            IF {_allowed("IS NOT DISTINCT FROM")} THEN RETURN NEW; END IF;
        END IF;
        RAISE EXCEPTION 'the audit log is append-only';
    END $$
    """,
    """
    CREATE TRIGGER audit_rows BEFORE INSERT OR UPDATE OR DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION headgate_audit_is_kept()
    """,
    """
    CREATE TRIGGER audit_truncate BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION headgate_audit_is_kept()
    """,
)

"""Adapters, of step 0001: a part of that step, which never changes once it is released."""

from typing import Any

import sqlalchemy as sa
from alembic import op


def make_adapters() -> None:
    """The tables."""
    op.create_table(
        "adapters",
        *(_column(name, _words(64)) for name in ("tenant_id", "name")),
        _column("base_model", _words(128)),
        _column("last_number", sa.BigInteger()),
        _column("created_by", _words(128)),
        *_row_of_the_directory(),
        sa.PrimaryKeyConstraint("tenant_id", "name", name="pk_adapters"),
    )
    op.create_index("ix_adapters_version", "adapters", ["version"])
    op.create_table(
        "adapter_versions",
        *(_column(name, _words(64)) for name in ("tenant_id", "name")),
        _column("number", sa.BigInteger()),
        _column("state", _words(16)),
        _column("sha256", _words(64)),
        _column("manifest_sha256", _words(64), null=True),
        _column("size_bytes", sa.BigInteger()),
        _column("rank", sa.BigInteger(), null=True),
        _column("facts", sa.Text()),
        *(_column(name, sa.BigInteger(), null=True) for name in ("weight", "wanted_weight", "wanted_at")),
        _column("wanted_back", sa.Boolean()),
        _column("staged_on", sa.Text()),
        _column("failure", _words(1024), null=True),
        _column("created_by", _words(128)),
        *(_column(name, sa.BigInteger(), null=True) for name in ("staged_at", "live_at", "alone_at", "retired_at")),
        *_row_of_the_directory(),
        *(sa.CheckConstraint(rule, name=op.f(f"ck_adapter_versions_{name}")) for name, rule in _CHECKS.items()),
        sa.PrimaryKeyConstraint("tenant_id", "name", "number", name="pk_adapter_versions"),
    )
    op.create_index("ix_adapter_versions_version", "adapter_versions", ["version"])


def _words(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _column(name: str, kind: sa.types.TypeEngine[Any], *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=null, autoincrement=False)


def _row_of_the_directory() -> list[sa.Column[Any]]:
    moments = ("version", "created_at", "updated_at", "deleted_at")
    return [_column(name, sa.BigInteger(), null=name == "deleted_at") for name in moments]


_CHECKS = {
    "state": "state IN ('uploaded', 'validated', 'staged', 'live', 'retired')",
    "weight": "(state = 'live') = (weight IS NOT NULL)",
    "sha256": "length(sha256) = 64 OR deleted_at IS NOT NULL",
}

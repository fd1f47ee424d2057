"""The tables, as SQLAlchemy knows them. control/store/migrations makes them; a test holds the two together.

Rows of the directory (what workers need to know) carry the directory's version of their last change, and stay as
tombstones when they are deleted, until `compact_directory`. Tenants and plans may be declared in gateway.yaml
instead, so nothing here refers to their rows. Every row that is a tenant's has its id, and every index that
searches among them begins with it.
"""

import datetime as dt
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from control.store import adapter_tables, billing_tables  # noqa: F401 - for ALL
from control.store.base import Base, Directory, one_of
from control.store.columns import Digest, Document, Words
from headgate.roles import TENANT_ROLES

SUBJECTS = ("tenant", "user")  # whom a row of `limits` is about
_LIVING = text("deleted_at IS NULL")
_UNFINISHED = text("finished_at IS NULL")


class DirectoryVersion(Base):
    """One row, which every writer locks: the last version, and up to which one tombstones are gone."""

    __tablename__ = "directory_version"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    version: Mapped[int]
    compacted: Mapped[int]


class TenantRow(Directory, Base):
    """A tenant of the database. `plan` may be one of gateway.yaml's; `deleting_at`: its data is being removed."""

    __tablename__ = "tenants"
    id: Mapped[str] = mapped_column(Words(64), primary_key=True)
    display_name: Mapped[str] = mapped_column(Words(256))
    plan: Mapped[str | None] = mapped_column(Words(64), index=True)
    zones: Mapped[Any] = mapped_column(Document, nullable=True)
    pin_targets: Mapped[bool]
    store_prompts: Mapped[bool]
    disabled: Mapped[bool]
    usage_retention_days: Mapped[int | None]
    pricing: Mapped[Any] = mapped_column(Document, nullable=True)
    note: Mapped[Any] = mapped_column("metadata", Document)
    created_by: Mapped[str] = mapped_column(Words(128))
    deleting_at: Mapped[dt.datetime | None]


class PlanRow(Directory, Base):
    """Limits and pricing in the shape of gateway.yaml's `plans.<name>`, and zones."""

    __tablename__ = "plans"
    id: Mapped[str] = mapped_column(Words(64), primary_key=True)
    display_name: Mapped[str] = mapped_column(Words(256))
    limits: Mapped[Any] = mapped_column(Document)
    zones: Mapped[Any] = mapped_column(Document, nullable=True)
    pricing: Mapped[Any] = mapped_column(Document, nullable=True)


class LimitsRow(Directory, Base):
    """Limits in place of the plan's, in the shape of `tenants.<name>.limits`: of a tenant, or of one of its users."""

    __tablename__ = "limits"
    __table_args__ = (CheckConstraint(one_of("subject", SUBJECTS), name="subject"),)
    tenant_id: Mapped[str] = mapped_column(Words(64), primary_key=True)
    subject: Mapped[str] = mapped_column(Words(16), primary_key=True)
    subject_id: Mapped[str] = mapped_column(Words(64), primary_key=True)
    limits: Mapped[Any] = mapped_column(Document)


class GrantRow(Directory, Base):
    """A model that a tenant may use."""

    __tablename__ = "model_grants"
    tenant_id: Mapped[str] = mapped_column(Words(64), primary_key=True)
    model: Mapped[str] = mapped_column(Words(128), primary_key=True)
    created_by: Mapped[str] = mapped_column(Words(128))


class UserRow(Directory, Base):
    """A person, known by an issuer's subject. A tombstone has only its id."""

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("platform_role IS NULL OR platform_role = 'admin'", name="platform_role"),
        Index(
            "uq_users_issuer_subject",
            "issuer",
            "subject",
            unique=True,
            sqlite_where=_LIVING,
            postgresql_where=_LIVING,
        ),
        Index("ix_users_created_at_id", "created_at", "id"),
    )
    id: Mapped[str] = mapped_column(Words(64), primary_key=True)
    issuer: Mapped[str] = mapped_column(Words(512))
    subject: Mapped[str] = mapped_column(Words(256))
    email: Mapped[str | None] = mapped_column(Words(320))
    display_name: Mapped[str | None] = mapped_column(Words(256))
    platform_role: Mapped[str | None] = mapped_column(Words(16))
    disabled: Mapped[bool]


class MembershipRow(Directory, Base):
    """A user's role in a tenant."""

    __tablename__ = "memberships"
    __table_args__ = (CheckConstraint(one_of("role", TENANT_ROLES), name="role"),)
    tenant_id: Mapped[str] = mapped_column(Words(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(Words(64), ForeignKey("users.id"), primary_key=True, index=True)
    role: Mapped[str] = mapped_column(Words(16))


class VirtualKeyRow(Directory, Base):
    """A virtual key: its digest under a pepper, never itself. A platform admin's has no tenant.

    `valid_until` ends a key that was rotated, `expires_at` is what its owner asked for.
    """

    __tablename__ = "virtual_keys"
    __table_args__ = (
        CheckConstraint(
            f"(role = 'admin' AND tenant_id IS NULL) OR ({one_of('role', TENANT_ROLES)} AND tenant_id IS NOT NULL)",
            name="role",
        ),
        CheckConstraint("length(digest) = 32", name="digest"),
        Index("ix_virtual_keys_tenant_id_created_at_id", "tenant_id", "created_at", "id"),
        Index("ix_virtual_keys_tenant_id_name", "tenant_id", "name"),
    )
    id: Mapped[str] = mapped_column(Words(64), primary_key=True)
    tenant_id: Mapped[str | None] = mapped_column(Words(64))
    name: Mapped[str] = mapped_column(Words(64))
    prefix: Mapped[str] = mapped_column(Words(16))
    digest: Mapped[bytes] = mapped_column(Digest, unique=True)
    pepper_id: Mapped[str] = mapped_column(Words(64))
    role: Mapped[str] = mapped_column(Words(16))
    endpoints: Mapped[Any] = mapped_column(Document, nullable=True)
    models: Mapped[Any] = mapped_column(Document, nullable=True)
    limits: Mapped[Any] = mapped_column(Document, nullable=True)
    note: Mapped[Any] = mapped_column("metadata", Document)
    created_by: Mapped[str] = mapped_column(Words(128))
    expires_at: Mapped[dt.datetime | None]
    valid_until: Mapped[dt.datetime | None]
    rotated_from: Mapped[str | None] = mapped_column(Words(64))
    disabled: Mapped[bool]


class KeyUseRow(Base):
    """When a key was last used: written in batches, so it is no column of the key's row."""

    __tablename__ = "key_uses"
    tenant_id: Mapped[str] = mapped_column(Words(64), primary_key=True)
    key_id: Mapped[str] = mapped_column(Words(64), primary_key=True)
    used_at: Mapped[dt.datetime]


class DataKeyRow(Base):
    """A key that credentials are encrypted under, itself encrypted by what `wrapped_by` names."""

    __tablename__ = "data_keys"
    id: Mapped[str] = mapped_column(Words(64), primary_key=True)
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)
    wrapped_by: Mapped[str] = mapped_column(Words(256))
    created_at: Mapped[dt.datetime]
    wrapped_at: Mapped[dt.datetime]


class CredentialRow(Directory, Base):
    """A provider's credential, AES-256-GCM under a data key. A tombstone has neither ciphertext nor data key."""

    __tablename__ = "provider_credentials"
    __table_args__ = (
        CheckConstraint("length(nonce) = 12", name="nonce"),
        CheckConstraint("data_key_id IS NOT NULL OR deleted_at IS NOT NULL", name="data_key"),
    )
    provider: Mapped[str] = mapped_column(Words(64), primary_key=True)
    field: Mapped[str] = mapped_column(Words(64), primary_key=True)
    ciphertext: Mapped[bytes] = mapped_column(LargeBinary)
    nonce: Mapped[bytes] = mapped_column(LargeBinary)
    data_key_id: Mapped[str | None] = mapped_column(Words(64), ForeignKey("data_keys.id"), index=True)
    created_by: Mapped[str] = mapped_column(Words(128))


class AnswerRow(Base):
    """What a request with an Idempotency-Key was answered. `key_digest`: of the principal, the route and the key."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_tenant_id", "tenant_id"),)
    key_digest: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    tenant_id: Mapped[str | None] = mapped_column(Words(64))
    body_digest: Mapped[bytes] = mapped_column(Digest)
    status: Mapped[int]
    answer: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[dt.datetime] = mapped_column(index=True)


class DeletionRow(Base):
    """The deletion of a tenant: which stores are done, so that it goes on after a crash.

    When it has finished only `fingerprint` says whose it was, to those who know the name: SHA-256 of `id:tenant`.
    """

    __tablename__ = "tenant_deletions"
    __table_args__ = (
        Index(
            *("uq_tenant_deletions_tenant_id", "tenant_id"),
            unique=True,
            sqlite_where=_UNFINISHED,
            postgresql_where=_UNFINISHED,
        ),
    )
    id: Mapped[str] = mapped_column(Words(64), primary_key=True)
    tenant_id: Mapped[str | None] = mapped_column(Words(64))
    fingerprint: Mapped[bytes] = mapped_column(Digest)
    requested_by: Mapped[str] = mapped_column(Words(128))
    requested_at: Mapped[dt.datetime]
    done: Mapped[Any] = mapped_column(Document)
    finished_at: Mapped[dt.datetime | None]


class HostRow(Base):
    """A host that runs a gateway on this database: what a deletion has to reach, and an invoice to wait for.

    What ended there before `usage_until` is in the usage store `usage_place`. `engines_at`: when its part `engines`
    has said what the columns behind that hold (control/store/values.py).
    """

    __tablename__ = "hosts"
    id: Mapped[str] = mapped_column(Words(64), primary_key=True)
    name: Mapped[str] = mapped_column(Words(256))
    first_seen_at: Mapped[dt.datetime]
    seen_at: Mapped[dt.datetime]
    usage_until: Mapped[dt.datetime | None]
    usage_place: Mapped[str | None] = mapped_column(Words(256))
    engines_at: Mapped[dt.datetime | None]
    adapter_bases: Mapped[Any] = mapped_column(Document)
    adapters_elsewhere: Mapped[Any] = mapped_column(Document)
    adapters_unserved: Mapped[Any] = mapped_column(Document)


class EventRow(Base):
    """What a receiver of webhooks is still to be told: gone once the ledger of a host has it."""

    __tablename__ = "events"
    __table_args__ = (Index("ix_events_tenant_id", "tenant_id"),)
    id: Mapped[str] = mapped_column(Words(64), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Words(256))
    at: Mapped[dt.datetime]
    body: Mapped[str] = mapped_column(Text)


class AuditRow(Base):
    """control/audit_chain.py explains the columns. Triggers refuse all but dropping a personal part."""

    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_tenant_id_seq", "tenant_id", "seq"),
        Index("ix_audit_actor_id_seq", "actor_id", "seq"),
        Index("ix_audit_actor_tenant_id_seq", "actor_tenant_id", "seq"),
        Index("ix_audit_object_id_seq", "object_id", "seq"),
    )
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[dt.datetime] = mapped_column(index=True)
    version: Mapped[int | None]
    action: Mapped[str] = mapped_column(Words(64))
    object_kind: Mapped[str] = mapped_column(Words(32))
    actor_kind: Mapped[str] = mapped_column(Words(32))
    actor_id: Mapped[str | None] = mapped_column(Words(128))
    actor_tenant_id: Mapped[str | None] = mapped_column(Words(64))
    source: Mapped[str | None] = mapped_column(Words(64))
    request_id: Mapped[str | None] = mapped_column(Words(64))
    actor_salt: Mapped[bytes | None] = mapped_column(Digest)
    actor_digest: Mapped[bytes] = mapped_column(Digest)
    tenant_id: Mapped[str | None] = mapped_column(Words(64))
    object_id: Mapped[str | None] = mapped_column(Words(256))
    before: Mapped[str | None] = mapped_column(Text)
    after: Mapped[str | None] = mapped_column(Text)
    subject_salt: Mapped[bytes | None] = mapped_column(Digest)
    subject_digest: Mapped[bytes] = mapped_column(Digest)
    previous: Mapped[bytes] = mapped_column(Digest)
    hash: Mapped[bytes] = mapped_column(Digest)


ALL = Base.metadata  # with those of adapter_tables.py and billing_tables.py

"""A database with something in every table: what a dump of a released schema is made of.

`python tests/control/filled.py` writes the dumps of the newest schema. Once it is released they never change.
"""

import datetime as dt
import re
import sqlite3
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from databases import PostgresDatabase, SqliteDatabase
from postgres_server import postgres_server
from rows import ADMIN, user, write_key, write_member, write_tenant

from control.audit_chain import Actor
from control.credits.booking import book
from control.store.adapters import insert_adapter, insert_version, take_number
from control.store.answers import KEPT, keep_answer, key_digest
from control.store.credentials import insert_credential, insert_data_key
from control.store.credits import CreditEntry
from control.store.erasure import erase_tenant, finish_deletion, start_deletion
from control.store.events import add_event
from control.store.hosts import note_host, note_usage
from control.store.invoices import Issued, Texts, insert_issued
from control.store.keys import note_uses, revoke_key
from control.store.lost_invoices import put_lost
from control.store.migrate import migrate
from control.store.plans import insert_limits, insert_plan
from control.store.store import Store
from control.store.tenants import insert_grant
from control.store.usage_gateways import UsageGateway, put_usage_gateway
from control.store.values import Adapter, AdapterVersion, Answer, Credential, DataKey, Grant, Host, Limits, Plan

DUMPS = Path(__file__).parent / "schemas"


def fill(store: Store) -> None:
    """Something in every table, tombstones and forgotten parts of the audit log too."""
    write_tenant(
        store,
        "acme",
        plan="gold",
        zones=("eu",),
        metadata={"größe": "ü"},
        usage_retention_days=30,
        pricing={"discount": "10%"},
    )
    write_tenant(store, "gone", pricing={"markup": "5%"})
    write_member(store, "acme", user(), "owner")
    write_member(store, "gone", user("bob"))
    kept, revoked = write_key(store, expires_at=dt.datetime(2027, 1, 31, tzinfo=dt.UTC)), write_key(store, name="old")
    write_key(store, None, name="admin")
    write_key(store, "gone", Actor("user", "user_bob", "gone", "192.0.2.7", "req-7"))
    with store.write(ADMIN) as unit:
        revoke_key(unit, revoked)
        insert_plan(
            unit,
            Plan(
                id="gold",
                display_name="Gold",
                limits={"rpm": 60, "tpm": {"limit": 5, "soft": 4}},
                pricing={"models": {"chat": {"markup": "2.5%"}}},
            ),
        )
        insert_limits(unit, Limits(tenant_id="acme", subject="tenant", subject_id="acme", limits={"rpm": 9}))
        insert_grant(unit, Grant(tenant_id="acme", model="chat", created_by=ADMIN.id))
        insert_data_key(unit, DataKey(id="dk_1", wrapped=bytes(40), wrapped_by="file:data-key"))
        secret = {"ciphertext": b"\1\2\3", "nonce": bytes(range(12)), "data_key_id": "dk_1", "created_by": ADMIN.id}
        insert_credential(unit, Credential(provider="openai", field="api_key", **secret))
        digest = key_digest("key_1", "POST /admin/v1/keys", "once")
        answer = {"tenant_id": "acme", "body_digest": bytes(32), "status": 201, "answer": b"{}"}
        keep_answer(unit, Answer(key_digest=digest, expires_at=unit.now + KEPT, **answer))
        month = {"customer": "gone", "month": "2026-11", "revision": 1, "issued_at": unit.now}
        drawn = Issued(seq=1, number="INV-000001", kind="invoice", total_cents=1250, **month)
        insert_issued(unit, drawn, Texts(b'{"number":"INV-000001"}', "<p>ü</p>".encode()))
        note = {"kind": "credit_note", "corrects": 1, "total_cents": -1250}
        insert_issued(unit, Issued(seq=2, number="INV-000002", **month, **note), Texts(b"{}", b"<p></p>"))
        put_lost(unit, "OLD-", 7, {"number": "OLD-000007"})
        paid = {"kind": "prepaid", "amount_nano": 100_000_000_000, "created_by": ADMIN.id}
        book(unit, CreditEntry(customer="gone", note="ü", **paid))
        first = book(unit, CreditEntry(customer="acme", expires_on=dt.date(2027, 1, 31), **paid))
        book(unit, CreditEntry(customer="acme", expires_on=dt.date(2100, 1, 31), **paid))
        ended = {"kind": "expired", "amount_nano": -1, "ended": first.seq, "created_by": "system:credits"}
        book(unit, CreditEntry(customer="acme", **ended))
        for tenant in ("acme", "gone"):
            made = {"tenant_id": tenant, "name": "bot", "created_by": ADMIN.id}
            take_number(unit, insert_adapter(unit, Adapter(base_model="chat", **made)))
            said = {"sha256": "ab" * 32, "size_bytes": 2**33, "rank": 8, "facts": {"lineage": ["ü"]}}
            more = {
                "state": "live",
                "weight": 100,
                "staged_on": ("host_1",),
                "staged_at": unit.now,
                "live_at": unit.now,
            }
            insert_version(unit, AdapterVersion(number=1, **made, **said, **more))
        add_event(unit, "msg_1", "acme", '{"type":"invoice.issued"}')
        unit.record("test.fill", "directory", None, tenant_id="acme", before={"a": None}, after=secret)
    stored_until = dt.datetime(2026, 12, 2, 1, tzinfo=dt.UTC)
    with store.write_aside() as writer:
        note_host(writer, Host(id="host_1", name="gateway-1"))
        note_usage(writer, "host_1", "at clickhouse:8123/headgate", stored_until, stored_until)
        put_usage_gateway(writer, UsageGateway(id="gateway-1", host_id="host_1", run=9, batch=2**60), stored_until)
        note_uses(writer, {("acme", kept.id): dt.datetime(2026, 12, 1, tzinfo=dt.UTC)})
    with store.write(ADMIN) as unit:
        deletion = start_deletion(unit, "gone")
    erase_tenant(store, ADMIN, "gone")
    with store.write(ADMIN) as unit:
        finish_deletion(unit, deletion)
        start_deletion(unit, "another")


def dump_sqlite(database: SqliteDatabase) -> str:
    connection = sqlite3.connect(database.path)
    try:
        return "\n".join(connection.iterdump()) + "\n"
    finally:
        connection.close()


def dump_postgres(database: PostgresDatabase, *options: str) -> str:
    """Without what only psql or a later server understands."""
    dumped = database.server.dump(database.name, "--inserts", "--no-owner", "--no-privileges", *options)
    lines = [line for line in dumped.splitlines() if not re.match(r"\\|--|SET |SELECT pg_catalog.set_config", line)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def main() -> None:
    DUMPS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, postgres_server() as server:
        small = SqliteDatabase(Path(folder) / "control.db")
        large = PostgresDatabase.created(server, "filled")
        for database in (small, large):
            with database.engine() as engine:
                revision = migrate(engine)
                fill(Store(engine))
        (DUMPS / f"{revision}.sqlite.sql").write_text(dump_sqlite(small))
        (DUMPS / f"{revision}.postgresql.sql").write_text(dump_postgres(large))


if __name__ == "__main__":
    main()

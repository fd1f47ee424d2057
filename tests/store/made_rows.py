"""Journals full of made-up rows, and what has to come out of a store that has them all."""

import random
import sqlite3
import uuid
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from ledger.journal import entries, packing
from ledger.rows import Row

NOVEMBER_MS = 1_793_490_600_000  # 2026-10-31T23:50:00Z: ten minutes later it is another month


class Chance(random.Random):
    """The same again for the same seed."""


def make_row(chance: random.Random, at_ms: int, **more: Any) -> Row:
    prompt, completion = chance.randrange(10, 5_000), chance.randrange(1, 800)
    fields: dict[str, Any] = {
        "request_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "sign": 1,
        "ended_ms": at_ms + chance.randrange(50, 9_000),
        "began_ms": at_ms,
        "tenant": chance.choice(("acme", "umbrella", "ünïcode 'quoted'", "")),
        "key_id": f"key-{chance.randrange(5)}",
        "user": chance.choice(("", "", "ann", 'bob\t\\n"')),
        "project": "",
        "surface": "chat",
        "model": chance.choice(("chat", "small")),
        "provider": "openai",
        "upstream_model": "gpt",
        "provider_key": "",
        "variant": "",
        "status": 200,
        "flags": "",
        "attempts": 1,
        "streamed": chance.random() < 0.5,
        "requests": 1,
        "prompt_tokens": prompt,
        "cached_tokens": prompt // 3,
        "cache_write_tokens": 0,
        "completion_tokens": completion,
        "reasoning_tokens": completion // 2,
        "unit": "",
        "units": 0,
        "estimated": chance.random() < 0.1,
        "reason": "",
        "price_nano": prompt * 150 + completion * 600,
        "cost": Decimal(prompt * 15 + completion * 60) / 10**8 if chance.random() < 0.9 else None,
        "bytes_in": 2_000,
        "bytes_out": 9_000,
        "content_events": completion,
        "first_byte_ms": chance.choice((None, 120)),
        "first_token_ms": chance.choice((None, 150)),
        "duration_ms": 3_000,
        "trace_id": chance.randbytes(16).hex(),
        "price_generation": 3,
        "kept_until_s": 0,
    }
    return Row(**(fields | more))


def make_rows(seed: int, count: int, since_ms: int = NOVEMBER_MS, every_ms: int = 20) -> list[Row]:
    """Some are estimates that a line has replaced: three rows of one request."""
    chance, rows = Chance(seed), list[Row]()
    while len(rows) < count:
        at_ms = since_ms + len(rows) * every_ms
        row = make_row(chance, at_ms)
        if chance.random() < 0.02:
            known = {"request_id": row.request_id, "tenant": row.tenant, "reason": "its lease was over"}
            estimate = make_row(chance, at_ms, **known, estimated=True)
            taken_back = {name: getattr(estimate, name) for name in Row.__struct_fields__} | {"sign": -1}
            rows += [estimate, Row(**taken_back)]
        rows.append(row)
    return rows


class Journal:
    """Where the ledger would write."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        if not self._db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'journal'").fetchone():
            for statement in entries.SCHEMA:
                self._db.execute(statement)
        self.identity = entries.identity(self._db) or entries.renew(self._db)

    def append(self, rows: Sequence[Row], at_once: int = 2_000) -> int:
        seq = 0
        for at in range(0, len(rows), at_once):
            drafts = [entries.Draft(row.ended_ms, packing.encoded(row)) for row in rows[at : at + at_once]]
            with self._db:
                self._db.execute("BEGIN")
                seq = entries.append(self._db, drafts)
        return seq

    def rename(self, tenant: str, name: str) -> None:
        """As the ledger does with what waits of a deleted tenant."""

        def renamed(row: Row) -> Row:
            return msgspec.structs.replace(row, tenant=name, key_id="", user="") if row.tenant == tenant else row

        entries.change(self._db, 0, 10**6, b"", renamed, write=True)

    def lose(self) -> None:
        """As after the loss of the ledger's database."""
        self._db.execute("DELETE FROM journal")
        self.identity = entries.renew(self._db)

    def close(self) -> None:
        self._db.close()


def sums_of(rows: Iterable[Row]) -> dict[str, Any]:
    """What every table of the store has to add up to."""
    found: dict[str, Any] = dict.fromkeys(
        ("rows", "requests", "prompt_tokens", "completion_tokens", "estimated_requests", "price_nano", "costed"), 0
    )
    found["cost"] = Decimal(0)
    for row in rows:
        for name in ("requests", "prompt_tokens", "completion_tokens", "price_nano"):
            found[name] += row.sign * getattr(row, name)
        found["rows"] += row.sign
        found["estimated_requests"] += row.sign * row.requests * row.estimated
        if row.cost is not None:
            found["costed"] += row.sign
            found["cost"] += row.sign * row.cost
    return found

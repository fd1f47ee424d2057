"""Versions of adapters as uploads leave them, and what engines say of them."""

import json
from typing import Any

from msgspec.structs import replace

from control.adapters.reports import answer_to
from control.adapters.states import validate
from control.store.adapters import find_adapter, insert_version, take_number, update_versions
from control.store.store import Store
from control.store.values import AdapterVersion, Host
from headgate.declared import DeclaredModel, DeclaredTarget
from tests.control.admin import DECLARED
from tests.control.rows import ADMIN

ENGINE = DeclaredModel([DeclaredTarget("engine", "llama", "internal", max_lora_rank=16)])
HERE = replace(DECLARED, models={**DECLARED.models, "chat": ENGINE, "acme/taken": ENGINE})
SHA = "ab" * 32


def add_version(store: Store, tenant: str = "acme", *, valid: bool = True, **more: Any) -> int:
    """As an upload leaves it."""
    with store.write(ADMIN) as unit:
        adapter = find_adapter(unit, tenant, "bot")
        assert adapter
        number = take_number(unit, adapter).last_number
        named = {"tenant_id": tenant, "name": "bot", "number": number, "created_by": ADMIN.id}
        made = insert_version(unit, AdapterVersion(**named, sha256=SHA, size_bytes=7, facts={}, **more))
        update_versions(unit, (validate(made, None if valid else "a pickle"),))
        unit.record("test.version", "adapter", None)
    return number


def report(store: Store, version: int, host: str = "host_1", **more: Any) -> str | None:
    """By the part `engines` of a host, whose engines serve `chat`; why it was not taken."""
    said = {"tenant": "acme", "adapter": "bot", "version": version, "sha256": SHA, **more}
    (refused,) = told(store, host, said)
    return refused


def told(store: Store, host: str, *reports: Any, bases: Any = ("chat",), **serves: Any) -> list[str | None]:
    """A host's word, for good or not."""
    body = {"serves": {"bases": bases, **serves}, "reports": reports}
    status, answer = answer_to(store, Host(id=host, name=f"name of {host}"), json.dumps(body).encode())
    assert status == 200, answer
    refused: list[str | None] = json.loads(answer)["refused"]
    return refused

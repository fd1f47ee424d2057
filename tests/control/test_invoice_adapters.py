"""An adapter's usage is billed by the limits of its base model, also when the adapter is gone by then."""

import datetime as dt

from admin import DECLARED, Caller, api
from msgspec.structs import replace
from rows import ADMIN

from control.store.adapters import delete_adapter, find_adapter, insert_adapter
from control.store.changes import compact_directory
from control.store.store import Store
from control.store.values import Adapter
from headgate.declared import DeclaredTenant
from tests.control.usage_of_rows import asked_of, row

OVERAGE = {"limit": 2, "overage": {"ceiling": 99, "price": "1000"}}
LIMITS = {"per": [{"models": ["chat"], "daily_requests": OVERAGE}, {"by": ["model"], "monthly_requests": OVERAGE}]}
CALLED = ("chat", "chat", "acme/bot", "shared/tone", "acme/other", "acme/other", "acme/taken", "acme/taken")


def fill(store: Store) -> None:
    """Of four adapters one is gone, long enough for other rows to be forgotten."""
    bases = {"acme/bot": "chat", "shared/tone": "chat", "acme/other": "else", "acme/taken": "chat"}
    with store.write(ADMIN) as unit:
        for alias, base in bases.items():
            owner, _, name = alias.partition("/")
            insert_adapter(unit, Adapter(tenant_id=owner, name=name, base_model=base, created_by="x"))
        unit.record("test.fill", "adapter", None)
    with store.write(ADMIN) as unit:
        gone = find_adapter(unit, "acme", "bot")
        assert gone
        delete_adapter(unit, gone)
        unit.record("test.delete", "adapter", None)
    with store.write_aside() as writer:
        assert compact_directory(writer, writer.now + dt.timedelta(days=300)) == 0


async def test_overage_counts_adapters_as_their_base_model(store: Store) -> None:
    fill(store)
    models = dict.fromkeys(("chat", "else", "acme/taken"), next(iter(DECLARED.models.values())))
    acme = DeclaredTenant(models=["chat", "else"], limits=LIMITS)
    declared = replace(DECLARED, models=models, tenants={"acme": acme})
    rows = [row("acme", f"2026-10-03T0{hour}:00:00Z", model=model) for hour, model in enumerate(CALLED)]
    admin = Caller(api(store, declared, ask_usage=asked_of(rows)))
    answer = await admin.post("/invoices", {"month": "2026-10", "tenant": "acme"})
    (made,) = answer.json()["data"]
    said = (await admin.get(f"/invoices/{made['invoice']['number']}")).json()
    # Four of chat, of which two are adapters'; a model of gateway.yaml keeps its name.
    assert {one["limit"]: one["quantity"] for one in said["overage"]} == {"daily_requests": 2, "monthly_requests": 2}
    assert {line["model"] for line in said["lines"]} == set(CALLED)

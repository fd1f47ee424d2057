"""Invoices through a whole gateway: from lines of a month that is over to the receiver's signed webhook."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from admin_gateway import AdminGateway, admin_gateway, until
from upstreams import Engine

from tests.ledger.ledger_process import end_line
from tests.ledger.webhook_receiver import Receiver, listening

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EPOCH = "20261001T000000-aaaaaa"


@pytest.fixture
def receiver() -> Receiver:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return Receiver(SECRET, port=one.getsockname()[1])


@pytest.fixture
def admin(tmp_path: Path, engine: Engine, receiver: Receiver) -> Iterator[AdminGateway]:
    (tmp_path / "secret").write_text(SECRET)
    model = {"targets": [{"provider": "local", "model": "up"}], "price": {"input": "1", "output": "2"}}
    more = {
        "models": {"chat": model},
        "alerts": {"webhook": receiver.url, "secret": "file:secret"},
        "billing": {"seller": "Gate & Co", "due_days": 14},
    }
    with admin_gateway(tmp_path, engine, **more) as running:
        yield running


def of_october(number: int) -> bytes:
    times = {"time": f"2026-10-{1 + number % 31:02}T12:00:00.000Z", "request_ms": 5, "duration_ms": 10}
    counts = {"prompt_tokens": 1_000_000, "completion_tokens": 250_000, "status": 200, "attempts": 1}
    return end_line(f"r{number}", key_id="ci", model="chat", price_generation=1, **times, **counts)


async def test_a_month_is_billed_and_its_receiver_is_told(admin: AdminGateway, receiver: Receiver) -> None:
    key = admin.admin_key()
    (admin.gateway.state / "spool" / f"{EPOCH}.ndjson").write_bytes(b"".join(map(of_october, range(40))))

    def create() -> bool:
        answer = admin.ask("POST", "/admin/v1/invoices", {"month": "2026-10"}, key=key)
        if answer.status_code == 200 and answer.json()["data"]:
            return True
        assert answer.status_code == 200 or answer.json()["code"] in ("usage_incomplete", "usage_away"), answer.text
        return False

    async with listening(receiver):
        await asyncio.to_thread(until, create)
        document = admin.ask("GET", "/admin/v1/invoices/INV-000001", key=key).json()
        await asyncio.to_thread(until, lambda: receiver.received)
    assert (document["tenant"], document["total"]) == ("acme", "60.00")
    assert [(line["requests"], line["input_tokens"]) for line in document["lines"]] == [(40, 40_000_000)]
    (told,) = receiver.received
    assert (told.genuine, told.event["type"], told.event["data"]["total"]) == (True, "invoice.issued", "60.00")
    page = admin.ask("GET", "/admin/v1/invoices/INV-000001.html", key=key)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "Gate &amp; Co" in page.text
    again = admin.ask("POST", "/admin/v1/invoices", {"month": "2026-10"}, key=key).json()["data"]
    assert [one["status"] for one in again] == ["already_issued"]
    assert again[0]["invoice"]["number"] == "INV-000001"

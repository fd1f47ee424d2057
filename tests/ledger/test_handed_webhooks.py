"""What control leaves for the receiver of webhooks: delivered by the ledger, once, whatever dies on the way."""

import asyncio
import json
from pathlib import Path

from headgate.webhook_files import leave, left
from ledger.alerting.alert_queue import MOST_WAITING, AlertQueue
from ledger.alerting.handed import erase, take_over, waiting
from tests.ledger.ledger_process import Ledger, wait_until
from tests.ledger.test_alert_delivery import EPOCH, SECRET, free_port, prepare
from tests.ledger.test_alert_delivery import waiting as waiting_in
from tests.ledger.webhook_receiver import Receiver, listening, until


def event_id(number: int) -> str:
    return f"msg_{number:032x}"


def body_of(number: int, tenant: str = "acme") -> bytes:
    data = {"tenant": tenant, "number": f"INV-{number:06}"}
    return json.dumps({"type": "invoice.issued", "timestamp": "2026-12-02T01:00:00.000Z", "data": data}).encode()


def test_what_is_left_twice_is_queued_once(tmp_path: Path) -> None:
    queue, folder = AlertQueue(tmp_path / "alerts.db"), tmp_path / "webhooks"
    for _ in range(2):
        leave(event_id(1), body_of(1), folder)
        take_over(queue, has_receiver=True, folder=folder)
    assert [message.id for message in queue.waiting()] == [event_id(1)]
    queue.finish(event_id(1))
    leave(event_id(1), body_of(1), folder)
    assert take_over(queue, has_receiver=True, folder=folder) == 0
    assert (queue.waiting(), list(left(folder))) == ([], [])
    queue.close()


def test_what_a_full_queue_has_no_room_for_stays_in_its_file(tmp_path: Path) -> None:
    queue, folder = AlertQueue(tmp_path / "alerts.db"), tmp_path / "webhooks"
    for number in range(MOST_WAITING + 5):
        folder.mkdir(exist_ok=True)
        (folder / f"{event_id(number)}.json").write_bytes(body_of(number))
    assert take_over(queue, has_receiver=True, folder=folder) == MOST_WAITING
    assert [one for one, _ in left(folder)] == [event_id(MOST_WAITING + at) for at in range(5)]
    for message in queue.waiting()[:3]:
        queue.finish(message.id)
    assert take_over(queue, has_receiver=True, folder=folder) == 3
    queue.close()


def test_what_nobody_can_be_told_or_nothing_can_keep_waits_in_its_file(tmp_path: Path) -> None:
    folder, path = tmp_path / "webhooks", tmp_path / "alerts.db"
    leave(event_id(1), body_of(1), folder)
    queue = AlertQueue(path)
    assert take_over(queue, has_receiver=False, folder=folder) == 0
    queue.close()
    path.unlink()
    path.mkdir()
    in_memory = AlertQueue(path)
    assert take_over(in_memory, has_receiver=True, folder=folder) == 0
    in_memory.close()
    assert [one for one, _ in left(folder)] == [event_id(1)]


def test_a_deleted_tenants_go(tmp_path: Path) -> None:
    folder = tmp_path / "webhooks"
    leave(event_id(1), body_of(1), folder)
    leave(event_id(2), body_of(2, "other"), folder)
    assert waiting(lambda body: b'"acme"' in body, folder) == 1
    assert erase(lambda body: b'"acme"' in body, folder) == 1
    assert [one for one, _ in left(folder)] == [event_id(2)]


async def test_a_ledger_that_is_killed_tells_of_an_invoice_by_one_id(ledger: Ledger) -> None:
    receiver = Receiver(SECRET, port=free_port())
    prepare(ledger, receiver)
    ledger.alive(EPOCH)
    folder = ledger.state / "webhooks"
    leave(event_id(7), body_of(7), folder)
    await asyncio.to_thread(ledger.start)
    await asyncio.to_thread(wait_until, lambda: waiting_in(ledger.state) == 1)
    assert list(left(folder)) == []
    ledger.kill()
    leave(event_id(7), body_of(7), folder)  # control was killed before it knew that the first was on the disk
    async with listening(receiver):
        await asyncio.to_thread(ledger.start)
        await until(lambda: receiver.received)
        await asyncio.to_thread(wait_until, lambda: waiting_in(ledger.state) == 0)
        await asyncio.to_thread(wait_until, lambda: not list(left(folder)))
    (one,) = receiver.received
    assert (one.id, one.genuine, one.event["data"]["number"]) == (event_id(7), True, "INV-000007")

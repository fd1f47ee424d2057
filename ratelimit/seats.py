"""What a request asks of the queue's scripts, and how long it waits for all of it. Pure."""

from headgate.contract import ADAPTER_WAIT_S
from headgate.counters.limits import lease_ms
from headgate.counters.queue import Seat
from headgate.limiting import Ask
from headgate.limits import LimitsRow
from headgate.snapshot import Snapshot


def seat_of(ask: Ask, snapshot: Snapshot, limits: LimitsRow, caller: str, gateway: str) -> Seat:
    """Of one call for it; how long it would wait is its model's word."""
    row = snapshot.models.get(ask.model)
    queue = row.queue if row else None
    return Seat(
        pool=ask.engine,
        request_id=ask.request_id,
        epoch=ask.epoch,
        tenant=ask.tenant,
        model=ask.model,
        lease_ms=lease_ms(row.total_ms if row else None),
        priority=limits.priority,
        share=limits.share,
        length=queue.length if queue else None,
        patience_ms=queue.max_wait_ms if queue else None,
        caller=caller,
        gateway=gateway,
    )


def patience_ms(seat: Seat, left_s: float) -> int | None:
    """How long it stands in the line, where it waits so long for everything."""
    return None if seat.patience_ms is None else min(seat.patience_ms, max(0, round(left_s * 1000)))


def wait_s(ask: Ask, snapshot: Snapshot) -> float:
    """How long a request waits for its adapter and for a slot together: no longer than its client."""
    row = snapshot.models.get(ask.model)
    longest_s = ADAPTER_WAIT_S + (row.queue.max_wait_ms / 1000 if row and row.queue else 0.0)
    return min(longest_s, ask.patience_s or longest_s)

"""A row of the journal as a CloudEvent, in its structured JSON form. docs/events.md has the fields. Pure.

CloudEvents 1.0.2, JSON format and the Kafka binding.
"""

import datetime as dt
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from ledger.rows import Row

USED = "headgate.usage"
TAKEN_BACK = "headgate.usage.reversed"
CONTENT_TYPE = b"application/cloudevents+json; charset=UTF-8"

_encoder = msgspec.json.Encoder(decimal_format="string")
_NANO = Decimal(10) ** -9
# Some texts are the client's, and a line may have 1 MiB: a message that no broker takes holds up all that follow.
MOST_TEXT_BYTES = 1024


class Message(NamedTuple):
    """What a broker is given. The key is the tenant, so that a tenant's events are in the order of its usage."""

    key: bytes
    value: bytes
    headers: list[tuple[str, str | bytes | None]]


def message_of(row: Row, source: str) -> Message:
    """`source` names the gateway. Its `id` is the same whenever this row is told: who counts, counts each id once."""
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": _id_of(row),
        "source": source,
        "type": USED if row.sign > 0 else TAKEN_BACK,
        "subject": row.tenant,
        "time": _moment(row.ended_ms),
        "datacontenttype": "application/json",
        "data": {name: _cut(value) if isinstance(value, str) else value for name, value in _data(row).items()},
    }
    return Message(row.tenant.encode(), _encoder.encode(event), [("content-type", CONTENT_TYPE)])


def _id_of(row: Row) -> str:
    """An estimate, what takes it back, and the record that came after all are three events of one request."""
    if row.sign < 0:
        return f"{row.request_id}/reversed"
    return f"{row.request_id}/{row.reason}" if row.reason else row.request_id


def _data(row: Row) -> dict[str, Any]:
    return {
        "request_id": row.request_id,
        "began": _moment(row.began_ms),
        "tenant": row.tenant,
        "key_id": row.key_id or None,
        "user": row.user or None,
        "project": row.project or None,
        "surface": row.surface or None,
        "model": row.model or None,
        "provider": row.provider or None,
        "upstream_model": row.upstream_model or None,
        "variant": row.variant or None,
        "status": row.status,
        "attempts": row.attempts,
        "streamed": row.streamed,
        "requests": row.requests,
        "prompt_tokens": row.prompt_tokens,
        "cached_tokens": row.cached_tokens,
        "cache_write_tokens": row.cache_write_tokens,
        "completion_tokens": row.completion_tokens,
        "reasoning_tokens": row.reasoning_tokens,
        "unit": row.unit or None,
        "units": row.units,
        "estimated": row.estimated,
        "reason": row.reason or None,
        "price_usd": _plain(row.price_nano * _NANO),
        "cost_usd": None if row.cost is None else _plain(row.cost),
        "duration_ms": row.duration_ms,
        "trace_id": row.trace_id or None,
    }


def _moment(unix_ms: int) -> str:
    """RFC 3339, UTC, milliseconds."""
    moment = dt.datetime.fromtimestamp(unix_ms / 1000, dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _cut(text: str) -> str:
    """Its beginning, where it is longer than any name should be."""
    return text if len(text) * 4 <= MOST_TEXT_BYTES else text.encode()[:MOST_TEXT_BYTES].decode(errors="ignore")


def _plain(amount: Decimal) -> str:
    """Exactly, without an exponent."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text

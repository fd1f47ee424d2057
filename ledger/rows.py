"""What the usage store keeps of one request: made once by the ledger when it settles, and never worked out again.

The same row goes to the store, to the events and into exports, so that no two of them can differ. Nothing here
computes.
"""

from decimal import Decimal

import msgspec


class Row(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One request as it was charged. `sign` is -1 for a row that takes an earlier one of this request back.

    Counts are what was charged, 0 where nothing was; `estimated` says that not all of them were reported. Text that
    is not known is "". Times are Unix milliseconds. `price_nano` is the customer's price in nano-USD, rounded up, as
    limits count it; `cost` what the provider takes, in USD, exact, None where nobody says.
    """

    request_id: str
    sign: int
    ended_ms: int
    began_ms: int  # when its body was there: the moment that says which day, month and price it belongs to
    tenant: str
    key_id: str
    user: str
    project: str
    surface: str
    model: str
    provider: str
    upstream_model: str
    provider_key: str
    variant: str
    status: int
    flags: str
    attempts: int
    streamed: bool
    requests: int  # 1 where it counts as a request, 0 for what was refused before
    prompt_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    unit: str
    units: int
    estimated: bool
    reason: str  # of a reservation that was charged without a record: why there is none; else ""
    price_nano: int
    cost: Decimal | None
    bytes_in: int
    bytes_out: int
    content_events: int
    first_byte_ms: int | None
    first_token_ms: int | None
    duration_ms: int
    trace_id: str
    price_generation: int
    kept_until_s: int  # when the store may forget it: its tenant's retention; 0 for the store's own

"""What a plan says of its attempts, and how it travels: as text in the request's metadata, from worker to worker.

Values that a request began with stay the ones it ends with, whatever a reload changes meanwhile.
"""

import msgspec


class AttemptRow(msgspec.Struct, frozen=True, array_like=True):
    """One attempt's target: what is sent depends on it."""

    provider: str
    api: str
    model: str
    usage: str
    max_output_tokens: int | None = None
    preset: str | None = None
    responses: bool = False
    stored: bool = False


class AttemptRows(msgspec.Struct, frozen=True, array_like=True):
    """All attempts of one request. `asked_*` is what the client itself wanted of `stream_options`."""

    rows: list[AttemptRow]
    streams: bool
    asked_usage: bool
    asked_each: bool


_decoder = msgspec.json.Decoder(AttemptRows)


def encoded(rows: AttemptRows) -> str:
    """As text."""
    return msgspec.json.encode(rows).decode()


def decoded(text: str) -> AttemptRows:
    """What `encoded` made. Raises msgspec.DecodeError."""
    return _decoder.decode(text)

"""Lines of the spool as types. docs/spool.md says what the fields mean. Pure."""

from typing import Annotated

import msgspec

from headgate.prices import FACTOR

LINE_TYPES = ("start", "progress", "end")
_CLIENT_LEFT = ("DC", "DR")  # Envoy's response flags: the client closed the connection, or reset the stream
RECOVERED = "recovered"  # in the place of Envoy's flags: it was killed, and the ledger has made the line

Factor = Annotated[str, msgspec.Meta(pattern=f"^{FACTOR}$")]


class Line(msgspec.Struct, frozen=True, gc=False):
    """One line; what it does not say is None. Fields that this version does not know are left alone.

    What Envoy refused before it was a request has no id, and nobody's.
    """

    type: str
    request_id: str | None
    time: str | None = None
    trace_id: str | None = None
    tenant: str | None = None
    key_id: str | None = None
    user: str | None = None
    project: str | None = None
    surface: str | None = None
    model: str | None = None
    base_model: str | None = None
    engine: str | None = None
    target: str | None = None
    provider_key: str | None = None
    upstream_model: str | None = None
    attempts: int | None = None
    status: int | None = None
    flags: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    estimated_tokens: int | None = None
    estimated_completion_tokens: int | None = None
    counted_tokens: int | None = None
    unit: str | None = None
    units: int | None = None
    estimated_units: int | None = None
    content_events: int | None = None
    content_bytes: int | None = None
    bytes_in: int | None = None
    bytes_out: int | None = None
    request_ms: int | None = None
    first_byte_ms: int | None = None
    first_token_ms: int | None = None
    duration_ms: int | None = None
    streamed: bool | None = None
    variant: str | None = None
    provider_left: str | None = None
    budgets: str | None = None
    reserved: bool | None = None
    config_generation: int | None = None
    price_generation: int | None = None
    price_factor: Factor | None = None

    @property
    def declared_model(self) -> str:
        """The model of gateway.yaml, by which limits and prices go: of an adapter its base model; "" for none."""
        return self.base_model or self.model or ""

    @property
    def may_have_reserved(self) -> bool:
        """Whether it was planned; or was perhaps, and nobody got the plan, which says what it holds."""
        return self.reserved is not False and (bool(self.model) or not self.status or self.status >= 500)

    @property
    def client_left(self) -> bool:
        """Whether the client went before it had its answer."""
        flags = self.flags
        if not flags or flags == "-":  # nearly all, and each is asked several times
            return False
        return any(flag in _CLIENT_LEFT for flag in flags.split(","))

    @property
    def was_cut_off(self) -> bool:
        """Whether Envoy was killed before it had its answer."""
        return self.flags == RECOVERED and not self.status

    @property
    def was_worked_on(self) -> bool:
        """Whether a provider answered it, or had the prompt when the client left or Envoy was killed."""
        if 200 <= (self.status or 0) < 300:
            return True
        return bool(self.attempts) and (self.client_left or self.was_cut_off)


# Not strict: Envoy writes whole numbers as 1e+06 at times.
_decoder = msgspec.json.Decoder(Line, strict=False)


def parsed(text: bytes) -> Line | None:
    """The line; None when it is not one of ours, whatever else it is."""
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def problem_of(text: bytes) -> str:
    """Why it is not one of ours."""
    try:
        _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return str(error) or type(error).__name__
    return "unknown type"

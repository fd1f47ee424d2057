"""What a request asks of the limiter, and what that decides: between extproc, which knows what a request needs, and
ratelimit, which knows what there is. Both are in one worker, so the one calls the other. Pure.
"""

from dataclasses import dataclass
from decimal import Decimal

from headgate.error_shapes import Api, api_of_surface
from headgate.prices import LIST_PRICE

Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Ask:
    """Who wants to send what. What nobody knew is "". `model` is gateway.yaml's: of an adapter its base model.

    `input` tokens are in the prompt, up to `output` may be in each of `times` answers; 0 where nobody had to count.
    `units` of `unit` are asked for beside them, and then `output` cannot be lowered. `price_factor` is what is paid
    of the model's price.
    """

    epoch: str
    tenant: str
    key_id: str
    model: str
    user: str
    request_id: str
    surface: str
    input: int = 0
    output: int = 0
    times: int = 1
    unit: str = ""
    units: int = 0
    price_factor: Decimal = LIST_PRICE
    engine: str = ""  # whose slot it wants: that is what is asked then, and nothing else
    adapter: str = ""  # its name on engines, of a request for one
    adapter_cluster: str = ""
    lacks_adapter: bool = False  # no replica had it when the request was planned
    patience_s: float | None = None  # how long the client waits for a byte, if it says so
    upstream_model: str = ""  # what that engine is asked for: an adapter by its name there
    hosts: tuple[str, ...] = ()  # replicas of engines, as they were planned for all attempts
    is_spread: bool = False  # any replica of the engine will do
    leading_key: bytes | None = None  # and this is what requests that begin alike have in common
    directory: int = 0  # the version that the caller was found in; 0 for one that it does not have

    @property
    def api(self) -> Api:
        """Whose client asks."""
        return api_of_surface(self.surface)


@dataclass(frozen=True, slots=True)
class Granted:
    """The request goes on, with answers of at most `max_tokens` where that is less than it asked for.

    `reserved` is for the spool: whether there is something to settle; None is unknown. `headers` are for the client.
    """

    reserved: bool | None
    headers: tuple[Header, ...] = ()
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Denied:
    """The request ends here, with an error in the shape of the client's API. `reserved` None: what was said stays."""

    status: int
    body: bytes
    headers: tuple[Header, ...]
    reserved: bool | None = False


Decision = Granted | Denied

# Nothing was reserved: there is no limit for this request.
UNLIMITED = Granted(reserved=False)

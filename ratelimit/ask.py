"""What the limiter is asked. Pure."""

from dataclasses import dataclass
from decimal import Decimal

from headgate.error_shapes import Api, api_of_surface
from headgate.prices import LIST_PRICE


@dataclass(frozen=True, slots=True)
class Ask:
    """Who wants to send what. What Envoy did not know is "". `model` is gateway.yaml's: of an adapter its base model.

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

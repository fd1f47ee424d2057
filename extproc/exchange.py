"""One request on its way through the steps: what came in, what the steps have learned, what goes out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain

from extproc.document import Document
from extproc.form import Form
from extproc.surface import Surface
from extproc.surfaces import NONE, RESPONSES
from extproc.tokens.tally import Prompt, Size
from headgate.error_shapes import Api, api_of_path
from headgate.feed.allowances import Allowances
from headgate.feed.figures import Figures
from headgate.feed.replicas import Replicas
from headgate.purses import Purse
from headgate.snapshot import AliasRow, ModelRow, Snapshot, TargetRow, TenantRow


@dataclass(frozen=True, slots=True)
class Incoming:
    """The request line and the headers that extproc gets to see, and who authz says is calling."""

    method: str
    path: str
    content_type: str
    content_encoding: str
    traceparent: str
    request_id: str
    tenant: str
    anthropic_version: str = ""
    wanted_target: str = ""  # x-headgate-target
    fallback: str = ""  # x-headgate-fallback
    directory: int = 0  # the version that authz went by; 0 for a caller that it does not have
    key_models: frozenset[str] | None = None  # to which the key is confined
    key_id: str = ""

    @property
    def api(self) -> Api:
        """Whose client asks: what errors look like, and lists of models."""
        return api_of_path(self.path, versioned=bool(self.anthropic_version))


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that needs no provider."""

    body: bytes
    surface: Surface


@dataclass(frozen=True, slots=True)
class Maker:
    """Which target made a response: the model as clients name it, the provider, and what the provider calls it.

    `key` is the name of the provider's key that it was made with, where it had several. `replica` is the address that
    answered: an engine's replicas keep what they make in their own memory.
    """

    model: str
    provider: str
    upstream_model: str
    key: str = ""
    replica: str = ""


TargetModel = tuple[str, str]  # its API and its name there
Value = str | bool | int | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What Envoy does with the request: attempt n goes to clusters[n].

    `hosts` are the replicas of engines, in the order of the attempts that go to one.
    `metadata` is what many requests have in common, `own` what is this one's; in that, "" and None are for none.
    `max_tokens` is how far the answer is limited where the client asked for more. With `hedge_ms` an attempt that has
    not begun to answer by then is joined by the next one; without it `headers_ms` is when it is given up.
    """

    clusters: tuple[str, ...]
    profile: str
    headers_ms: int | None
    metadata: tuple[tuple[str, Value], ...]
    own: tuple[tuple[str, str | int | None], ...] = ()
    max_tokens: int | None = None
    hedge_ms: int | None = None
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Use:
    """What a request may use, in tokens: its prompt, and each of so many answers.

    `counted` is the prompt before correction, None where it was not counted as the first attempt's target does.
    `in_background`: what is generated comes after the answer, so that this is all that will be known of it here.
    """

    prompt: int
    counted: int | None
    answer: int
    answers: int
    in_background: bool = False


def _one(_api: str, _model: str) -> float:
    return 1.0


def _has_slots(_engine: str) -> bool:
    return False


def _all_good(_cluster: str, _model: str) -> int:
    return 0


_NO_FIGURES, _NO_ALLOWANCES, _NO_REPLICAS = Figures(), Allowances(), Replicas()


@dataclass(slots=True)
class Exchange:
    """Steps read what earlier steps wrote; the comment above a field names the step that fills it.

    A field without a default is absent until then: reading it too early is an AttributeError, a bug in the order.
    """

    incoming: Incoming
    snapshot: Snapshot
    tenant: TenantRow | None = None  # None: nothing goes through, because it is not there or, as is said next,
    is_misconfigured: bool = False
    spool_is_short: bool = False
    state_of: Callable[[str, str], int] = _all_good  # of a target, by cluster and model; 0 is good
    is_full: Callable[[str], bool] = _has_slots  # an engine, by the name of its slots
    factor_of: Callable[[str, str], float] = _one  # of counts for an API's model
    figures: Figures = _NO_FIGURES  # what strategies go by
    allowances: Allowances = _NO_ALLOWANCES  # what providers say is left
    replicas: Replicas = _NO_REPLICAS  # of engines
    has_token_limits: bool = False  # the tenant
    raw_body: bytes = b""
    refusal: str = ""  # why it ended here, for operators
    # find_surface
    surface: Surface = NONE
    rest: str = ""
    endpoint: str = ""  # of what is `by_id`: its path at the provider
    # find_surface and find_previous; then the service looks up who made it: a response, or a stored completion
    response_id: str = ""
    maker: Maker | None = None
    was_found: bool = True  # False: nobody could say whether there is one
    # keep_maker and ask_maker
    replica: str = ""  # of an engine, that alone knows what `response_id` names
    # parse
    document: Document | Form = field(init=False)
    # resolve_model; keep_wanted, choose_version, choose_variant and rank_targets narrow `targets`
    model: str = field(init=False)  # as the client calls it
    base_model: str = field(init=False)  # gateway.yaml's, by which limits, prices and figures go
    alias: AliasRow | None = None  # where `model` is an adapter of that
    row: ModelRow = field(init=False)
    targets: list[TargetRow] = field(init=False)
    # choose_keys, by `TargetRow.pool`: all rows of a target, and those that may follow the one that `targets` keeps
    pools: dict[int, list[TargetRow]] = field(default_factory=dict)
    spare_keys: dict[int, list[TargetRow]] = field(default_factory=dict)
    # choose_variant
    variant: str | None = None
    # ask_count and measure, by target: what is to be counted yet, what is known, and whose count the limits need
    to_count: dict[TargetModel, Prompt] = field(default_factory=dict)
    sizes: dict[TargetModel, Size] = field(default_factory=dict)
    at_least: dict[TargetModel, Size] = field(default_factory=dict)  # where that is too long for a target already
    counted: TargetModel | None = None
    # draw_chain
    chain: tuple[TargetRow, ...] = ()
    # keep_within, by the service: the purses that hold something for it, or may do so
    held: tuple[Purse, ...] = ()
    # spread
    hosts: list[str] = field(default_factory=list)
    leading_key: bytes | None = None  # of the first attempt's, where that may have to wait
    lacks_adapter: bool = False  # no replica that it may go to first has it
    # ask_for_usage
    streams: bool = False
    asked_usage: bool = False
    asked_each: bool = False
    hide_usage_chunk: bool = False
    hide_usage_member: bool = False
    # count_units
    units: int | None = None
    # bound_answer
    use: Use | None = None
    lowered_to: int | None = None  # of what the client asked for
    # find_stored; then the service looks up the tenant's mark, "" where nobody could say
    stores: bool = False  # a provider stores the completion
    mark: str = ""
    # mark_stored and mark_update
    marks: dict[str, str] = field(default_factory=dict)  # what its metadata have besides; none where there is no room
    # write_body
    is_direct: bool = False  # the body is right for the first attempt as it is
    # make_plan
    plan: Plan = field(init=False)

    @property
    def has_budgets(self) -> bool:
        """Whether any target of the chain has one."""
        return any(target.purse is not None for target in self.chain)

    @property
    def has_token_budgets(self) -> bool:
        """Whether any target that may answer has one that goes by tokens or money."""
        budgets = self.snapshot.budgets
        rows = chain(self.targets, *self.pools.values()) if self.pools else self.targets
        return any(one.purse is not None and budgets[one.purse.name].counts_tokens for one in rows)

    @property
    def in_background(self) -> bool:
        """Whether the provider goes on after its answer: then nothing says here what the request uses."""
        return self.surface is RESPONSES and self.document.get("background") is True

    @property
    def json(self) -> Document:
        """The body, where the surface takes nothing but JSON."""
        if not isinstance(self.document, Document):
            raise TypeError("a form where JSON was expected")
        return self.document

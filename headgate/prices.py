"""What models cost, one file per generation of gateway.yaml: `prices/<generation>.json` below the state directory.

A request is priced by the generation that it began with, so a generation's file is on the disk before a request can
carry its number, and never says anything else afterwards. The ledger removes those that nothing can ask for any more.
"""

import os
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

import msgspec

from headgate.contract import CONNECTION_SURFACE
from headgate.purses import price_name
from headgate.units import UNITS

# Nothing is generated, and providers charge nothing. What a response has used is on the line of the request for it.
FREE_SURFACES = (
    "count_tokens",
    "responses.input_tokens",
    "responses.get",
    "responses.delete",
    "responses.cancel",
    "responses.input_items",
    "chat.list",
    "chat.get",
    "chat.update",
    "chat.delete",
    "chat.messages",
    CONNECTION_SURFACE,
)


LIST_PRICE = Decimal(1)
FACTOR = r"[0-9]{1,2}(\.[0-9]{1,6})?"  # as text: of percentages with at most 4 digits after the point


class PriceRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """USD per million tokens, and for one unit or request; exactly as written.

    What gateway.yaml leaves out of tokens is `input`'s, of the others None; `reasoning` None is `output`'s. `later`
    has the prices that take this one's place, each `from_ms` (Unix time) on, in order: ask `at` which one holds.
    """

    input: Decimal
    cached_input: Decimal
    cache_write: Decimal
    output: Decimal
    request: Decimal | None = None
    image: Decimal | None = None
    second: Decimal | None = None
    character: Decimal | None = None
    search: Decimal | None = None
    reasoning: Decimal | None = None
    from_ms: int = 0
    later: "tuple[PriceRow, ...]" = ()

    def at(self, moment_ms: float) -> "PriceRow":
        """The price of a request that began then."""
        found = self
        for row in self.later:
            if row.from_ms <= moment_ms:
                found = row
        return found

    @property
    def highest_output(self) -> Decimal:
        """What a token of an answer costs at most."""
        return self.output if self.reasoning is None else max(self.output, self.reasoning)

    @property
    def is_without_input(self) -> bool:
        """Whether a prompt costs nothing."""
        return not (self.input or self.cached_input or self.cache_write)

    def of_unit(self, unit: str) -> Decimal | None:
        """What one costs (headgate/units.py); None where it is not charged for by the unit."""
        found: Decimal | None = getattr(self, unit) if unit in UNITS else None
        return found

    def counts_tokens_for(self, unit: str) -> bool:
        """Whether what has this unit is charged for by tokens, and by nothing but them."""
        return self.of_unit(unit) is None and bool(self.input or self.output)


def factor_with(markup: Decimal | None, discount: Decimal | None) -> Decimal:
    """What is paid of a price, with so many percent on top of it or off it: one of both, or neither."""
    percent = markup if discount is None else -discount
    return LIST_PRICE if percent is None else LIST_PRICE + percent.scaleb(-2)


class TermsRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is paid of the models' prices: a factor, 0.9 for a discount of 10%, and those of single models."""

    factor: Decimal = LIST_PRICE
    models: dict[str, Decimal] = {}

    def of(self, model: str) -> Decimal:
        """The factor for a model."""
        return self.models.get(model, self.factor)


class PriceList(msgspec.Struct, frozen=True, omit_defaults=True):
    """One generation's prices, by the model as clients name it. A model that is not there has none.

    `providers` has what budgets of money count, by `headgate.purses.price_name`. `costs` has what providers take by
    the prices of targets, by the same name, and `own_costs` by those of tenants' own targets. What a tenant pays of
    its model's price is on the request's line.
    """

    models: dict[str, PriceRow]
    providers: dict[str, PriceRow] = {}
    costs: dict[str, PriceRow] = {}
    own_costs: dict[str, dict[str, PriceRow]] = {}

    def cost_row(self, tenant: str, provider: str, model: str, upstream_model: str | None) -> PriceRow | None:
        """What the provider takes; None where nobody says. `upstream_model` None is what an engine serves."""
        own = self.own_costs.get(tenant)
        found = _row_of(own, provider, model, upstream_model) if own else None
        return found or _row_of(self.costs, provider, model, upstream_model)

    def budget_row(self, provider: str, model: str, upstream_model: str | None) -> PriceRow | None:
        """What counts against a provider's budget; likewise."""
        return _row_of(self.providers, provider, model, upstream_model)


def _row_of(rows: Mapping[str, PriceRow], provider: str, model: str, upstream_model: str | None) -> PriceRow | None:
    if upstream_model is not None:
        return rows.get(price_name(provider, model, upstream_model))
    # Targets name nothing else that an engine serves, `headgate check` sees to that: there is one row, or none.
    beginning = price_name(provider, model, "")
    return dearest(row for name, row in rows.items() if name.startswith(beginning))


def dearest(rows: Iterable[PriceRow]) -> PriceRow | None:
    """What counts where there are several prices of the same: that of the highest answers, whatever their order."""
    return max(rows, key=lambda row: (row.output, row.input), default=None)


def price_file(folder: Path, generation: int) -> Path:
    """Where the prices of a generation are."""
    return folder / f"{generation}.json"


def write_prices(prices: PriceList, folder: Path, generation: int) -> None:
    """Afterwards they are on the disk; those that are there already stay as they are. Raises OSError."""
    path = price_file(folder, generation)
    if _can_be_read(path):
        return
    folder.mkdir(mode=0o700, exist_ok=True)
    draft = folder / f".{path.name}"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
        file.write(msgspec.json.encode(prices))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    for changed in (folder, folder.parent):
        _sync(changed)


def read_prices(path: Path) -> PriceList:
    """Reads what `write_prices` wrote. Raises OSError or msgspec.DecodeError."""
    return msgspec.json.decode(path.read_bytes(), type=PriceList)


def priced_generations(folder: Path) -> dict[int, Path]:
    """The files that there are, by generation, the first one first. Raises OSError."""
    if not folder.exists():
        return {}
    return dict(sorted((int(path.stem), path) for path in folder.glob("*.json") if path.stem.isdecimal()))


def _can_be_read(path: Path) -> bool:
    try:
        read_prices(path)
    except (FileNotFoundError, msgspec.DecodeError):
        return False
    return True


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

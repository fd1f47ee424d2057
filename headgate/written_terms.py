"""A document's terms, from the directory to what requests are priced by. Pure.

The shape of gateway.yaml's `pricing`, which whoever writes documents has checked (control/pricing_in.py). A text that
is none is refused here again: better no request than one at the wrong price.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

from headgate.config.values import discount, markup
from headgate.prices import TermsRow, factor_with


def written_terms(written: Mapping[str, Any]) -> TermsRow:
    """Of a plan or a tenant. Raises ValueError, with what is wrong."""
    models = _mapping(written.get("models") or {})
    own = {name: said for name, said in written.items() if name != "models"}
    return TermsRow(_factor(own), {name: _factor(_mapping(said)) for name, said in models.items()})


def _factor(said: Mapping[str, Any]) -> Decimal:
    if unknown := said.keys() - {"markup", "discount"}:
        raise ValueError(f"unknown term {min(unknown)!r}")
    if len(said) > 1:
        raise ValueError("both a markup and a discount")
    on_top, off = said.get("markup"), said.get("discount")
    return factor_with(None if on_top is None else markup(on_top), None if off is None else discount(off))


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("no mapping where one was expected")  # noqa: TRY004 - as other values
    return cast("Mapping[str, Any]", value)

"""An invoice as a page: one file that prints, without scripts and without anything from elsewhere. Pure, but for
reading its template once.

Names in it may be anybody's: all of them are escaped, and what can't be printed is replaced.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

_TITLES = {"invoice": "Invoice", "credit_note": "Credit note"}
_OPTIONAL = ("lines", "overage", "credits", "subtotal", "rounding", "corrects", "reason")  # of one kind alone


def page_of(document: Mapping[str, Any]) -> str:
    """HTML of what control/invoices/document.py makes."""
    said = dict.fromkeys(_OPTIONAL) | {name: _printable(value) for name, value in document.items()}
    estimated = sum(line["estimated_requests"] for line in document.get("lines", ()))
    return _template().render(**said, title=_TITLES[document["kind"]], estimated=estimated) + "\n"


def _count(number: int) -> str:
    return f"{number:,}"


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["count"] = _count
    return environment.get_template("invoice.html.j2")


def _printable(value: Any) -> Any:
    match value:
        case str():
            return "".join(one if one.isprintable() or one == "\n" else "\ufffd" for one in value)
        case Mapping():
            return {name: _printable(item) for name, item in value.items()}
        case list() | tuple():
            return [_printable(item) for item in value]
    return value

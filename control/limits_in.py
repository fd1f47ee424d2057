"""Limits in the bodies of requests: the documents of gateway.yaml, by its types and rules, as they are stored.

A document is kept as it was written, amounts with a fraction as text; `stored` gives it back, or says all that is
wrong with it in the words of `headgate check`.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import PlainValidator, WithJsonSchema

from control.documents import an_object, check_document
from control.problems import Finding, invalid
from headgate.config.limit_rules import unusable_limits
from headgate.config.limits import UNLIMITED, Limits, PlanLimits, TenantLimits
from headgate.config.values import MAX_WHOLE
from headgate.config.wording import KeyPath
from headgate.limits import KINDS, KINDS_OF_PARTS, MOST_SHARE, NANO, PRIORITIES, SCOPES, Kind

Holder = Literal["plan", "tenant", "key"]
MOST_RULES = 64  # in `per`
# Where gateway.yaml has such limits, and their type.
_PLACES: Mapping[Holder, tuple[KeyPath, type[Limits]]] = {
    "plan": (("plans", "p"), PlanLimits),
    "tenant": (("tenants", "t", "limits"), TenantLimits),
    "key": (("tenants", "t", "keys", 0, "limits"), Limits),
}


def stored(document: Mapping[str, Any], holder: Holder, models: Iterable[str], at: str = "limits") -> dict[str, Any]:
    """The document, ready for the database. `models`: those that there are, for the limits that name some.

    Raises Problem.
    """
    written: dict[str, Any] = _written(document)
    rules = written.get("per")
    if isinstance(rules, list) and len(rules) > MOST_RULES:
        raise invalid(Finding(at=f"{at}.per", expected=f"at most {MOST_RULES} rules", found=f"{len(rules)}"))
    place, kind = _PLACES[holder]
    check_document(_root(place, written, models), place, kind, unusable_limits, at)
    return written


def _root(place: KeyPath, document: Any, models: Iterable[str]) -> dict[str, Any]:
    """A gateway.yaml with nothing but these limits; its models have no entries, so nobody asks for their prices."""
    known = dict.fromkeys(models)
    if place[0] == "plans":
        return {"models": known, "plans": {"p": document}}
    tenant: dict[str, Any] = {"models": list(known)}
    tenant |= {"limits": document} if place[2] == "limits" else {"keys": [{"limits": document}]}
    return {"models": known, "tenants": {"t": tenant}}


def _written(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f") if -12 <= value.adjusted() < 20 else str(value)
    if isinstance(value, Mapping):
        return {key: _written(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_written(item) for item in value]
    return value


def _money_schema() -> dict[str, Any]:
    text = {"type": "string", "pattern": "^[0-9]{1,7}(\\.[0-9]{1,9})?$"}
    return {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": MAX_WHOLE // NANO}, text]}


def _balance_schema() -> dict[str, Any]:
    text = {"type": "string", "pattern": "^-?[0-9]{1,7}(\\.[0-9]{1,9})?$"}
    most = MAX_WHOLE // NANO
    return {"anyOf": [{"type": "number", "minimum": -most, "maximum": most}, text]}


def _credits_schema(kind: Kind, holder: Holder) -> dict[str, Any]:
    """The floor, or an object that says more."""
    more = {"floor": _balance_schema(), "low": _balance_schema()}
    written = {"type": "object", "properties": more, "additionalProperties": False}
    return {"description": kind.text, "anyOf": [_balance_schema(), written, *_lifted(holder)]}


def _lifted(holder: Holder) -> list[dict[str, Any]]:
    return [{"const": UNLIMITED}] if holder == "tenant" else []


def _limit_schema(kind: Kind, holder: Holder) -> dict[str, Any]:
    """A number, or an object that says more. Which numbers fit together only the parser knows."""
    money = kind.dimension == "usd"
    amount = _money_schema() if money else {"type": "integer", "minimum": 1, "maximum": MAX_WHOLE}
    more: dict[str, Any] = {"limit": amount}
    if kind.shape != "slots":
        more["soft"] = amount
    if kind.shape == "window":
        more |= {"burst": amount, "refill": {"type": "string", "pattern": "^[1-9][0-9]{0,3}s$"}}
    if kind.shape in ("day", "month"):
        overage: dict[str, Any] = {"ceiling": amount} if money else {"ceiling": amount, "price": _money_schema()}
        more["overage"] = {
            "type": "object",
            "properties": overage,
            "required": ["ceiling"],
            "additionalProperties": False,
        }
    needs = [{"required": [name]} for name in ("limit", "soft") if name in more]
    written = {"type": "object", "properties": more, "anyOf": needs, "additionalProperties": False}
    return {"description": kind.text, "anyOf": [amount, written, *_lifted(holder)]}


def _schema(holder: Holder) -> dict[str, Any]:
    limits = {name: _limit_schema(kind, holder) for name, kind in KINDS_OF_PARTS.items()}
    properties: dict[str, Any] = dict(limits)
    if holder != "key":
        models = {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": True}
        by = {"type": "array", "items": {"enum": list(SCOPES)}, "minItems": 1, "uniqueItems": True}
        whole = {name: kind for name, kind in KINDS.items() if name not in KINDS_OF_PARTS}
        properties |= {name: _credits_schema(kind, holder) for name, kind in whole.items()}
        inner = {name: _limit_schema(kind, "plan") for name, kind in KINDS_OF_PARTS.items()}
        rule = {"type": "object", "properties": {"by": by, "models": models, **inner}, "additionalProperties": False}
        properties["per"] = {"type": "array", "items": rule, "maxItems": MOST_RULES}
        properties["anniversary"] = {"type": "integer", "minimum": 1, "maximum": 31}
        properties["priority"] = {"enum": list(PRIORITIES)}
        properties["share"] = {"type": "integer", "minimum": 1, "maximum": MOST_SHARE}
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "description": "As in gateway.yaml: docs/limits.md.",
    }


PlanDocument = Annotated[dict[str, Any], PlainValidator(an_object), WithJsonSchema(_schema("plan"))]
TenantDocument = Annotated[dict[str, Any], PlainValidator(an_object), WithJsonSchema(_schema("tenant"))]
KeyDocument = Annotated[dict[str, Any], PlainValidator(an_object), WithJsonSchema(_schema("key"))]

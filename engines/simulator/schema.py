"""A deterministic instance of a JSON schema: arguments of tool calls and structured answers. Pure.

Covers objects, required, enum, const, string lengths and formats, number bounds, arrays, local `$ref`, anyOf,
oneOf, allOf. `pattern`, `not`, `if` and `dependentSchemas` are not looked at.
"""

import math
from collections.abc import Callable
from typing import Any, Final

_OPTIONAL_DEPTH: Final = 4  # below, only what is required: a recursive schema must end
_MAX_DEPTH: Final = 48
_FORMATS: Final = {
    "date-time": "2025-01-02T03:04:05Z",
    "date": "2025-01-02",
    "time": "03:04:05Z",
    "duration": "PT1M",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def instance_of(schema: Any) -> Any:
    """Return one value that the schema allows, the same for the same schema."""
    return _value(schema, schema, 0)


def _value(schema: Any, root: Any, depth: int) -> Any:
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return None
    schema = _resolved(schema, root, depth)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    maker = _MAKERS.get(_type_of(schema))
    return maker(schema, root, depth) if maker else None


def _resolved(schema: dict[str, Any], root: Any, depth: int) -> dict[str, Any]:
    """Follow `$ref`, fold allOf in, and take a branch of anyOf or oneOf."""
    for _ in range(_MAX_DEPTH):
        if "$ref" in schema:
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            schema = _merged(_target(schema["$ref"], root), rest)
        elif "allOf" in schema:
            rest = {key: value for key, value in schema.items() if key != "allOf"}
            for part in schema["allOf"]:
                rest = _merged(rest, _resolved(part, root, depth))
            schema = rest
        elif schema.get("anyOf") or schema.get("oneOf"):
            branch = _branch(schema.get("anyOf") or schema["oneOf"], depth)
            rest = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf")}
            schema = _merged(rest, branch)
        else:
            break
    return schema


def _branch(branches: list[Any], depth: int) -> dict[str, Any]:
    """Take the first branch; deep down one that does not go deeper, so that a recursive schema ends."""
    shallow = [branch for branch in branches if isinstance(branch, dict) and "$ref" not in branch]
    usable = shallow if depth >= _OPTIONAL_DEPTH and shallow else [b for b in branches if isinstance(b, dict)]
    if depth >= _OPTIONAL_DEPTH:
        usable = sorted(usable, key=lambda branch: branch.get("type") != "null")
    return usable[0] if usable else {}


def _target(ref: Any, root: Any) -> dict[str, Any]:
    """Return what a local reference such as `#/$defs/Item` points to, or an empty schema."""
    found = root
    for name in str(ref).removeprefix("#").split("/")[1:]:
        key = name.replace("~1", "/").replace("~0", "~")
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _merged(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    merged = {**left, **right}
    for key in ("properties", "$defs"):
        if key in left and key in right:
            merged[key] = {**left[key], **right[key]}
    if "required" in left and "required" in right:
        merged["required"] = [*left["required"], *right["required"]]
    return merged


def _type_of(schema: dict[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        return next((name for name in kind if name != "null"), "null")
    if isinstance(kind, str):
        return kind
    if "properties" in schema or "required" in schema:
        return "object"
    if "items" in schema or "prefixItems" in schema:
        return "array"
    return "number" if {"minimum", "maximum", "multipleOf"} & schema.keys() else "string"


def _object(schema: dict[str, Any], root: Any, depth: int) -> dict[str, Any]:
    properties = schema.get("properties") or {}
    required = list(schema.get("required") or ())
    names = required if depth >= _OPTIONAL_DEPTH else dict.fromkeys([*properties, *required])
    return {name: _value(properties.get(name, {"type": "string"}), root, depth + 1) for name in names}


def _array(schema: dict[str, Any], root: Any, depth: int) -> list[Any]:
    least = schema.get("minItems", 0 if depth >= _OPTIONAL_DEPTH else 1)
    count = min(max(least, len(schema.get("prefixItems") or ())), schema.get("maxItems", math.inf))
    items = [_value(part, root, depth + 1) for part in schema.get("prefixItems") or ()][:count]
    rest = schema.get("items", {"type": "string"})
    while len(items) < count and rest is not False:
        items.append(_item(rest, len(items), schema.get("uniqueItems") is True, root, depth + 1))
    return items


def _item(schema: Any, at: int, unique: bool, root: Any, depth: int) -> Any:
    if not unique or not isinstance(schema, dict) or at == 0:
        return _value(schema, root, depth)
    resolved = _resolved(schema, root, depth)
    if resolved.get("enum"):
        return resolved["enum"][at % len(resolved["enum"])]
    value = _value(resolved, root, depth)
    if isinstance(value, str):
        return f"{value}{at}"
    return value + at * (resolved.get("multipleOf") or 1) if isinstance(value, int | float) else value


def _string(schema: dict[str, Any], _root: Any, _depth: int) -> str:
    known: str | None = _FORMATS.get(schema.get("format", ""))
    if known is not None:
        return known
    least, most = schema.get("minLength", 0), schema.get("maxLength", math.inf)
    text = "simulated" + " simulated" * int(least // len(" simulated") + 1)
    return text[: int(min(most, max(least, len("simulated"))))]


def _number(schema: dict[str, Any], _root: Any, _depth: int) -> int | float:
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    above, below = schema.get("exclusiveMinimum", -math.inf), schema.get("exclusiveMaximum", math.inf)
    gap = min(0.5, (min(high, below) - max(low, above)) / 2)
    value = _nearest_to_one(max(low, above + gap), min(high, below - gap), schema.get("multipleOf"))
    return int(value) if float(value).is_integer() else value


def _integer(schema: dict[str, Any], _root: Any, _depth: int) -> int:
    low, high = -math.inf, math.inf
    if "minimum" in schema:
        low = math.ceil(schema["minimum"])
    if "exclusiveMinimum" in schema:
        low = max(low, math.floor(schema["exclusiveMinimum"]) + 1)
    if "maximum" in schema:
        high = math.floor(schema["maximum"])
    if "exclusiveMaximum" in schema:
        high = min(high, math.ceil(schema["exclusiveMaximum"]) - 1)
    return int(_nearest_to_one(low, high, schema.get("multipleOf")))


def _nearest_to_one(low: float, high: float, step: float | None) -> float:
    """Return the number from `low` to `high` that is nearest to 1, on a multiple of `step` where one fits."""
    value = min(max(1, low), high)
    if not step:
        return value
    stepped = math.ceil(value / step) * step
    return stepped if stepped <= high else math.floor(high / step) * step


def _boolean(_schema: dict[str, Any], _root: Any, _depth: int) -> bool:
    return True


_MAKERS: Final[dict[str, Callable[[dict[str, Any], Any, int], Any]]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
}

"""What OpenAI's API takes: requests.json has the request bodies of its OpenAPI file, texts and defaults left out.

`problems` validates a request, `bodies` makes any that are valid. Of JSON Schema both know what that file uses; where
it says `oneOf`, several may fit. usage.json has what is asked about usage and costs: the parameters and the answers,
which `answer_problems` validates.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from hypothesis import strategies as st

_FILE = json.loads((Path(__file__).parent / "requests.json").read_text())
_OF_USAGE = json.loads((Path(__file__).parent / "usage.json").read_text())
_SCHEMAS: dict[str, dict[str, Any]] = _FILE["schemas"] | _OF_USAGE["schemas"]
_ANSWERS: dict[str, str] = _OF_USAGE["answers"]
PARAMETERS: dict[str, dict[str, dict[str, Any]]] = _OF_USAGE["parameters"]  # of usage, by path and name
_BODIES: dict[str, str | None] = _FILE["bodies"]
_QUERY: dict[str, list[str]] = _FILE["query"]
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
_DEEP = 5  # from here on only what is required


def problems(method: str, target: str, body: bytes) -> list[str]:
    """What is wrong with a request whose path begins behind the API's /v1."""
    url = urlsplit(target)
    endpoint = _endpoint(method, url.path)
    if endpoint is None:
        return [f"no such endpoint: {method} {url.path}"]
    found = [f"query: {name}" for name, _ in parse_qsl(url.query) if name.partition("[")[0] not in _QUERY[endpoint]]
    name = _BODIES[endpoint]
    if name is None:
        return found + (["a body"] if body else [])
    return found + list(_wrong(json.loads(body), {"$ref": name}, "body"))


def answer_problems(endpoint: str, answer: Any) -> list[str]:
    """What is wrong with the answer of an endpoint such as `GET /organization/costs`."""
    return list(_wrong(answer, {"$ref": _ANSWERS[endpoint]}, "answer"))


def _endpoint(method: str, path: str) -> str | None:
    for endpoint in _BODIES:
        known_method, _, known = endpoint.partition(" ")
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(known))
        if (
            known_method == method
            and re.fullmatch(pattern, path)
            and (known == path or f"{method} {path}" not in _BODIES)
        ):
            return endpoint
    return None


def _wrong(value: Any, schema: dict[str, Any], at: str) -> Iterator[str]:
    if value is None and schema.get("nullable"):
        return
    yield from _wrong_part(value, schema, at)
    if "type" in schema and not _has_type(value, schema["type"]):
        yield f"{at}: {json.dumps(value)[:60]} is no {schema['type']}"
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {json.dumps(value)[:60]} is none of {schema['enum'][:5]}"
    elif isinstance(value, dict):
        yield from _wrong_object(value, schema, at)
    elif isinstance(value, list):
        yield from _out_of_bounds(len(value), schema, "Items", at)
        for index, item in enumerate(value):
            yield from _wrong(item, schema.get("items", {}), f"{at}[{index}]")
    else:
        yield from _wrong_scalar(value, schema, at)


def _wrong_part(value: Any, schema: dict[str, Any], at: str) -> Iterator[str]:
    """What other schemas that it is made of say."""
    if "$ref" in schema:
        yield from _wrong(value, _SCHEMAS[schema["$ref"]], at)
    for part in schema.get("allOf", ()):
        yield from _wrong(value, part, at)
    if "anyOf" in schema:
        tried = [list(_wrong(value, part, at)) for part in schema["anyOf"]]
        if all(tried):
            yield f"{at}: fits none of {len(tried)}, the nearest: {min(tried, key=len)[0]}"


def _wrong_scalar(value: Any, schema: dict[str, Any], at: str) -> Iterator[str]:
    if isinstance(value, str):
        yield from _out_of_bounds(len(value), schema, "Length", at)
        if "pattern" in schema and not re.search(schema["pattern"], value):
            yield f"{at}: does not match {schema['pattern']}"
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _out_of_bounds(value, schema, "imum", at)


def _wrong_object(value: dict[str, Any], schema: dict[str, Any], at: str) -> Iterator[str]:
    known, more = schema.get("properties", {}), schema.get("additionalProperties", True)
    yield from (f"{at}.{name}: is missing" for name in schema.get("required", ()) if name not in value)
    for name, item in value.items():
        if name in known:
            yield from _wrong(item, known[name], f"{at}.{name}")
        elif more is False:
            yield f"{at}.{name}: is not known"
        elif isinstance(more, dict):
            yield from _wrong(item, more, f"{at}.{name}")


def _out_of_bounds(size: float, schema: dict[str, Any], what: str, at: str) -> Iterator[str]:
    if size < schema.get(f"min{what}", size) or size > schema.get(f"max{what}", size):
        yield f"{at}: {size} is out of bounds"


def _has_type(value: Any, names: str | list[str]) -> bool:
    if isinstance(value, bool):
        return "boolean" in names
    wanted = [names] if isinstance(names, str) else names
    return any(isinstance(value, kind) for name in wanted for kind in _TYPES[name])


@st.composite
def bodies(draw: Callable[..., Any], endpoint: str) -> dict[str, Any]:
    """Any body that an endpoint, such as `POST /responses`, takes."""
    made = _made(draw, {"$ref": _BODIES[endpoint]}, 0)
    assert isinstance(made, dict)
    return made


def _made(draw: Callable[..., Any], schema: dict[str, Any], depth: int) -> Any:
    if "$ref" in schema:
        return _made(draw, _SCHEMAS[schema["$ref"]], depth)
    if "enum" in schema:
        return draw(st.sampled_from(schema["enum"]))
    if "allOf" in schema:
        parts = [_made(draw, part, depth) for part in (*schema["allOf"], {**schema, "allOf": ()}) if _says(part)]
        return {name: value for part in parts if isinstance(part, dict) for name, value in part.items()} or parts[0]
    if "anyOf" in schema:
        options = schema["anyOf"] if depth < _DEEP else schema["anyOf"][:1]
        part = _made(draw, draw(st.sampled_from(options)), depth)
        own = _made_object(draw, schema, depth) if schema.get("properties") and isinstance(part, dict) else {}
        return {**own, **part} if isinstance(part, dict) else part
    kind = schema.get("type", "object" if "properties" in schema else "string")
    return _made_of(draw, kind if isinstance(kind, str) else draw(st.sampled_from(kind)), schema, depth)


def _says(part: dict[str, Any]) -> bool:
    return bool({"$ref", "anyOf", "properties", "enum", "type"} & part.keys()) and (
        "$ref" in part or "anyOf" in part or "properties" in part or "allOf" not in part
    )


def _made_of(draw: Callable[..., Any], kind: str, schema: dict[str, Any], depth: int) -> Any:
    low, high = schema.get("minimum"), schema.get("maximum")
    match kind:
        case "object":
            return _made_object(draw, schema, depth)
        case "array":
            least = schema.get("minItems", 0)
            count = draw(st.integers(least, min(schema.get("maxItems", 9), least + 2))) if depth < _DEEP else least
            return [_made(draw, schema.get("items", {}), depth + 1) for _ in range(count)]
        case "integer":
            return draw(st.integers(low if low is not None else 0, high if high is not None else 10_000))
        case "number":
            return draw(st.floats(low if low is not None else -9, high if high is not None else 99, width=32))
        case "boolean":
            return draw(st.booleans())
        case "null":
            return None
    if "pattern" in schema:
        return draw(st.from_regex(schema["pattern"], fullmatch=True))
    least = schema.get("minLength", 0)
    return draw(st.text(min_size=least, max_size=min(schema.get("maxLength", 99), least + 8)))


def _made_object(draw: Callable[..., Any], schema: dict[str, Any], depth: int) -> dict[str, Any]:
    required = schema.get("required", ())
    names = list(schema.get("properties", {}))
    optional = [name for name in names if name not in required]
    chosen = draw(st.lists(st.sampled_from(optional), unique=True, max_size=4)) if optional and depth < _DEEP else []
    return {
        name: _made(draw, schema["properties"][name], depth + 1)
        for name in names
        if name in required or name in chosen
    }

"""JSON schemas in the words that Cohere's structured outputs know (docs.cohere.com, "Structured Outputs").

What is not known there becomes part of the description, where the model at least reads it.
"""

import json
from typing import Any

_PLAIN = {"type", "title", "description", "required", "enum", "const", "$ref"}
_FORMATS = ("date-time", "uuid", "date", "time")
_MAPS = ("properties", "$defs", "definitions")
_NOT_IN_PATTERNS = ("^", "$", "?=", "?!")


def constrained(schema: Any) -> Any:
    """The schema in the words that are enforced; the others are said in words of a person."""
    if not isinstance(schema, dict):
        return {} if schema is True else schema
    made, said = dict[str, Any](), dict[str, Any]()
    for word, value in schema.items():
        _take(word, value, made, said)
    if said:
        words = json.dumps(said, ensure_ascii=False)
        made["description"] = f"{made['description']}\n\n{words}" if made.get("description") else words
    return made


def can_be_held_to(schema: dict[str, Any]) -> bool:
    """Whether Cohere takes the schema: the whole is an object, and each object in it has a required member."""
    return schema.get("type") == "object" and _has_required(schema)


def _has_required(schema: Any) -> bool:
    if isinstance(schema, list):
        return all(_has_required(one) for one in schema)
    if not isinstance(schema, dict):
        return True
    if schema.get("properties") and not schema.get("required"):
        return False
    inner = [value for name in _MAPS if isinstance(schema.get(name), dict) for value in schema[name].values()]
    return _has_required([*inner, *(schema.get(name) for name in ("items", "anyOf", "additionalProperties"))])


def _is_known(word: str, value: Any) -> bool:
    """Of words that are known with some values only."""
    if word == "pattern":
        return isinstance(value, str) and not any(one in value for one in _NOT_IN_PATTERNS)
    return word == "format" and value in _FORMATS


def _take(word: str, value: Any, made: dict[str, Any], said: dict[str, Any]) -> None:
    if word in _PLAIN or _is_known(word, value):
        made[word] = value
    elif word in _MAPS and isinstance(value, dict):
        made[word] = {key: constrained(inner) for key, inner in value.items()}
    elif word in ("anyOf", "oneOf") and isinstance(value, list) and "anyOf" not in made:
        made["anyOf"] = [constrained(inner) for inner in value]
    elif word == "items" and isinstance(value, dict):
        made[word] = constrained(value)
    elif word == "additionalProperties" and isinstance(value, bool | dict):
        made[word] = constrained(value) if isinstance(value, dict) else value
    elif word == "allOf" and isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        for inner, what in value[0].items():
            _take(inner, what, made, said)
    elif word != "$schema":
        said[word] = value

"""JSON schemas in the words that Gemini's API knows (ai.google.dev, `GenerationConfig.responseJsonSchema`).

What is not known there becomes part of the description, where the model at least reads it.
"""

import json
from typing import Any

_PLAIN = {"$id", "$anchor", "type", "format", "title", "description", "required", "minItems", "maxItems",
          "minimum", "maximum", "propertyOrdering"}  # fmt: skip
_LISTS = {"anyOf", "oneOf", "prefixItems"}
_OLD_DEFINITIONS = "#/definitions/"


def constrained(schema: Any) -> Any:
    """The schema in the words that are known; the others are said in words of a person."""
    if not isinstance(schema, dict):
        return {} if schema is True else schema
    made, said = dict[str, Any](), dict[str, Any]()
    for word, value in schema.items():
        _take(word, value, made, said)
    if said:
        words = json.dumps(said, ensure_ascii=False)
        made["description"] = f"{made['description']}\n\n{words}" if made.get("description") else words
    if "$ref" in made and any(not word.startswith("$") for word in made):  # nothing else may stand beside it
        made = {"anyOf": [{"$ref": made.pop("$ref")}], **made}
    return made


def _take(word: str, value: Any, made: dict[str, Any], said: dict[str, Any]) -> None:
    if word in _PLAIN:
        made[word] = value
    elif word in ("properties", "$defs", "definitions") and isinstance(value, dict):
        name = "$defs" if word == "definitions" else word
        made[name] = {key: constrained(inner) for key, inner in value.items()}
    elif word in _LISTS and isinstance(value, list):
        made[word] = [constrained(inner) for inner in value]
    elif word == "items" and isinstance(value, dict):
        made[word] = constrained(value)
    elif word == "additionalProperties" and isinstance(value, bool | dict):
        made[word] = constrained(value) if isinstance(value, dict) else value
    elif word == "$ref" and isinstance(value, str):
        made[word] = value.replace(_OLD_DEFINITIONS, "#/$defs/", 1)
    else:
        _take_values(word, value, made, said)


def _take_values(word: str, value: Any, made: dict[str, Any], said: dict[str, Any]) -> None:
    """Lists of values: strings and numbers are known, null is what the type says already."""
    if word == "const" and _is_listed(value):
        made["enum"] = [value]
    elif word == "enum" and isinstance(value, list) and all(one is None or _is_listed(one) for one in value):
        made["enum"] = [one for one in value if one is not None]
    elif word == "allOf" and isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        for inner, what in value[0].items():
            _take(inner, what, made, said)
    elif word != "$schema":
        said[word] = value


def _is_listed(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)

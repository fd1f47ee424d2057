"""JSON schemas as Anthropic's structured outputs take them (platform.claude.com, "Structured outputs").

They know fewer keywords than JSON Schema and OpenAI's: every object must be closed, sizes and ranges cannot be
asked for. What is not known there becomes part of the description, where the model at least reads it.
"""

import json
from typing import Any

_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
_PLAIN = {"type", "enum", "const", "title", "description", "required", "default", "$ref"}
_LISTS = {"anyOf", "allOf"}
_MAPS = {"properties", "$defs", "definitions"}


def constrained(schema: Any) -> Any:
    """The schema in the keywords that are enforced; the others are said in words."""
    if not isinstance(schema, dict):
        return schema
    made, said = dict[str, Any](), dict[str, Any]()
    for word, value in schema.items():
        _take(word, value, made, said)
    if made.get("type") == "object" or "properties" in made:
        made["additionalProperties"] = False
    if said:
        words = json.dumps(said, ensure_ascii=False)
        made["description"] = f"{made['description']}\n\n{words}" if made.get("description") else words
    return made


def _take(word: str, value: Any, made: dict[str, Any], said: dict[str, Any]) -> None:
    if word in _PLAIN or (word == "format" and value in _FORMATS) or (word == "minItems" and value in (0, 1)):
        made[word] = value
    elif word in _MAPS and isinstance(value, dict):
        made[word] = {name: constrained(inner) for name, inner in value.items()}
    elif word in _LISTS and isinstance(value, list):
        made[word] = [constrained(inner) for inner in value]
    elif word == "oneOf" and isinstance(value, list):
        made["anyOf"] = [constrained(inner) for inner in value]
    elif word == "items" and isinstance(value, dict):
        made[word] = constrained(value)
    elif word != "$schema" and not (word == "additionalProperties" and isinstance(value, bool)):
        said[word] = value

"""Tools as the model reads them: OpenAI's models as TypeScript, all others as the JSON that it came as.

What OpenAI does was found by asking its models and comparing with the usage that it reports; there is no page on it.
"""

from typing import Any

from extproc.tokens.tally import Tally, written

_NAMESPACE = 9  # around what `typescript` makes
_LEVELS = 25  # of schemas in schemas; what is deeper is written as JSON


def read_tools(tally: Tally, tools: list[tuple[Any, Any, Any]], *, after_system: bool) -> None:
    """Adds tools, each a name, a description and a JSON schema."""
    if not tools:
        return
    tally.add(tally.rule.tools)
    if tally.rule.family == "openai":
        tally.text(typescript(tools))
        # A system message and the tools share one message.
        tally.add(_NAMESPACE - (tally.rule.per_message + 1 if after_system else 0))
        return
    for name, description, schema in tools:
        tally.text(written({"name": name, "description": description, "parameters": schema}))


def typescript(tools: list[tuple[Any, Any, Any]]) -> str:
    """The tools as type definitions."""
    lines = ["namespace functions {", ""]
    for name, description, schema in tools:
        if isinstance(description, str) and description:
            lines.append(f"// {description}")
        properties = schema.get("properties") if isinstance(schema, dict) else None
        if isinstance(properties, dict) and properties:
            lines += [f"type {_word(name)} = (_: {{", *_members(schema, 0), "}) => any;", ""]
        else:
            lines += [f"type {_word(name)} = () => any;", ""]
    return "\n".join([*lines, "} // namespace functions"])


def _members(schema: dict[str, Any], depth: int, level: int = 0) -> list[str]:
    lines = list[str]()
    required = schema.get("required")
    for name, value in schema["properties"].items():
        if isinstance(value, dict) and isinstance(value.get("description"), str) and depth < 2:
            lines.append(f"// {value['description']}")
        mark = "" if isinstance(required, list) and name in required else "?"
        lines.append(f"{name}{mark}: {_type(value, depth, level)},")
    return [" " * depth + line for line in lines]


def _type(schema: Any, depth: int, level: int) -> str:
    if not isinstance(schema, dict) or level > _LEVELS:
        return _word(schema)
    choices = schema.get("enum")
    if isinstance(choices, list):
        return " | ".join(written(choice) for choice in choices)
    kind = schema.get("type")
    if kind == "object" and isinstance(schema.get("properties"), dict):
        return "\n".join(["{", *_members(schema, depth + 2, level + 1), "}"])
    if kind == "object":
        return "object"
    if kind == "array":
        return f"{_type(schema['items'], depth, level + 1)}[]" if schema.get("items") else "any[]"
    if kind in ("integer", "number"):
        return "number"
    if kind in ("string", "boolean", "null"):
        return str(kind)
    return _word(schema)  # anyOf, $ref, several types: not in the words that OpenAI finds for it, but in as many


def _word(value: Any) -> str:
    return value if isinstance(value, str) else written(value)

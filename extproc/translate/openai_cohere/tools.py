"""Tools and the choice among them: OpenAI's functions as Cohere's tools."""

from typing import Any

from extproc.refusal import BadRequest
from extproc.translate.chat_notes import HINTS, Notes
from extproc.translate.openai_anthropic.parts import checked_kind
from extproc.translate.openai_cohere.models import Abilities
from extproc.translate.openai_cohere.parts import Part
from extproc.translate.openai_cohere.schema import can_be_held_to, constrained
from extproc.translate.walk import list_of, named, not_one_of, object_of, text_of

_MODES = {"none": "NONE", "auto": None, "required": "REQUIRED"}
_FUNCTION = ("name", "description", "parameters", "strict", *HINTS)
_Choice = tuple[str | None, frozenset[str] | None]  # Cohere's word, and which tools are allowed if not all are


def tools_of(body: dict[str, Any], model: Abilities, notes: Notes) -> Part:
    """The members `tools`, `strict_tools` and `tool_choice` of the request."""
    path = "function_call" if body.get("tool_choice") is None else "tool_choice"
    choice, allowed = _choice(body.get(path), path)
    found = [
        (function, here)
        for function, here in _functions(body, notes)
        if allowed is None or function["name"] in allowed
    ]
    if not found:
        if choice == "REQUIRED":
            _nothing_to_choose(body, path, notes)
        return {}
    if body.get("parallel_tool_calls") is False and choice != "NONE":
        notes.no_place("parallel_tool_calls")
    if choice is not None and not model.tool_choice:
        notes.no_place(path)
        choice = None
    strict = _are_strict(found, notes)
    made: Part = {"tools": [_tool(function, here, strict=strict) for function, here in found]}
    return made | ({"strict_tools": True} if strict else {}) | ({"tool_choice": choice} if choice else {})


def _functions(body: dict[str, Any], notes: Notes) -> list[tuple[dict[str, Any], str]]:
    """The functions that can be called, each with its path."""
    found = list[tuple[Any, str]]()
    for number, tool in enumerate(list_of(body.get("tools") or [], "tools")):
        path = f"tools[{number}]"
        if object_of(tool, path).get("type") != "function":
            text_of(tool.get("type"), f"{path}.type")
            notes.no_place(f"{path}.type")  # its calls could not be told from a function's in the answer
            continue
        notes.leave_hints(tool)
        notes.only(tool, ("type", "function", *HINTS), path)
        found.append((tool.get("function"), f"{path}.function"))
    functions = list_of(body.get("functions") or [], "functions")
    found += [(function, f"functions[{number}]") for number, function in enumerate(functions)]
    for function, path in found:
        notes.only(object_of(function, path), _FUNCTION, path)
        notes.leave_hints(function)
        named(function.get("name"), f"{path}.name")
    return found


def _are_strict(found: list[tuple[dict[str, Any], str]], notes: Notes) -> bool:
    """Whether calls must hold to their schemas: at Cohere those of all tools do, or none."""
    asked = [path for function, path in found if function.get("strict")]
    if not asked:
        return False
    if all(can_be_held_to(_parameters(function, path)) for function, path in found):
        return True
    for path in asked:
        notes.no_place(f"{path}.strict")
    return False


def _parameters(function: dict[str, Any], path: str) -> dict[str, Any]:
    given = object_of(function.get("parameters") or {}, f"{path}.parameters")
    return {"type": "object", **(given or {"properties": {}})}


def _tool(function: dict[str, Any], path: str, *, strict: bool) -> Part:
    made: Part = {"name": function["name"]}
    if function.get("description") is not None:
        made["description"] = text_of(function["description"], f"{path}.description")
    parameters = _parameters(function, path)
    return {"type": "function", "function": made | {"parameters": constrained(parameters) if strict else parameters}}


def _nothing_to_choose(body: dict[str, Any], path: str, notes: Notes) -> None:
    if body.get("tools") or body.get("functions"):
        notes.no_place(path)  # what it chooses has no place either
        return
    raise BadRequest(f"'{path}' asks for a tool, but the request has none.", param=path, code="invalid_value")


def _choice(choice: Any, path: str) -> _Choice:
    if choice is None:
        return None, None
    if isinstance(choice, str):
        return _MODES[checked_kind(choice, path, tuple(_MODES))], None
    kind = object_of(choice, path).get("type", "function")
    if path == "function_call":
        return _one(named(choice.get("name"), f"{path}.name"))
    if kind == "allowed_tools":
        return _allowed(object_of(choice.get("allowed_tools"), f"{path}.allowed_tools"), f"{path}.allowed_tools")
    if kind not in ("function", "custom"):
        raise not_one_of(kind, f"{path}.type", ("function", "custom", "allowed_tools"))
    return _one(_name_in(choice, kind, path))


def _one(name: str) -> _Choice:
    return "REQUIRED", frozenset({name})


def _allowed(choice: dict[str, Any], path: str) -> _Choice:
    mode = checked_kind(choice.get("mode"), f"{path}.mode", ("auto", "required"))
    names = set[str]()
    for number, tool in enumerate(list_of(choice.get("tools"), f"{path}.tools")):
        here = f"{path}.tools[{number}]"
        kind = checked_kind(object_of(tool, here).get("type"), f"{here}.type", ("function", "custom"))
        names.add(_name_in(tool, kind, here))
    return _MODES[mode], frozenset(names)


def _name_in(holder: dict[str, Any], kind: str, path: str) -> str:
    return named(object_of(holder.get(kind), f"{path}.{kind}").get("name"), f"{path}.{kind}.name")

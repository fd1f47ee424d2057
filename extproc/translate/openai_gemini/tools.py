"""Tools and the choice among them: OpenAI's functions as Gemini's function declarations."""

from typing import Any

from extproc.refusal import BadRequest
from extproc.translate.chat_notes import HINTS, Notes
from extproc.translate.openai_anthropic.parts import checked_kind
from extproc.translate.openai_gemini.models import Abilities
from extproc.translate.openai_gemini.parts import Part
from extproc.translate.openai_gemini.schema import constrained
from extproc.translate.walk import list_of, named, not_one_of, object_of, text_of

_MODES = {"none": "NONE", "auto": "AUTO", "required": "ANY"}
_FUNCTION = ("name", "description", "parameters", "strict", *HINTS)


def tools_of(body: dict[str, Any], model: Abilities, notes: Notes) -> Part:
    """The members `tools` and `toolConfig` of the request."""
    functions, strict = _functions(body, model, notes)
    path = "function_call" if body.get("tool_choice") is None else "tool_choice"
    choice, allowed = _choice(body.get(path), path)
    if allowed is not None:
        functions = [function for function in functions if function["name"] in allowed]
    if not functions:
        if choice.get("mode") == "ANY":
            _nothing_to_choose(body, path, notes)
        return {}
    if body.get("parallel_tool_calls") is False and choice.get("mode") != "NONE":
        notes.no_place("parallel_tool_calls")
    if strict and choice.get("mode", "AUTO") == "AUTO":
        choice = {"mode": "VALIDATED"}
    made: Part = {"tools": [{"functionDeclarations": functions}]}
    return made | ({"toolConfig": {"functionCallingConfig": choice}} if choice else {})


def _functions(body: dict[str, Any], model: Abilities, notes: Notes) -> tuple[list[Part], bool]:
    """The declarations, and whether calls must hold to one's schema."""
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
    made = [_declaration(function, path, notes) for function, path in found]
    strict = [path for function, path in found if function.get("strict")]
    for path in [] if model.validated else strict:
        notes.no_place(f"{path}.strict")
    return made, model.validated and bool(strict)


def _declaration(function: Any, path: str, notes: Notes) -> Part:
    notes.only(object_of(function, path), _FUNCTION, path)
    notes.leave_hints(function)
    made: Part = {"name": named(function.get("name"), f"{path}.name")}
    if function.get("description") is not None:
        made["description"] = text_of(function["description"], f"{path}.description")
    if parameters := object_of(function.get("parameters") or {}, f"{path}.parameters"):
        made["parametersJsonSchema"] = constrained({"type": "object", **parameters})
    return made


def _nothing_to_choose(body: dict[str, Any], path: str, notes: Notes) -> None:
    if body.get("tools") or body.get("functions"):
        notes.no_place(path)  # what it chooses has no place either
        return
    raise BadRequest(f"'{path}' asks for a tool, but the request has none.", param=path, code="invalid_value")


def _choice(choice: Any, path: str) -> tuple[Part, frozenset[str] | None]:
    """Gemini's functionCallingConfig, and which tools are allowed if not all are."""
    if choice is None:
        return {}, None
    if isinstance(choice, str):
        return {"mode": _MODES[checked_kind(choice, path, tuple(_MODES))]}, None
    kind = object_of(choice, path).get("type", "function")
    if path == "function_call":
        return _one(named(choice.get("name"), f"{path}.name"))
    if kind == "allowed_tools":
        return _allowed(object_of(choice.get("allowed_tools"), f"{path}.allowed_tools"), f"{path}.allowed_tools")
    if kind not in ("function", "custom"):
        raise not_one_of(kind, f"{path}.type", ("function", "custom", "allowed_tools"))
    return _one(_name_in(choice, kind, path))


def _one(name: str) -> tuple[Part, frozenset[str] | None]:
    return {"mode": "ANY", "allowedFunctionNames": [name]}, None


def _allowed(choice: dict[str, Any], path: str) -> tuple[Part, frozenset[str]]:
    mode = checked_kind(choice.get("mode"), f"{path}.mode", ("auto", "required"))
    names = set[str]()
    for number, tool in enumerate(list_of(choice.get("tools"), f"{path}.tools")):
        here = f"{path}.tools[{number}]"
        kind = checked_kind(object_of(tool, here).get("type"), f"{here}.type", ("function", "custom"))
        names.add(_name_in(tool, kind, here))
    return {"mode": _MODES[mode]}, frozenset(names)


def _name_in(holder: dict[str, Any], kind: str, path: str) -> str:
    return named(object_of(holder.get(kind), f"{path}.{kind}").get("name"), f"{path}.{kind}.name")

"""Tools and the choice among them; deprecated functions are tools of which one may be called at a time."""

from typing import Any

from extproc.refusal import BadRequest
from extproc.translate.openai_anthropic.models import Abilities
from extproc.translate.openai_anthropic.parts import Block, checked_kind, hinted
from extproc.translate.openai_anthropic.schema import constrained
from extproc.translate.walk import Walk, list_of, named, not_one_of, object_of, text_of

_MODES = {"none": "none", "auto": "auto", "required": "any"}
_FUNCTION = ("name", "description", "parameters", "strict", "cache_control")


def tools_of(body: dict[str, Any], called: dict[str, None], model: Abilities, walk: Walk) -> Block:
    """The members `tools` and `tool_choice` of the request. `called`: the tools in the conversation."""
    tools = _functions(body, walk)
    choice, allowed = _choice(body, model, walk)
    if allowed is not None:
        tools = [tool for tool in tools if tool["name"] in allowed]
    if not tools:
        if choice.get("type") in ("any", "tool"):
            _nothing_to_choose(body, walk)
        # Anthropic refuses calls and results in the conversation unless it knows of tools.
        known = [{"name": name, "input_schema": {"type": "object"}} for name in called]
        return {"tools": known, "tool_choice": {"type": "none"}} if known else {}
    if _one_at_a_time(body) and choice.get("type") != "none":
        choice = {"type": "auto", **choice, "disable_parallel_tool_use": True}
    return {"tools": tools, "tool_choice": choice} if choice else {"tools": tools}


def forces(members: Block) -> bool:
    """Whether the model must call a tool."""
    return members.get("tool_choice", {}).get("type") in ("any", "tool")


def _functions(body: dict[str, Any], walk: Walk) -> list[Block]:
    tools = list[Block]()
    for number, tool in enumerate(list_of(body.get("tools") or [], "tools")):
        path = f"tools[{number}]"
        if object_of(tool, path).get("type") != "function":
            text_of(tool.get("type"), f"{path}.type")
            walk.no_place(f"{path}.type")  # its calls could not be told from a function's in the answer
            continue
        walk.only(tool, ("type", "function", "cache_control"), path)
        tools.append(hinted(_tool(tool.get("function"), f"{path}.function", walk), tool, path, walk))
    for number, function in enumerate(list_of(body.get("functions") or [], "functions")):
        tools.append(_tool(function, f"functions[{number}]", walk))
    return tools


def _tool(function: Any, path: str, walk: Walk) -> Block:
    walk.only(object_of(function, path), _FUNCTION, path)
    tool: Block = {"name": named(function.get("name"), f"{path}.name")}
    if function.get("description") is not None:
        tool["description"] = text_of(function["description"], f"{path}.description")
    parameters = object_of(function.get("parameters") or {}, f"{path}.parameters")
    tool["input_schema"] = {"type": "object", **parameters} if parameters else {"type": "object", "properties": {}}
    if function.get("strict"):
        tool["input_schema"] = constrained(tool["input_schema"])
        tool["strict"] = True
    return hinted(tool, function, path, walk)


def _nothing_to_choose(body: dict[str, Any], walk: Walk) -> None:
    path = _choice_path(body)
    if body.get("tools") or body.get("functions"):
        walk.no_place(path)  # what it chooses has no place either
        return
    raise BadRequest(f"'{path}' asks for a tool, but the request has none.", param=path, code="invalid_value")


def _choice_path(body: dict[str, Any]) -> str:
    return "function_call" if body.get("tool_choice") is None else "tool_choice"


def _one_at_a_time(body: dict[str, Any]) -> bool:
    return body.get("parallel_tool_calls") is False or bool(body.get("functions"))


def _choice(body: dict[str, Any], model: Abilities, walk: Walk) -> tuple[Block, frozenset[str] | None]:
    """Anthropic's tool_choice, and which tools are allowed if not all are."""
    path = _choice_path(body)
    choice = body.get(path)
    if choice is None:
        return {}, None
    made, allowed = _read(choice, path)
    if made["type"] in ("any", "tool") and not model.forced_tools:
        walk.no_place(path)
        return {}, allowed
    return made, allowed


def _read(choice: Any, path: str) -> tuple[Block, frozenset[str] | None]:
    if isinstance(choice, str):
        return {"type": _MODES[checked_kind(choice, path, tuple(_MODES))]}, None
    kind = object_of(choice, path).get("type", "function")
    if path == "function_call":
        return {"type": "tool", "name": named(choice.get("name"), f"{path}.name")}, None
    if kind == "allowed_tools":
        return _allowed(object_of(choice.get("allowed_tools"), f"{path}.allowed_tools"), f"{path}.allowed_tools")
    if kind not in ("function", "custom"):
        raise not_one_of(kind, f"{path}.type", ("function", "custom", "allowed_tools"))
    return {"type": "tool", "name": _name_in(choice, kind, path)}, None


def _allowed(choice: dict[str, Any], path: str) -> tuple[Block, frozenset[str]]:
    mode = checked_kind(choice.get("mode"), f"{path}.mode", ("auto", "required"))
    names = set[str]()
    for number, tool in enumerate(list_of(choice.get("tools"), f"{path}.tools")):
        here = f"{path}.tools[{number}]"
        kind = checked_kind(object_of(tool, here).get("type"), f"{here}.type", ("function", "custom"))
        names.add(_name_in(tool, kind, here))
    return {"type": _MODES[mode]}, frozenset(names)


def _name_in(holder: dict[str, Any], kind: str, path: str) -> str:
    return named(object_of(holder.get(kind), f"{path}.{kind}").get("name"), f"{path}.{kind}.name")

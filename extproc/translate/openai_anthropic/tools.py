"""Tools and the choice among them; deprecated functions are tools of which one may be called at a time."""

from typing import Any

from extproc.translate.chat_notes import Notes
from extproc.translate.chat_tools import Choice, Function, choice_of, choose_nothing, functions_of
from extproc.translate.openai_anthropic.models import Abilities
from extproc.translate.openai_anthropic.parts import Block, hinted
from extproc.translate.openai_anthropic.schema import constrained

_MODES = {"none": "none", "auto": "auto", "required": "any"}


def tools_of(body: dict[str, Any], called: dict[str, None], model: Abilities, notes: Notes) -> Block:
    """The members `tools` and `tool_choice` of the request. `called`: the tools in the conversation."""
    tools = [_tool(function, notes) for function in functions_of(body, notes, ("cache_control",))]
    said = choice_of(body)
    choice = _choice(said, model, notes)
    tools = [tool for tool in tools if said.allows(tool["name"])]
    if not tools:
        if choice.get("type") in ("any", "tool"):
            choose_nothing(body, said, notes)
        # Anthropic refuses calls and results in the conversation unless it knows of tools.
        known = [{"name": name, "input_schema": {"type": "object"}} for name in called]
        return {"tools": known, "tool_choice": {"type": "none"}} if known else {}
    if _one_at_a_time(body) and choice.get("type") != "none":
        choice = {"type": "auto", **choice, "disable_parallel_tool_use": True}
    return {"tools": tools, "tool_choice": choice} if choice else {"tools": tools}


def forces(members: Block) -> bool:
    """Whether the model must call a tool."""
    return members.get("tool_choice", {}).get("type") in ("any", "tool")


def _tool(function: Function, notes: Notes) -> Block:
    tool: Block = {"name": function.name}
    if (description := function.description) is not None:
        tool["description"] = description
    parameters = function.parameters
    tool["input_schema"] = {"type": "object", **parameters} if parameters else {"type": "object", "properties": {}}
    if function.given.get("strict"):
        tool["input_schema"] = constrained(tool["input_schema"])
        tool["strict"] = True
    tool = hinted(tool, function.given, function.path, notes)
    return hinted(tool, function.holder, function.holder_path, notes)


def _one_at_a_time(body: dict[str, Any]) -> bool:
    return body.get("parallel_tool_calls") is False or bool(body.get("functions"))


def _choice(said: Choice, model: Abilities, notes: Notes) -> Block:
    """Anthropic's tool_choice."""
    if said.mode is None:
        return {}
    if said.forces and not model.forced_tools:
        notes.no_place(said.path)
        return {}
    return {"type": _MODES[said.mode]} if said.name is None else {"type": "tool", "name": said.name}

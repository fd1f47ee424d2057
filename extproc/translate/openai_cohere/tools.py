"""Tools and the choice among them: OpenAI's functions as Cohere's tools."""

from typing import Any

from extproc.translate.chat_notes import HINTS, Notes
from extproc.translate.chat_tools import Choice, Function, choice_of, choose_nothing, functions_of
from extproc.translate.openai_cohere.models import Abilities
from extproc.translate.openai_cohere.parts import Part
from extproc.translate.openai_cohere.schema import can_be_held_to, constrained

_MODES = {"none": "NONE", "auto": None, "required": "REQUIRED"}


def tools_of(body: dict[str, Any], model: Abilities, notes: Notes) -> Part:
    """The members `tools`, `strict_tools` and `tool_choice` of the request."""
    choice = choice_of(body)
    found = [function for function in _functions(body, notes) if _is_sent(function, choice)]
    if not found:
        choose_nothing(body, choice, notes)
        return {}
    if body.get("parallel_tool_calls") is False and choice.mode != "none":
        notes.no_place("parallel_tool_calls")
    word = _MODES[choice.mode or "auto"]
    if word is not None and not model.tool_choice:
        notes.no_place(choice.path)
        word = None
    strict = _are_strict(found, notes)
    made: Part = {"tools": [_tool(function, strict=strict) for function in found]}
    return made | ({"strict_tools": True} if strict else {}) | ({"tool_choice": word} if word else {})


def _is_sent(function: Function, choice: Choice) -> bool:
    """Cohere has no word for the one that must be called, but to be told of no other."""
    return choice.allows(function.name) and choice.name in (None, function.name)


def _functions(body: dict[str, Any], notes: Notes) -> list[Function]:
    """The functions that can be called."""
    found = functions_of(body, notes, HINTS)
    for function in found:
        notes.leave_hints(function.holder)
        notes.leave_hints(function.given)
    return found


def _are_strict(found: list[Function], notes: Notes) -> bool:
    """Whether calls must hold to their schemas: at Cohere those of all tools do, or none."""
    asked = [function.path for function in found if function.given.get("strict")]
    if not asked:
        return False
    if all(can_be_held_to(_parameters(function)) for function in found):
        return True
    for path in asked:
        notes.no_place(f"{path}.strict")
    return False


def _parameters(function: Function) -> dict[str, Any]:
    return {"type": "object", **(function.parameters or {"properties": {}})}


def _tool(function: Function, *, strict: bool) -> Part:
    made: Part = {"name": function.name}
    if (description := function.description) is not None:
        made["description"] = description
    parameters = _parameters(function)
    return {"type": "function", "function": made | {"parameters": constrained(parameters) if strict else parameters}}

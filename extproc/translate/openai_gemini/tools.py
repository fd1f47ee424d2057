"""Tools and the choice among them: OpenAI's functions as Gemini's function declarations."""

from typing import Any

from extproc.translate.chat_notes import HINTS, Notes
from extproc.translate.chat_tools import Choice, Function, choice_of, choose_nothing, functions_of
from extproc.translate.openai_gemini.models import Abilities
from extproc.translate.openai_gemini.parts import Part
from extproc.translate.openai_gemini.schema import constrained

_MODES = {"none": "NONE", "auto": "AUTO", "required": "ANY"}


def tools_of(body: dict[str, Any], model: Abilities, notes: Notes) -> Part:
    """The members `tools` and `toolConfig` of the request."""
    found, choice = functions_of(body, notes, HINTS), choice_of(body)
    declared = [_declaration(function, notes) for function in found]
    strict = _strict(found, model, notes)
    functions = [function for function in declared if choice.allows(function["name"])]
    if not functions:
        choose_nothing(body, choice, notes)
        return {}
    if body.get("parallel_tool_calls") is False and choice.mode != "none":
        notes.no_place("parallel_tool_calls")
    made: Part = {"tools": [{"functionDeclarations": functions}]}
    config = _config(choice, strict=strict)
    return made | ({"toolConfig": {"functionCallingConfig": config}} if config else {})


def _strict(functions: list[Function], model: Abilities, notes: Notes) -> bool:
    """Whether calls must hold to one's schema."""
    strict = [function.path for function in functions if function.given.get("strict")]
    for path in [] if model.validated else strict:
        notes.no_place(f"{path}.strict")
    return model.validated and bool(strict)


def _config(choice: Choice, *, strict: bool) -> Part:
    """Gemini's functionCallingConfig."""
    if strict and choice.mode in (None, "auto"):
        return {"mode": "VALIDATED"}
    if choice.name is not None:
        return {"mode": "ANY", "allowedFunctionNames": [choice.name]}
    return {"mode": _MODES[choice.mode]} if choice.mode else {}


def _declaration(function: Function, notes: Notes) -> Part:
    notes.leave_hints(function.holder)
    notes.leave_hints(function.given)
    made: Part = {"name": function.name}
    if (description := function.description) is not None:
        made["description"] = description
    if parameters := function.parameters:
        made["parametersJsonSchema"] = constrained({"type": "object", **parameters})
    return made

"""Tools and the choice among them: Responses' flat functions and custom tools as chat's nested ones."""

from dataclasses import dataclass
from typing import Any

from extproc.refusal import BadRequest
from extproc.translate.responses_openai.content import Json
from extproc.translate.responses_openai.notes import Notes
from extproc.translate.walk import checked_kind, list_of, named, object_of, text_of

_MODES = ("none", "auto", "required")
_FUNCTION = ("type", "name", "description", "parameters", "strict")
_CUSTOM = ("type", "name", "description", "format")
# Members that ask for nothing with these values.
_NEUTRAL: dict[str, tuple[Any, ...]] = {"allowed_callers": (["direct"],), "defer_loading": (False,)}


@dataclass(slots=True)
class Tools:
    """The members of the chat completion; and the tools and the choice, as the answer repeats them."""

    made: Json
    echo: list[Json]
    choice: Any = "auto"


def tools_of(body: Json, notes: Notes) -> Tools:
    """The tools that chat has, and the choice among these."""
    tools, echo = list[Json](), list[Json]()
    for number, tool in enumerate(list_of(body.get("tools") or [], "tools")):
        path = f"tools[{number}]"
        kind = text_of(object_of(tool, path).get("type"), f"{path}.type")
        if kind not in ("function", "custom"):
            notes.no_place(f"{path}.type")
            continue
        here = f"tools[{len(tools)}]"
        notes.origins |= {here: path, f"{here}.{kind}": path, f"{here}.custom.format.grammar": f"{path}.format"}
        made, again = (_function if kind == "function" else _custom)(tool, path, notes)
        tools.append({"type": kind, kind: made})
        echo.append({"type": kind, **again})
    choice = _choice(body.get("tool_choice"), tools, notes)
    if not tools:  # OpenAI refuses an empty list, and a choice among no tools
        _refuse_choice(choice, body, notes)
        return Tools({}, [])
    found: Json = {"tools": tools}
    if choice is not None:
        found["tool_choice"] = choice
    if body.get("parallel_tool_calls") is not None:
        found["parallel_tool_calls"] = body["parallel_tool_calls"]
    return Tools(found, echo, "auto" if choice is None else body["tool_choice"])


def _function(tool: Json, path: str, notes: Notes) -> tuple[Json, Json]:
    _look(tool, _FUNCTION, path, notes)
    made: Json = {"name": named(tool.get("name"), f"{path}.name")}
    if tool.get("description") is not None:
        made["description"] = text_of(tool["description"], f"{path}.description")
    if tool.get("parameters") is not None:
        made["parameters"] = object_of(tool["parameters"], f"{path}.parameters")
    if tool.get("strict") is not None:
        made["strict"] = tool["strict"]
    return made, {"parameters": None, "strict": False, **made}


def _custom(tool: Json, path: str, notes: Notes) -> tuple[Json, Json]:
    _look(tool, _CUSTOM, path, notes)
    made: Json = {"name": named(tool.get("name"), f"{path}.name")}
    if tool.get("description") is not None:
        made["description"] = text_of(tool["description"], f"{path}.description")
    if tool.get("format") is None:
        return made, made
    path = f"{path}.format"
    form = object_of(tool["format"], path)
    kind = checked_kind(form.get("type"), f"{path}.type", ("text", "grammar"))
    notes.only(form, ("type",) if kind == "text" else ("type", "syntax", "definition"), path)
    again = {**made, "format": form}
    if kind == "grammar":
        form = {"type": kind, "grammar": {name: form[name] for name in ("syntax", "definition") if name in form}}
    return {**made, "format": form}, again


def _look(tool: Json, known: tuple[str, ...], path: str, notes: Notes) -> None:
    asked = {name: value for name, value in tool.items() if value not in _NEUTRAL.get(name, ())}
    notes.only(asked, known, path)


def _choice(choice: Any, tools: list[Json], notes: Notes) -> Any:
    """Chat's tool_choice; None where there is none, or it chooses what is not there."""
    path = "tool_choice"
    if choice is None:
        return None
    if isinstance(choice, str):
        return checked_kind(choice, path, _MODES)
    kind = text_of(object_of(choice, path).get("type"), f"{path}.type")
    if kind == "allowed_tools":
        return _allowed(choice, notes)
    if kind not in ("function", "custom"):
        notes.no_place(path)
        return None
    name = named(choice.get("name"), f"{path}.name")
    notes.origins[f"{path}.{kind}"] = path
    if tools and not any(tool["type"] == kind and tool[kind]["name"] == name for tool in tools):
        raise BadRequest(
            f"'{path}.name' is '{name[:100]}', which is none of the 'tools'.",
            param=f"{path}.name",
            code="invalid_value",
        )
    return {"type": kind, kind: {"name": name}}


def _allowed(choice: Json, notes: Notes) -> Json | None:
    path = "tool_choice"
    notes.only(choice, ("type", "mode", "tools"), path)
    mode = checked_kind(choice.get("mode"), f"{path}.mode", ("auto", "required"))
    tools = list[Json]()
    for number, tool in enumerate(list_of(choice.get("tools"), f"{path}.tools")):
        here = f"{path}.tools[{number}]"
        kind = text_of(object_of(tool, here).get("type"), f"{here}.type")
        if kind not in ("function", "custom"):
            notes.no_place(f"{here}.type")
            continue
        nested = f"{path}.allowed_tools.tools[{len(tools)}]"
        notes.origins |= {nested: here, f"{nested}.{kind}": here}
        tools.append({"type": kind, kind: {"name": named(tool.get("name"), f"{here}.name")}})
    notes.origins[f"{path}.allowed_tools"] = path
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}} if tools else None


def _refuse_choice(choice: Any, body: Json, notes: Notes) -> None:
    """A choice among no tools: the client's mistake, unless it is we who have left the tools out."""
    if choice in (None, "auto", "none"):
        return
    if not body.get("tools"):
        raise BadRequest(
            "'tool_choice' asks for a tool, but the request has none.", param="tool_choice", code="invalid_value"
        )
    notes.no_place("tool_choice")

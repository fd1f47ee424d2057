"""Tools and the choice among them: OpenAI's functions as Converse's tool specifications."""

from typing import Any

from extproc.refusal import BadRequest
from extproc.translate.chat_notes import HINTS, Notes
from extproc.translate.openai_anthropic.parts import checked_kind
from extproc.translate.openai_anthropic.schema import constrained
from extproc.translate.openai_bedrock.conversation import Conversation
from extproc.translate.openai_bedrock.models import Model
from extproc.translate.openai_bedrock.parts import Block
from extproc.translate.walk import list_of, named, not_one_of, object_of, text_of

_FUNCTION = ("name", "description", "parameters", "strict", *HINTS)
_MODES = {"none": "none", "auto": "auto", "required": "any"}


def tools_of(body: dict[str, Any], talk: Conversation, model: Model, notes: Notes) -> Block:
    """The member `toolConfig` of the request."""
    found = _functions(body, talk, notes)
    path = "function_call" if body.get("tool_choice") is None else "tool_choice"
    choice, allowed = _choice(body.get(path), path)
    tools = [block for name, blocks in found if allowed is None or name in allowed for block in blocks]
    if not tools:
        if "any" in choice or "tool" in choice:
            _nothing_to_choose(body, path, notes)
        return _known(talk)
    if "none" in choice:  # which Converse has no word for
        if not talk.called:
            return {}
        notes.no_place(path)
        choice = {}
    if ("any" in choice or "tool" in choice) and not model.claude.forced_tools:
        notes.no_place(path)
        choice = {}
    if body.get("parallel_tool_calls") is False:
        notes.no_place("parallel_tool_calls")
    return {"toolConfig": {"tools": tools, **({"toolChoice": choice} if choice else {})}}


def forces(members: Block) -> bool:
    """Whether the model must call a tool."""
    choice = members.get("toolConfig", {}).get("toolChoice", {})
    return "any" in choice or "tool" in choice


def _known(talk: Conversation) -> Block:
    """Converse refuses calls and results in the conversation unless it knows of tools."""
    tools = [{"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}} for name in talk.called]
    return {"toolConfig": {"tools": tools}} if tools else {}


def _functions(body: dict[str, Any], talk: Conversation, notes: Notes) -> list[tuple[str, list[Block]]]:
    """Each tool's name, and its specification with the point to cache up to behind it."""
    tools = list[tuple[str, list[Block]]]()
    for number, tool in enumerate(list_of(body.get("tools") or [], "tools")):
        path = f"tools[{number}]"
        if object_of(tool, path).get("type") != "function":
            text_of(tool.get("type"), f"{path}.type")
            notes.no_place(f"{path}.type")  # its calls could not be told from a function's in the answer
            continue
        notes.only(tool, ("type", "function", *HINTS), path)
        spec = _specification(tool.get("function"), f"{path}.function", notes)
        holder = tool if any(tool.get(name) is not None for name in HINTS) else tool["function"]
        point = talk.parts.cache_point(holder, path, of_tools=True)
        tools.append((spec["name"], [{"toolSpec": spec}, *point]))
    for number, function in enumerate(list_of(body.get("functions") or [], "functions")):
        spec = _specification(function, f"functions[{number}]", notes)
        tools.append((spec["name"], [{"toolSpec": spec}]))
    return tools


def _specification(function: Any, path: str, notes: Notes) -> Block:
    notes.only(object_of(function, path), _FUNCTION, path)
    made: Block = {"name": named(function.get("name"), f"{path}.name")}
    if function.get("description") is not None and (said := text_of(function["description"], f"{path}.description")):
        made["description"] = said
    parameters = object_of(function.get("parameters") or {}, f"{path}.parameters")
    schema: Block = {"type": "object", **parameters} if parameters else {"type": "object", "properties": {}}
    if function.get("strict"):
        schema, made["strict"] = constrained(schema), True
    return made | {"inputSchema": {"json": schema}}


def _nothing_to_choose(body: dict[str, Any], path: str, notes: Notes) -> None:
    if body.get("tools") or body.get("functions"):
        notes.no_place(path)  # what it chooses has no place either
        return
    raise BadRequest(f"'{path}' asks for a tool, but the request has none.", param=path, code="invalid_value")


def _choice(choice: Any, path: str) -> tuple[Block, frozenset[str] | None]:
    """Converse's toolChoice (and `none`), and which tools are allowed if not all are."""
    if choice is None:
        return {}, None
    if isinstance(choice, str):
        return _mode(checked_kind(choice, path, tuple(_MODES))), None
    kind = object_of(choice, path).get("type", "function")
    if path == "function_call":
        return {"tool": {"name": named(choice.get("name"), f"{path}.name")}}, None
    if kind == "allowed_tools":
        return _allowed(object_of(choice.get("allowed_tools"), f"{path}.allowed_tools"), f"{path}.allowed_tools")
    if kind not in ("function", "custom"):
        raise not_one_of(kind, f"{path}.type", ("function", "custom", "allowed_tools"))
    return {"tool": {"name": _name_in(choice, kind, path)}}, None


def _mode(word: str) -> Block:
    return {_MODES[word]: {}}


def _allowed(choice: dict[str, Any], path: str) -> tuple[Block, frozenset[str]]:
    mode = checked_kind(choice.get("mode"), f"{path}.mode", ("auto", "required"))
    names = set[str]()
    for number, tool in enumerate(list_of(choice.get("tools"), f"{path}.tools")):
        here = f"{path}.tools[{number}]"
        kind = checked_kind(object_of(tool, here).get("type"), f"{here}.type", ("function", "custom"))
        names.add(_name_in(tool, kind, here))
    return _mode(mode), frozenset(names)


def _name_in(holder: dict[str, Any], kind: str, path: str) -> str:
    return named(object_of(holder.get(kind), f"{path}.{kind}").get("name"), f"{path}.{kind}.name")

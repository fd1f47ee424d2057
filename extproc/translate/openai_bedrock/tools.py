"""Tools and the choice among them: OpenAI's functions as Converse's tool specifications."""

from typing import Any

from extproc.translate.chat_notes import HINTS, Notes
from extproc.translate.chat_tools import Choice, Function, choice_of, choose_nothing, functions_of
from extproc.translate.openai_anthropic.schema import constrained
from extproc.translate.openai_bedrock.conversation import Conversation
from extproc.translate.openai_bedrock.models import Model
from extproc.translate.openai_bedrock.parts import Block


def tools_of(body: dict[str, Any], talk: Conversation, model: Model, notes: Notes) -> Block:
    """The member `toolConfig` of the request."""
    found = [_specified(function, talk) for function in functions_of(body, notes, HINTS)]
    choice = choice_of(body)
    tools = [block for name, blocks in found if choice.allows(name) for block in blocks]
    if not tools:
        choose_nothing(body, choice, notes)
        return _known(talk)
    if choice.mode == "none":  # which Converse has no word for
        if not talk.called:
            return {}
        notes.no_place(choice.path)
    if choice.forces and not model.claude.forced_tools:
        notes.no_place(choice.path)
        choice = Choice(choice.path)
    made: Block = {"tools": tools}
    if choice.forces:
        made["toolChoice"] = {"any": {}} if choice.name is None else {"tool": {"name": choice.name}}
    return {"toolConfig": made}


def one_at_a_time(body: dict[str, Any], members: Block, model: Model, notes: Notes) -> Block:
    """The member of `additionalModelRequestFields`, in Anthropic's words. `members`: what `tools_of` has made.

    Its `type` may not be there beside Converse's own choice of tools, and must be without it.
    """
    config, asked = members.get("toolConfig"), body.get("parallel_tool_calls") is False
    if config is None or not ((body.get("tools") and asked) or body.get("functions")):
        return {}
    if not model.calls_one_at_a_time:
        if asked:
            notes.no_place("parallel_tool_calls")
        return {}
    kind = {} if "toolChoice" in config else {"type": "auto"}
    return {"tool_choice": {**kind, "disable_parallel_tool_use": True}}


def forces(members: Block) -> bool:
    """Whether the model must call a tool."""
    choice = members.get("toolConfig", {}).get("toolChoice", {})
    return "any" in choice or "tool" in choice


def _known(talk: Conversation) -> Block:
    """Converse refuses calls and results in the conversation unless it knows of tools."""
    tools = [{"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}} for name in talk.called]
    return {"toolConfig": {"tools": tools}} if tools else {}


def _specified(function: Function, talk: Conversation) -> tuple[str, list[Block]]:
    """A tool's name, and its specification with the point to cache up to behind it."""
    spec = _specification(function)
    on_holder = any(function.holder.get(name) is not None for name in HINTS)
    holder = function.holder if on_holder else function.given
    point = talk.parts.cache_point(holder, function.holder_path, of_tools=True) if function.holder else []
    return spec["name"], [{"toolSpec": spec}, *point]


def _specification(function: Function) -> Block:
    made: Block = {"name": function.name}
    if description := function.description:
        made["description"] = description
    parameters = function.parameters
    schema: Block = {"type": "object", **parameters} if parameters else {"type": "object", "properties": {}}
    if function.given.get("strict"):
        schema, made["strict"] = constrained(schema), True
    return made | {"inputSchema": {"json": schema}}

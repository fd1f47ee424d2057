"""Request bodies of Anthropic's Messages API, checked, and the chat that each of them means. Pure.

An answer is made for the chat, so the same question has the same text, tokens and time in both APIs.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from engines.simulator.bodies import (
    ChatBody,
    Function,
    FunctionName,
    JsonSchema,
    Message,
    NamedToolChoice,
    Part,
    ResponseFormat,
    Tool,
    decoded,
)
from engines.simulator.errors import BodyError
from engines.simulator.faults import NOTHING, Simulate


class Block(msgspec.Struct, frozen=True):
    """A content block: text is read, and what a tool's result says; anything else counts as one token or none."""

    type: str
    text: str | None = None
    content: Any = None
    tool_use_id: str | None = None


class Turn(msgspec.Struct, frozen=True):
    """One message."""

    role: Literal["user", "assistant"]
    content: str | list[Block]


class MessagesTool(msgspec.Struct, frozen=True):
    """An entry of `tools`; Anthropic's own tools have a `type` and no schema."""

    name: str
    description: str | None = None
    input_schema: dict[str, Any] | None = None


class ToolChoice(msgspec.Struct, frozen=True):
    """`tool_choice`; `name` belongs to the type `tool`."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class OutputFormat(msgspec.Struct, frozen=True):
    """The schema of a structured answer."""

    schema: dict[str, Any]
    type: Literal["json_schema"]


class OutputConfig(msgspec.Struct, frozen=True):
    """`output_config`."""

    format: OutputFormat | None = None


class CountTokensBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /v1/messages/count_tokens`."""

    model: str
    messages: Annotated[list[Turn], Meta(min_length=1)]
    system: str | list[Block] | None = None
    tools: list[MessagesTool] | None = None
    tool_choice: ToolChoice | None = None
    simulate: Simulate = NOTHING


class MessagesBody(CountTokensBody, frozen=True, kw_only=True):
    """`POST /v1/messages`."""

    max_tokens: Annotated[int, Meta(ge=1)]
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=0)] | None = None
    output_config: OutputConfig | None = None


_MESSAGES = msgspec.json.Decoder(MessagesBody)
_COUNT_TOKENS = msgspec.json.Decoder(CountTokensBody)


def messages_chat(raw: bytes) -> ChatBody:
    """Decode a request for a message into the chat that it means. Raises `BodyError`."""
    body = decoded(raw, _MESSAGES)
    _check_tool_choice(body)
    choice, output = body.tool_choice, body.output_config
    form = output.format if output else None
    return ChatBody(
        model=body.model,
        messages=_messages(body),
        max_tokens=body.max_tokens,
        stream=body.stream,
        stop=body.stop_sequences,
        tools=[Tool(Function(tool.name, tool.description, tool.input_schema)) for tool in body.tools or ()],
        tool_choice=_chat_choice(choice),
        # Unlike chat's default: one call, unless the client says that it takes several.
        parallel_tool_calls=choice is not None and choice.disable_parallel_tool_use is False,
        response_format=ResponseFormat("json_schema", JsonSchema("output", form.schema)) if form else None,
        simulate=body.simulate,
    )


def counted_chat(raw: bytes) -> tuple[list[Message], Simulate]:
    """Decode a request for a count into the messages to count. Raises `BodyError`."""
    body = decoded(raw, _COUNT_TOKENS)
    _check_tool_choice(body)
    return _messages(body), body.simulate


def _messages(body: CountTokensBody) -> list[Message]:
    system = [Message("system", _content(body.system))] if body.system else []
    return [*system, *(message for turn in body.messages for message in _of_turn(turn))]


def _of_turn(turn: Turn) -> list[Message]:
    """A turn as chat has it: each tool's result is a message of its own, before what the user adds."""
    if isinstance(turn.content, str):
        return [Message(turn.role, turn.content)]
    results = [block for block in turn.content if block.type == "tool_result"]
    rest = [block for block in turn.content if block.type != "tool_result"]
    found = [Message("tool", _result(block), tool_call_id=block.tool_use_id) for block in results]
    return [*found, Message(turn.role, _content(rest))] if rest or not results else found


def _content(content: str | list[Block]) -> str | list[Part]:
    if isinstance(content, str):
        return content
    # Chat's calls and reasoning stand outside its content and count nothing.
    kept = [block for block in content if block.type not in ("tool_use", "thinking", "redacted_thinking")]
    return [Part(block.type, block.text) for block in kept]


def _result(block: Block) -> str | list[Part]:
    try:
        return _content(msgspec.convert(block.content or "", str | list[Block]))
    except msgspec.ValidationError as error:
        raise BodyError(f"`content` of a tool_result: {error}", "messages") from error


def _chat_choice(choice: ToolChoice | None) -> Literal["none", "auto", "required"] | NamedToolChoice | None:
    if choice is None or choice.type == "auto":
        return None
    if choice.type == "tool":
        return NamedToolChoice(FunctionName(choice.name or ""))
    return "required" if choice.type == "any" else "none"


def _check_tool_choice(body: CountTokensBody) -> None:
    choice, names = body.tool_choice, [tool.name for tool in body.tools or ()]
    if choice is None or choice.type in ("auto", "none"):
        return
    if not names:
        raise BodyError("`tool_choice` is only allowed with `tools`", "tool_choice")
    if choice.type == "tool" and choice.name not in names:
        raise BodyError(f"`tool_choice` names {choice.name!r}; `tools` has {', '.join(names)}", "tool_choice")

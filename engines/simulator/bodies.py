"""Request bodies: the fields the simulator knows, checked. Unknown fields are ignored, as vLLM does. Pure."""

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from engines.simulator.errors import BodyError, body_error_of
from engines.simulator.faults import NOTHING, Simulate

Body = TypeVar("Body")


class Part(msgspec.Struct, frozen=True):
    """One part of a message's content; only text is read."""

    type: str
    text: str | None = None


class Message(msgspec.Struct, frozen=True):
    """One message of a chat."""

    role: str
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None

    @property
    def texts(self) -> list[str]:
        """The texts of the content, in order."""
        if isinstance(self.content, str):
            return [self.content]
        return [part.text for part in self.content or () if part.text is not None]


class Function(msgspec.Struct, frozen=True):
    """A function that may be called: `parameters` is a JSON schema."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(msgspec.Struct, frozen=True):
    """An entry of `tools`."""

    function: Function
    type: Literal["function"] = "function"


class FunctionName(msgspec.Struct, frozen=True):
    """The function named by a forced choice."""

    name: str


class NamedToolChoice(msgspec.Struct, frozen=True):
    """A `tool_choice` that forces one function."""

    function: FunctionName
    type: Literal["function"] = "function"


class JsonSchema(msgspec.Struct, frozen=True):
    """The schema of a structured answer."""

    name: str
    schema: dict[str, Any] = {}
    strict: bool | None = None


class ResponseFormat(msgspec.Struct, frozen=True):
    """`response_format`."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class StreamOptions(msgspec.Struct, frozen=True):
    """`stream_options`, with vLLM's `continuous_usage_stats`."""

    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """What chat and text completions have in common."""

    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    logit_bias: dict[str, float] | None = None
    user: str | None = None
    simulate: Simulate = NOTHING

    @property
    def stops(self) -> list[str]:
        """The stop sequences that can match."""
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return [stop for stop in stops if stop]

    @property
    def wants_stream(self) -> bool:
        """Whether the answer is a stream of events."""
        return bool(self.stream) and not self.simulate.plain_json


class ChatBody(Generation, frozen=True, kw_only=True):
    """`POST /v1/chat/completions`."""

    messages: Annotated[list[Message], Meta(min_length=1)]
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    store: bool | None = None
    metadata: dict[str, str] | None = None


class CompletionBody(Generation, frozen=True, kw_only=True):
    """`POST /v1/completions`."""

    prompt: str | list[str | int | list[int]]
    max_tokens: Annotated[int, Meta(ge=0)] | None = None
    logprobs: int | None = None
    echo: bool | None = None
    suffix: str | None = None


class EmbeddingsBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /v1/embeddings`."""

    input: str | list[str | int | list[int]]
    model: str | None = None
    dimensions: Annotated[int, Meta(ge=1, le=65536)] | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: str | None = None
    simulate: Simulate = NOTHING


_CHAT = msgspec.json.Decoder(ChatBody)
_COMPLETION = msgspec.json.Decoder(CompletionBody)
_EMBEDDINGS = msgspec.json.Decoder(EmbeddingsBody)


def chat_body(raw: bytes) -> ChatBody:
    """Decode a chat request. Raises `BodyError`."""
    body = decoded(raw, _CHAT)
    _check_stream_options(body)
    _check_tools(body)
    form = body.response_format
    if form is not None and form.type == "json_schema" and form.json_schema is None:
        raise BodyError(
            "`response_format.json_schema` is required with type `json_schema`", "response_format.json_schema"
        )
    return body


def completion_body(raw: bytes) -> CompletionBody:
    """Decode a text completion request. Raises `BodyError`."""
    body = decoded(raw, _COMPLETION)
    _check_stream_options(body)
    return body


def embeddings_body(raw: bytes) -> EmbeddingsBody:
    """Decode an embeddings request. Raises `BodyError`."""
    return decoded(raw, _EMBEDDINGS)


def prompts_of(value: str | list[str | int | list[int]], param: str) -> list[str]:
    """Return one text per prompt; token ids become the text `1 2 3`. Raises `BodyError`, naming `param`."""
    if isinstance(value, str):
        return [value]
    kinds = {type(item) for item in value}
    if len(kinds) != 1:
        found = "an empty list" if not kinds else "a mixed list"
        raise BodyError(f"`{param}` is {found}; allowed: text, texts, token ids, lists of token ids", param)
    if kinds == {int}:
        return [" ".join(map(str, value))]
    return [
        item if isinstance(item, str) else " ".join(map(str, item)) for item in value if not isinstance(item, int)
    ]


def decoded(raw: bytes, decoder: msgspec.json.Decoder[Body]) -> Body:
    """Decode a body. Raises `BodyError`."""
    try:
        return decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise body_error_of(error) from error


def _check_stream_options(body: Generation) -> None:
    if body.stream_options is not None and not body.stream:
        # vLLM and OpenAI both refuse this; a gateway that adds the field to the wrong request must notice
        raise BodyError("`stream_options` is only allowed with `stream: true`", "stream_options")


def _check_tools(body: ChatBody) -> None:
    names = [tool.function.name for tool in body.tools or ()]
    choice = body.tool_choice
    if choice in (None, "none", "auto"):
        return
    if not names:
        raise BodyError("`tool_choice` is only allowed with `tools`", "tool_choice")
    if isinstance(choice, NamedToolChoice) and choice.function.name not in names:
        raise BodyError(
            f"`tool_choice` names {choice.function.name!r}; `tools` has {', '.join(names)}", "tool_choice"
        )

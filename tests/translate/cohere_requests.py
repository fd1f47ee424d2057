"""Cohere's API as it is documented: what a request may say, and what an answer says. Nothing else fits.

By the reference of v2 chat, embed and rerank (https://docs.cohere.com/reference/chat, /embed, /rerank; names and
types as in Cohere's SDK 7.3.1, whose types take any value where these take a closed list), the ranges in the
descriptions there, the limits of https://docs.cohere.com/docs/structured-outputs, and what
https://docs.cohere.com/reference/errors refuses.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Text = Annotated[str, StringConstraints(min_length=1)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class TextPart(Strict):
    type: Literal["text"]
    text: Text


class ImageUrl(Strict):
    url: Annotated[str, StringConstraints(pattern=r"^(?i:https?://|data:image/(?:jpe?g|png|gif|webp)[;,])")]
    detail: Literal["auto", "low", "high"] | None = None


class ImagePart(Strict):
    type: Literal["image_url"]
    image_url: ImageUrl


class ThinkingPart(Strict):
    type: Literal["thinking"]
    thinking: Text


class CalledFunction(Strict):
    name: Text
    arguments: Text


class Call(Strict):
    id: Text
    type: Literal["function"]
    function: CalledFunction


class System(Strict):
    role: Literal["system"]
    content: Text | Annotated[list[TextPart], Field(min_length=1)]


class User(Strict):
    role: Literal["user"]
    content: Text | Annotated[list[TextPart | ImagePart], Field(min_length=1)]


class Assistant(Strict):
    role: Literal["assistant"]
    content: Text | Annotated[list[TextPart | ThinkingPart], Field(min_length=1)] | None = None
    tool_calls: Annotated[list[Call], Field(min_length=1)] | None = None
    tool_plan: Text | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "Assistant":
        assert self.content or self.tool_calls
        return self


class Tool(Strict):
    role: Literal["tool"]
    tool_call_id: Text
    content: Text | Annotated[list[TextPart], Field(min_length=1)]


class Function(Strict):
    name: Text
    description: str | None = None
    parameters: dict[str, Any]


class ToolDefinition(Strict):
    type: Literal["function"]
    function: Function


class Format(Strict):
    type: Literal["json_object"]
    json_schema: dict[str, Any] | None = None


class Thinking(Strict):
    type: Literal["enabled", "disabled"]
    token_budget: Annotated[int, Field(gt=0)] | None = None


class Chat(Strict):
    model: Text
    messages: Annotated[
        list[Annotated[System | User | Assistant | Tool, Field(discriminator="role")]], Field(min_length=1)
    ]
    stream: bool = False
    tools: Annotated[list[ToolDefinition], Field(min_length=1)] | None = None
    strict_tools: bool | None = None
    tool_choice: Literal["REQUIRED", "NONE"] | None = None
    response_format: Format | None = None
    max_tokens: Annotated[int, Field(gt=0)] | None = None
    stop_sequences: Annotated[list[Text], Field(max_length=5)] | None = None
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=0)] | None = None
    frequency_penalty: Annotated[float, Field(ge=0, le=1)] | None = None
    presence_penalty: Annotated[float, Field(ge=0, le=1)] | None = None
    p: Annotated[float, Field(ge=0.01, le=0.99)] | None = None
    k: Annotated[int, Field(ge=0, le=500)] | None = None
    logprobs: bool | None = None
    thinking: Thinking | None = None

    @model_validator(mode="after")
    def _as_errors_say(self) -> "Chat":
        assert [message.role for message in self.messages].count("system") <= 1
        assert all(message.role != "system" for message in self.messages[1:]), "system turn must be the first"
        assert self.frequency_penalty is None or self.presence_penalty is None
        assert not (self.tools and self.response_format)
        assert self.tools or not (self.tool_choice or self.strict_tools)
        called = list[str]()
        for message in self.messages:
            if isinstance(message, Assistant):
                called += [call.id for call in message.tool_calls or ()]
            if isinstance(message, Tool):
                assert message.tool_call_id in called, "tool call id not found in previous tool calls"
        assert len(set(called)) == len(called), "cannot have duplicate tool ids"
        if self.strict_tools:
            for tool in self.tools or ():
                check_schema(tool.function.parameters)
        if self.response_format and self.response_format.json_schema:
            check_schema(self.response_format.json_schema)
        return self


class Embed(Strict):
    model: Text
    texts: Annotated[list[str], Field(min_length=1, max_length=96)]
    input_type: Literal["search_document", "search_query", "classification", "clustering"]
    embedding_types: list[Literal["float", "int8", "uint8", "binary", "ubinary", "base64"]]
    truncate: Literal["NONE", "START", "END"] = "END"
    output_dimension: int | None = None


class Rerank(Strict):
    model: Text
    query: str
    documents: Annotated[list[str], Field(min_length=1, max_length=10_000)]
    top_n: Annotated[int, Field(ge=1)] | None = None
    max_tokens_per_doc: Annotated[int, Field(ge=1)] | None = None
    priority: Annotated[int, Field(ge=0, le=999)] | None = None


class Ranked(Strict):
    index: Annotated[int, Field(ge=0)]
    relevance_score: float


class BilledUnits(Strict):
    images: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    search_units: float | None = None
    classifications: float | None = None


class Meta(BaseModel):
    billed_units: BilledUnits | None = None


class Ranking(Strict):
    id: str | None = None
    results: list[Ranked]
    meta: Meta | None = None


UNKNOWN_WORDS = {
    "allOf",
    "oneOf",
    "not",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "uniqueItems",
}


def check_schema(schema: dict[str, Any]) -> None:
    """Asserts that structured outputs take it."""
    assert schema["type"] == "object"
    check_inner(schema)


def check_inner(schema: Any) -> None:
    if not isinstance(schema, dict):
        return
    assert not UNKNOWN_WORDS & schema.keys()
    assert schema.get("required") or not schema.get("properties")
    assert schema.get("format", "date") in ("date-time", "uuid", "date", "time")
    assert not any(sign in schema.get("pattern", "") for sign in ("^", "$", "?=", "?!"))
    for name in ("properties", "$defs", "definitions"):
        for inner in schema.get(name, {}).values():
            check_inner(inner)
    for inner in (schema.get("items"), schema.get("additionalProperties"), *schema.get("anyOf", ())):
        check_inner(inner)


class UsageOfTokens(Strict):
    input_tokens: float
    output_tokens: float


class Usage(Strict):
    billed_units: UsageOfTokens | None = None
    tokens: UsageOfTokens | None = None
    cached_tokens: float | None = None


class Source(Strict):
    type: Literal["tool", "document"]
    id: str
    tool_output: dict[str, Any] | None = None
    document: dict[str, Any] | None = None


class Citation(Strict):
    start: int | None = None
    end: int | None = None
    text: str
    sources: list[Source] | None = None
    content_index: int | None = None
    type: Literal["TEXT_CONTENT", "THINKING_CONTENT", "PLAN"] | None = None


class Logprobs(Strict):
    text: str
    token_ids: list[int]
    logprobs: list[float]


class SaidPart(Strict):
    type: Literal["text", "thinking"] | None = None
    text: str | None = None
    thinking: str | None = None


class SaidFunction(Strict):
    name: str | None = None
    arguments: str


class SaidCall(Strict):
    id: str | None = None
    type: Literal["function"] | None = None
    function: SaidFunction


Reason = Literal["COMPLETE", "STOP_SEQUENCE", "MAX_TOKENS", "TOOL_CALL", "ERROR", "TIMEOUT"]


class Said(Strict):
    role: Literal["assistant"]
    content: list[SaidPart] | None = None
    tool_plan: str | None = None
    tool_calls: list[SaidCall] | None = None
    citations: list[Citation] | None = None


class Answer(Strict):
    id: str
    finish_reason: Reason
    message: Said
    usage: Usage | None = None
    logprobs: list[Logprobs] | None = None


class Added(Strict):
    """What an event adds to the message: one thing, but at the start."""

    role: Literal["assistant"] | None = None
    content: SaidPart | list[SaidPart] | None = None
    tool_plan: str | None = None
    tool_calls: SaidCall | list[SaidCall] | None = None
    citations: Citation | list[Citation] | None = None


class Delta(Strict):
    message: Added | None = None
    finish_reason: Reason | None = None
    usage: Usage | None = None
    error: str | None = None


class Event(Strict):
    type: Literal[
        "message-start", "content-start", "content-delta", "content-end", "tool-plan-delta", "tool-call-start",
        "tool-call-delta", "tool-call-end", "citation-start", "citation-end", "message-end",
    ]  # fmt: skip
    id: str | None = None
    index: int | None = None
    delta: Delta | None = None
    logprobs: Logprobs | None = None

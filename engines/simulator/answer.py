"""Decide the whole answer before its first byte: choices, tokens, why they end, what they cost. Pure."""

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from engines.simulator.bodies import ChatBody, CompletionBody, Generation, NamedToolChoice, Tool, prompts_of
from engines.simulator.errors import BodyError
from engines.simulator.faults import Simulate
from engines.simulator.schema import instance_of
from engines.simulator.text import (
    answer_pieces,
    default_length,
    digest_of,
    quote_of,
    stopped_pieces,
    text_pieces,
)
from engines.simulator.usage import DECOY, Usage, chat_tokens, usage_of, word_count

CHAT: Final = "chat.completion"
COMPLETION: Final = "text_completion"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a function; the arguments are JSON, in pieces."""

    id: str
    name: str
    pieces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer of `n`. Its tokens are the reasoning, the pieces and the pieces of the calls."""

    index: int
    finish_reason: str
    pieces: tuple[str, ...] = ()
    reasoning: tuple[str, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    echo: str = ""
    stop_sequence: str | None = None  # the one that ended it

    @property
    def tokens(self) -> int:
        """The number of tokens generated."""
        return len(self.reasoning) + len(self.pieces) + sum(len(call.pieces) for call in self.calls)


@dataclass(frozen=True, slots=True)
class Answer:
    """Everything that a reply or a stream says."""

    id: str
    kind: str  # CHAT or COMPLETION
    created: int
    model: str
    prompt_tokens: int
    choices: tuple[Choice, ...]
    simulate: Simulate

    @property
    def usage(self) -> Usage:
        """The usage of the whole answer, over all choices."""
        return usage_of(self.prompt_tokens, sum(choice.tokens for choice in self.choices), self.simulate)

    @property
    def steps(self) -> int:
        """The tokens of the longest choice: choices are generated side by side, as an engine batches them."""
        return max(choice.tokens for choice in self.choices)

    def envelope(self, kind: str, choices: list[dict[str, Any]], usage: Any = msgspec.UNSET) -> dict[str, Any]:
        """Return the object around the choices, its keys in the order that the request wishes."""
        body: dict[str, Any] = {"id": self.id, "object": kind, "created": self.created, "model": self.model}
        if self.simulate.nested_usage:
            body["x_vendor"] = DECOY
        if self.simulate.usage_first and usage is not msgspec.UNSET:
            body["usage"] = usage
        body["choices"] = choices
        if usage is not msgspec.UNSET:
            body.setdefault("usage", usage)
        return body


def chat_answer(body: ChatBody, *, answer_id: str, created: int, model: str, weights: str = "") -> Answer:
    """Return the answer to a chat request; an adapter's names its `weights`. Raises `BodyError` on a bad schema."""
    question = next((m for m in reversed(body.messages) if m.role == "user"), body.messages[-1])
    text = "\n".join(question.texts)
    budget = _budget(body, body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens)
    tools = _called_tools(body)
    choices = []
    for index in range(body.n or 1):
        digest = digest_of(text, body.seed, index)
        if tools and body.simulate.text is None:
            choices.append(_calling_choice(tools, index, f"{answer_id} {index}", budget, body.simulate))
        else:
            pieces = _structured_pieces(body) or _pieces(body, digest, text, weights)
            choices.append(_text_choice(body, index, pieces, budget))
    return Answer(answer_id, CHAT, created, model, chat_tokens(body.messages), tuple(choices), body.simulate)


def completion_answer(body: CompletionBody, *, answer_id: str, created: int, model: str, weights: str = "") -> Answer:
    """Return the answer to a text completion request: `n` choices per prompt. Raises `BodyError`."""
    prompts, n = prompts_of(body.prompt, "prompt"), body.n or 1
    budget = _budget(body, body.max_tokens)
    choices = []
    for at, prompt in enumerate(prompts):
        for copy in range(n):
            pieces = _pieces(body, digest_of(prompt, body.seed, copy), prompt, weights)
            choices.append(_text_choice(body, at * n + copy, pieces, budget, echo=prompt if body.echo else ""))
    prompt_tokens = max(1, sum(map(word_count, prompts)))
    return Answer(answer_id, COMPLETION, created, model, prompt_tokens, tuple(choices), body.simulate)


def _budget(body: Generation, max_tokens: int | None) -> int | None:
    return None if body.simulate.ignore_max_tokens else max_tokens


def _pieces(body: Generation, digest: bytes, question: str, weights: str) -> tuple[str, ...]:
    wished = body.simulate
    if wished.text is not None:
        return text_pieces(wished.text, wished.tokens)
    count = default_length(digest) if wished.tokens is None else wished.tokens
    return answer_pieces(digest, quote_of(question), count, weights)


def _structured_pieces(body: ChatBody) -> tuple[str, ...] | None:
    form = body.response_format
    if form is None or form.type == "text" or body.simulate.text is not None:
        return None
    if form.json_schema is not None and form.type == "json_schema":
        value = _instance(form.json_schema.schema, "response_format.json_schema.schema")
    else:
        value = {"answer": "This is a simulated answer.", "simulated": True}
    return text_pieces(_json(value), body.simulate.tokens)


def _text_choice(body: Generation, index: int, pieces: tuple[str, ...], budget: int | None, echo: str = "") -> Choice:
    reasoning = _reasoning(body.simulate, budget)
    finish_reason = "stop"
    if budget is not None and len(reasoning) + len(pieces) > budget:
        pieces, finish_reason = pieces[: budget - len(reasoning)], "length"
    pieces, stop = stopped_pieces(pieces, body.stops)
    if stop is not None:
        finish_reason = "stop"
    return Choice(index, finish_reason, pieces, reasoning, echo=echo, stop_sequence=stop)


def _calling_choice(tools: list[Tool], index: int, seed: str, budget: int | None, simulate: Simulate) -> Choice:
    reasoning = _reasoning(simulate, budget)
    left = None if budget is None else budget - len(reasoning)
    calls, finish_reason = [], "tool_calls"
    for at, tool in enumerate(tools):
        schema = tool.function.parameters
        pieces = text_pieces(_json(_instance(schema, "tools") if schema else {}))
        if left is not None:
            if len(pieces) > left:
                pieces, finish_reason = pieces[:left], "length"
            left -= len(pieces)
        call_id = hashlib.blake2b(f"{seed} {at}".encode(), digest_size=12).hexdigest()
        calls.append(ToolCall(f"call_{call_id}", tool.function.name, pieces))
    return Choice(index, finish_reason, reasoning=reasoning, calls=tuple(calls))


def _reasoning(simulate: Simulate, budget: int | None) -> tuple[str, ...]:
    count = simulate.reasoning if budget is None else min(simulate.reasoning, budget)
    return answer_pieces(b"reasoning", "", count) if count else ()


def _called_tools(body: ChatBody) -> list[Tool]:
    tools, choice = body.tools or [], body.tool_choice
    if isinstance(choice, NamedToolChoice):
        return [tool for tool in tools if tool.function.name == choice.function.name][:1]
    if choice == "required":
        return tools[: 2 if body.parallel_tool_calls else 1]
    if choice in (None, "auto") and body.messages[-1].role == "user":
        return tools[:1]
    return []


def _instance(schema: dict[str, Any], param: str) -> Any:
    try:
        return instance_of(schema)
    except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise BodyError(f"`{param}` is not a usable JSON schema: {error}", param) from error


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()

"""What an answer repeats of the client's request, as the Responses API does.

The answer of a stream is made elsewhere than the request: this text travels with the attempt, and so it is bounded.
What is too long for it has the value that says nothing.
"""

from typing import Any

from extproc.translate.encode import json_bytes
from extproc.translate.responses_openai.content import Json
from extproc.translate.responses_openai.tools import Tools

ECHO_LIMIT_BYTES = 64 * 2**10

# What is required of every response, or always in OpenAI's own, where the request says nothing. A temperature is not
# known then: it is the provider's.
_UNSAID: Json = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "store": False,  # nothing of a converted answer is kept
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "truncation": "disabled",
}
_REPEATED = (
    "instructions",
    "max_output_tokens",
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "safety_identifier",
    "temperature",
    "top_logprobs",
    "top_p",
    "user",
)


def _object(members: dict[str, bytes]) -> bytes:
    return b"{%b}" % b",".join(b'"%b":%b' % (name.encode(), value) for name, value in members.items())


UNSAID = _object({name: json_bytes(value) for name, value in _UNSAID.items()}).decode()


def echo_of(body: Json, tools: Tools) -> str:
    """The members of the response, as a JSON object in text. Raises BadRequest."""
    given: dict[str, Any] = {name: body[name] for name in _REPEATED if body.get(name) is not None}
    reasoning, text = body.get("reasoning") or {}, body.get("text") or {}
    given["reasoning"] = {name: reasoning.get(name) for name in ("effort", "summary")}
    given["text"] = {"format": text.get("format") or {"type": "text"}}
    if text.get("verbosity") is not None:
        given["text"]["verbosity"] = text["verbosity"]
    given |= {"tools": tools.echo, "tool_choice": tools.choice}
    return _object(_bounded({name: json_bytes(value) for name, value in (_UNSAID | given).items()})).decode()


def _bounded(members: dict[str, bytes]) -> dict[str, bytes]:
    """The members, the longest of them unsaid until the rest fits."""
    total = sum(map(len, members.values()))
    while total > ECHO_LIMIT_BYTES:
        name = max(members, key=lambda name: len(members[name]))
        total -= len(members.pop(name))
        if name in _UNSAID:
            members[name] = json_bytes(_UNSAID[name])
            total += len(members[name])
    return members

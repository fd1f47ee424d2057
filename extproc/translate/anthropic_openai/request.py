"""A Messages request as a chat completion request. Takes what `check` has seen."""

import hashlib
from typing import Any

from extproc.translate.anthropic_openai.messages import messages_of
from extproc.translate.anthropic_openai.shapes import THINKING_KEPT
from extproc.translate.chat import Beyond
from extproc.translate.direction import Target

# OpenAI refuses a longer `user`.
_USER_LIMIT = 64

# Tokens of a thinking budget from which on the effort is more than low, largest first.
_BUDGETS = ((16_384, "high"), (8192, "medium"))

_TOOL_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def request_of(body: dict[str, Any], target: Target, beyond: Beyond | None = None) -> dict[str, Any]:
    """The body for the target; with a `Beyond`, for a further translation."""
    limit = max(body["max_tokens"], 1)
    made: dict[str, Any] = {
        "model": target.model,
        "messages": messages_of(body, beyond),
        "max_completion_tokens": min(limit, target.max_output_tokens or limit),
    }
    for name in ("temperature", "top_p"):
        if body.get(name) is not None:
            made[name] = body[name]
    if body.get("stop_sequences"):
        made["stop"] = body["stop_sequences"]
    made |= _tools(body, beyond) | _output(body) | (_more(body, beyond) if beyond else {})
    if user := (body.get("metadata") or {}).get("user_id"):
        made["user"] = user if len(user) <= _USER_LIMIT else hashlib.sha256(user.encode(errors="replace")).hexdigest()
    if body.get("service_tier") == "standard_only":
        made["service_tier"] = "default"
    if body.get("stream"):
        made |= _streamed(target)
    return made


def _more(body: dict[str, Any], beyond: Beyond) -> dict[str, Any]:
    made: dict[str, Any] = {"top_k": body["top_k"]} if body.get("top_k") is not None else {}
    if beyond.thinking:
        thinking = body.get("thinking") or {}
        made["thinking"] = thinking if thinking.get("type") in THINKING_KEPT else {}
    return made


def _streamed(target: Target) -> dict[str, Any]:
    if target.usage in ("none", "unasked"):
        return {"stream": True}
    options = {"include_usage": True}
    if target.usage == "continuous":
        options["continuous_usage_stats"] = True
    return {"stream": True, "stream_options": options}


def _tools(body: dict[str, Any], beyond: Beyond | None) -> dict[str, Any]:
    tools = [_tool(tool, beyond) for tool in body.get("tools") or () if tool.get("type") in (None, "custom")]
    if not tools:  # OpenAI refuses an empty list, and a choice among no tools
        return {}
    made: dict[str, Any] = {"tools": tools}
    choice = body.get("tool_choice")
    if choice:
        names = {tool["function"]["name"] for tool in tools}
        if choice["type"] != "tool":
            made["tool_choice"] = _TOOL_CHOICES[choice["type"]]
        elif choice["name"] in names:
            made["tool_choice"] = {"type": "function", "function": {"name": choice["name"]}}
        if choice.get("disable_parallel_tool_use"):
            made["parallel_tool_calls"] = False
    return made


def _tool(tool: dict[str, Any], beyond: Beyond | None) -> dict[str, Any]:
    function = {"name": tool["name"], "parameters": tool["input_schema"]}
    for name in ("description", "strict"):
        if tool.get(name) is not None:
            function[name] = tool[name]
    hint = {"cache_control": tool["cache_control"]} if beyond and tool.get("cache_control") else {}
    return {"type": "function", "function": function, **hint}


def _output(body: dict[str, Any]) -> dict[str, Any]:
    """The form of the answer, and the effort that goes into it."""
    output = body.get("output_config") or {}
    made: dict[str, Any] = {}
    form = output.get("format") or body.get("output_format")
    if form and form["type"] == "json_schema":
        schema = form["schema"]
        json_schema = {"name": "response", "schema": schema, "strict": _is_strict(schema)}
        made["response_format"] = {"type": "json_schema", "json_schema": json_schema}
    effort = _effort_of(body.get("thinking") or {}, output.get("effort"))
    if effort:
        made["reasoning_effort"] = effort
    return made


def _effort_of(thinking: dict[str, Any], effort: str | None) -> str | None:
    """None where the provider's default is what was asked for: adaptive thinking without a named effort."""
    if thinking.get("type") == "disabled":
        return "none"
    if effort is None and thinking.get("type") == "enabled":
        return next((named for least, named in _BUDGETS if thinking["budget_tokens"] >= least), "low")
    return effort


def _is_strict(schema: dict[str, Any]) -> bool:
    """Whether OpenAI takes the schema as strict: no object in it has members that are optional or unknown.

    https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
    """
    pending: list[Any] = [schema]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending += value
        elif isinstance(value, dict):
            properties = value.get("properties")
            if value.get("type") == "object" or isinstance(properties, dict):
                names = properties if isinstance(properties, dict) else {}
                required = value.get("required") or []
                if value.get("additionalProperties") is not False or not _covers(required, names):
                    return False
            pending += value.values()
    return True


def _covers(required: Any, names: dict[str, Any]) -> bool:
    return isinstance(required, list) and all(name in required for name in names)

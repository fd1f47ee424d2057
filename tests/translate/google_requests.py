"""What Google's own types make of a request to generateContent, and of its answers."""

from typing import Any

from google.genai import types

# The members of a request, by the SDK's names for them. What it takes as one configuration is spread over the body.
_MEMBERS: dict[str, Any] = {
    "systemInstruction": types.Content,
    "toolConfig": types.ToolConfig,
    "generationConfig": types.GenerateContentConfig,
}
_LISTS: dict[str, Any] = {"contents": types.Content, "tools": types.Tool}
_TIERS = {tier.value for tier in types.ServiceTier}


def checked_gemini(body: dict[str, Any]) -> None:
    """Asserts that each member is one that Google's SDK names and would send just so. Raises ValidationError."""
    for name, value in body.items():
        if name == "serviceTier":
            assert value in _TIERS
        elif name in _LISTS:
            assert [_sent(_LISTS[name], one) for one in value] == _url_safe(value)
        else:
            assert _sent(_MEMBERS[name], value) == _url_safe(value)


def _sent(kind: Any, value: Any) -> Any:
    return kind.model_validate(value).model_dump(mode="json", by_alias=True, exclude_none=True)


def _url_safe(value: Any) -> Any:
    """The value with all data in the alphabet that the SDK writes; Google takes either."""
    if isinstance(value, list):
        return [_url_safe(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name: one.replace("+", "-").replace("/", "_") if name == "data" else _url_safe(one)
        for name, one in value.items()
    }


def answered_by_gemini(body: dict[str, Any]) -> types.GenerateContentResponse:
    """An answer, or an event of a stream, as Google's SDK has it. Raises ValidationError."""
    return types.GenerateContentResponse.model_validate(body)

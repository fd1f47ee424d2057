"""What must hold for any request of Anthropic's clients, whatever provider it goes to by way of a chat completion."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.refusal import BadRequest
from extproc.translate import direction_of
from extproc.translate.direction import Direction, Target
from tests.translate.bedrock_requests import checked_converse
from tests.translate.cohere_requests import Chat
from tests.translate.google_requests import checked_gemini
from tests.translate.message_bodies import MESSAGE_BODIES, message_bodies

MODELS = {
    "bedrock": (
        "anthropic.claude-3-5-haiku-20241022-v1:0",
        "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "us.anthropic.claude-opus-4-6-v1",
        "us.anthropic.claude-opus-5-5",
        "eu.amazon.nova-pro-v1:0",
        "openai.gpt-oss-120b-1:0",
        "meta.llama3-3-70b-instruct-v1:0",
    ),
    "cohere": ("command-r-08-2024", "command-a-03-2025", "command-a-reasoning-08-2025"),
    "gemini": ("gemini-2.0-flash", "gemini-2.5-pro", "gemini-3-pro-preview"),
}
slow = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])


def direction(api: str) -> Direction:
    found = direction_of("messages", api)
    assert found is not None
    return found


def check(api: str, sent: dict[str, Any], target: Target, path: str) -> None:
    if api == "bedrock":
        checked_converse(sent, target.model, path)
    elif api == "cohere":
        Chat.model_validate(sent)
    else:
        checked_gemini(sent)


@pytest.mark.parametrize("api", MODELS)
@slow
@given(message_bodies() | MESSAGE_BODIES, st.data())
def test_any_request_is_refused_or_becomes_a_valid_one(api: str, body: dict[str, Any], data: st.DataObject) -> None:
    target = Target("provider", data.draw(st.sampled_from(MODELS[api])), max_output_tokens=4096)
    before = json.dumps(body)
    try:
        made = direction(api).request(body, target)
    except BadRequest:
        return
    check(api, json.loads(made.body), target, made.path)
    unsupported = direction(api).unsupported(body, target)
    assert set(unsupported) <= set(made.dropped)
    assert all(is_in(name, body) for name in made.dropped), "what is named is the client's own"
    assert json.dumps(body) == before


def is_in(name: str, body: dict[str, Any]) -> bool:
    """Whether the client has written what a name begins with; names without positions are of any place."""
    return name.split(".")[0].split("[")[0] in body or f'"{name.split(".")[-1]}"' in json.dumps(body)

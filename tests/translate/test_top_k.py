"""`top_k` is sent as it was written, and not at all where it asks for no limit."""

import json
from typing import Any

import pytest

from extproc.refusal import BadRequest
from extproc.translate import direction_of
from extproc.translate.direction import Target

MODELS = {
    "anthropic": "claude-3-5-haiku-latest",
    "bedrock": "amazon.nova-lite-v1:0",
    "cohere": "command-a-03-2025",
    "gemini": "gemini-2.0-flash",
}
every_api = pytest.mark.parametrize("api", MODELS)


def sent(surface: str, api: str, **members: Any) -> str:
    direction = direction_of(surface, api)
    assert direction
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], **members}
    return json.dumps(json.loads(direction.request(body, Target("p", MODELS[api])).body))


@every_api
def test_no_limit_is_nothing_to_send(api: str) -> None:
    nothing = sent("chat", api)
    assert [sent("chat", api, top_k=value) for value in (None, 0, -1)] == [nothing] * 3
    assert sent("chat", api, top_k=7) != nothing
    if api != "anthropic":  # whose own clients are not translated
        assert sent("messages", api, top_k=0) == sent("messages", api)


@every_api
@pytest.mark.parametrize("value", [-2, True, False, 1.5, "7"])
def test_what_is_no_number_of_tokens_is_refused(api: str, value: Any) -> None:
    with pytest.raises(BadRequest) as refused:
        sent("chat", api, top_k=value)
    assert refused.value.param == "top_k"

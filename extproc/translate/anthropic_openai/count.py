"""POST /v1/messages/count_tokens where the provider has no such endpoint: the body's check and the answer's form."""

from typing import Any

import msgspec

from extproc.translate.anthropic_openai.check import Check


def uncounted(body: dict[str, Any]) -> tuple[str, ...]:
    """What of the prompt would not reach a provider of OpenAI's API, by name, and so is not counted.

    Raises BadRequest.
    """
    check = Check()
    check.prompt(body)
    return tuple(check.unsupported)


def count_answer(input_tokens: int) -> bytes:
    """The answer: https://platform.claude.com/docs/en/api/messages-count-tokens."""
    return msgspec.json.encode({"input_tokens": input_tokens})

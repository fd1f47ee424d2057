"""Translation between the APIs of clients and those of providers: one module per direction, client first.

`direction.py` says what a direction is. A further API is a module here and a row in the table.
"""

from collections.abc import Callable

from extproc.translate import anthropic_errors, bedrock_errors, cohere_errors, gemini_errors, openai_errors
from extproc.translate.anthropic_openai import AnthropicToOpenAI
from extproc.translate.composed import Composed
from extproc.translate.direction import Direction
from extproc.translate.failure import Failure
from extproc.translate.openai_anthropic import OpenAIToAnthropic
from extproc.translate.openai_bedrock import EmbeddingsToBedrock, OpenAIToBedrock
from extproc.translate.openai_cohere import EmbeddingsToCohere, OpenAIToCohere
from extproc.translate.openai_gemini import EmbeddingsToGemini, OpenAIToGemini
from extproc.translate.responses_openai import ResponsesToOpenAI

# The provider's API -> how chat completions become its requests
_OF_CHAT: dict[str, Direction] = {
    "anthropic": OpenAIToAnthropic(),
    "bedrock": OpenAIToBedrock(),
    "cohere": OpenAIToCohere(),
    "gemini": OpenAIToGemini(),
}
_MESSAGES, _RESPONSES = AnthropicToOpenAI(), ResponsesToOpenAI()

# (the client's surface, the provider's API) -> how one becomes the other
_DIRECTIONS: dict[tuple[str, str], Direction] = {
    **{("chat", api): direction for api, direction in _OF_CHAT.items()},
    ("embeddings", "bedrock"): EmbeddingsToBedrock(),
    ("embeddings", "cohere"): EmbeddingsToCohere(),
    ("embeddings", "gemini"): EmbeddingsToGemini(),
    ("messages", "openai"): _MESSAGES,
    ("responses", "openai"): _RESPONSES,
    # By way of a chat completion. Anthropic's own API needs no translation of its clients' requests.
    **{("messages", api): Composed(_MESSAGES, _OF_CHAT[api]) for api in _OF_CHAT if api != "anthropic"},
    **{("responses", api): Composed(_RESPONSES, direction) for api, direction in _OF_CHAT.items()},
}

# The provider's API -> what its errors mean: (status, body, provider)
_FAILURES: dict[str, Callable[[int, bytes, str], Failure]] = {
    "anthropic": anthropic_errors.failure_of,
    "bedrock": bedrock_errors.failure_of,
    "cohere": cohere_errors.failure_of,
    "gemini": gemini_errors.failure_of,
    "openai": openai_errors.failure_of,
}


def failures_of(api: str) -> Callable[[int, bytes, str], Failure]:
    """How the errors of a provider that speaks an API are read."""
    return _FAILURES[api]


def direction_of(surface: str, api: str) -> Direction | None:
    """How requests of a surface reach a provider that speaks another API; None: they do not."""
    return _DIRECTIONS.get((surface, api))

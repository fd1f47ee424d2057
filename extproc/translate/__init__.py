"""Translation between the APIs of clients and those of providers: one module per direction, client first.

`direction.py` says what a direction is. A further API is a module here and a row in the table.
"""

from collections.abc import Callable

from extproc.translate import anthropic_errors, bedrock_errors, cohere_errors, gemini_errors, openai_errors
from extproc.translate.anthropic_openai import AnthropicToChat, AnthropicToOpenAI
from extproc.translate.chat import Beyond
from extproc.translate.composed import Composed
from extproc.translate.direction import Direction, Target
from extproc.translate.failure import Failure
from extproc.translate.openai_anthropic import OpenAIToAnthropic
from extproc.translate.openai_bedrock import EmbeddingsToBedrock, OpenAIToBedrock, beyond_bedrock
from extproc.translate.openai_cohere import EmbeddingsToCohere, OpenAIToCohere, RerankToCohere, beyond_cohere
from extproc.translate.openai_gemini import EmbeddingsToGemini, OpenAIToGemini, beyond_gemini
from extproc.translate.responses_openai import ResponsesToOpenAI

# The provider's API -> how chat completions become its requests
_OF_CHAT: dict[str, Direction] = {
    "anthropic": OpenAIToAnthropic(),
    "bedrock": OpenAIToBedrock(),
    "cohere": OpenAIToCohere(),
    "gemini": OpenAIToGemini(),
}
# The same, and what more of a Messages request can be carried. Anthropic's own API needs no translation of those.
_BEYOND: dict[str, Callable[[Target], Beyond]] = {
    "bedrock": beyond_bedrock,
    "cohere": beyond_cohere,
    "gemini": beyond_gemini,
}
_RESPONSES = ResponsesToOpenAI()

# (the client's surface, the provider's API) -> how one becomes the other
DIRECTIONS: dict[tuple[str, str], Direction] = {
    **{("chat", api): direction for api, direction in _OF_CHAT.items()},
    ("embeddings", "bedrock"): EmbeddingsToBedrock(),
    ("embeddings", "cohere"): EmbeddingsToCohere(),
    ("embeddings", "gemini"): EmbeddingsToGemini(),
    ("messages", "openai"): AnthropicToOpenAI(),
    ("rerank", "cohere"): RerankToCohere(),
    ("responses", "openai"): _RESPONSES,
    # By way of a chat completion.
    **{("messages", api): Composed(AnthropicToChat(beyond), _OF_CHAT[api]) for api, beyond in _BEYOND.items()},
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
    return DIRECTIONS.get((surface, api))

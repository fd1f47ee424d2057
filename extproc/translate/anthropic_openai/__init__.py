"""Clients that speak Anthropic's Messages API, on providers that speak OpenAI's chat completions.

Only what OpenAI's own API defines is sent, so that OpenAI, vLLM and the many compatible servers take it alike. More
is read of their answers: reasoning, stop strings and cached tokens as the compatible servers report them.
"""

from extproc.translate.anthropic_openai.direction import AnthropicToOpenAI
from extproc.translate.anthropic_openai.further import AnthropicToChat

__all__ = ["AnthropicToChat", "AnthropicToOpenAI"]

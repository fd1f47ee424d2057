"""Clients of OpenAI's Responses API, on providers that speak chat completions. Pure."""

from extproc.translate.responses_openai.direction import ResponsesToOpenAI

__all__ = ["ResponsesToOpenAI"]

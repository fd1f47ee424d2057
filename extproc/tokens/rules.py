"""How each model counts: its encoding, what its provider adds around messages and tools, what a picture costs.

Pure. Sources and known errors are in docs/tokens.md. A name that is not known is counted as an open model behind a
chat template, with o200k_base.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

Encoding = Literal["cl100k_base", "o200k_base"]
Family = Literal["openai", "anthropic", "open"]


@dataclass(frozen=True, slots=True)
class Tiles:
    """OpenAI's older rule: squares of 512 pixels, after the picture was made to fit 2048 by 2048, then 768."""

    base: int
    each: int


@dataclass(frozen=True, slots=True)
class Patches:
    """Squares of `side` pixels, at most `most`, `percent` tokens for a hundred; `edge` is the longest side."""

    side: int
    most: int
    percent: int = 100
    edge: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """`percent` tokens of the model for a hundred of the encoding; the other numbers are tokens of the model."""

    encoding: Encoding
    family: Family
    picture: Tiles | Patches
    percent: int = 100
    per_message: int = 3
    opening: int = 3  # once: what primes the answer, and a template's own system message
    tools: int = 0  # once, if there are any


# https://platform.openai.com/docs/guides/images-vision, the longest name that fits first.
_PICTURES: tuple[tuple[str, Tiles | Patches], ...] = (
    ("gpt-4o-mini", Tiles(2833, 5667)),
    ("gpt-4.1-mini", Patches(32, 1536, 162)),
    ("gpt-4.1-nano", Patches(32, 1536, 246)),
    ("gpt-5-mini", Patches(32, 1536, 162)),
    ("gpt-5-nano", Patches(32, 1536, 246)),
    ("o4-mini", Patches(32, 1536, 172)),
    ("gpt-5.1", Tiles(70, 140)),
    ("gpt-5.", Patches(32, 2500, 120)),
    ("gpt-5", Tiles(70, 140)),
    ("gpt-4", Tiles(85, 170)),
    ("chatgpt-4o", Tiles(85, 170)),
    ("o1", Tiles(75, 150)),
    ("o3", Tiles(75, 150)),
)
_NEW_PICTURE = Patches(32, 2500, 120)

# Chat templates: two to five tokens around each message; Llama's and Qwen's own system messages have about 25.
_OPEN = Rule("o200k_base", "open", Patches(28, 16_384), per_message=5, opening=30)
# The harmony format opens with a system message of its own.
_GPT_OSS = Rule("o200k_base", "open", Patches(28, 16_384), per_message=5, opening=75)

# A picture is 258 tokens for each square of 768 pixels up to Gemini 2.5, and at most 1,120 in all from Gemini 3 on
# (https://ai.google.dev/gemini-api/docs/tokens, media-resolution).
_GEMINI = Rule("o200k_base", "open", Patches(28, 1120), per_message=5)

# 256 tokens for each square of 512 pixels, and one square more, of a picture of at most 1,536 by 2,048
# (https://docs.cohere.com/docs/image-inputs); of its template Cohere charges nothing.
_COHERE = Rule("o200k_base", "open", Patches(28, 3328), per_message=5)

_OLD_CLAUDE = Rule("o200k_base", "anthropic", Patches(28, 1568, edge=1568), percent=130, per_message=2, opening=4)
# Claude Opus 4.7 and what came after it splits text finer and sees pictures larger.
_CLAUDE = Rule("o200k_base", "anthropic", Patches(28, 4784, edge=2576), percent=170, per_message=2, opening=4)
_IS_OLD_CLAUDE = re.compile(
    r"claude-(?:v?[123](?!\d)|instant|(?:opus|sonnet|haiku)-4(?:-[0-6](?!\d)|(?!-?\d{1,2}(?!\d))))"
)
# https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview: what is added where there are any, at most.
_CLAUDE_TOOLS = (("opus-4-8", 410), ("opus-4-7", 804), ("-4-6", 589), ("-4-5", 589), ("3-opus", 530))


@lru_cache(512)
def rule_of(model: str, api: str = "openai") -> Rule:
    """The rule for an upstream model's name, as its provider writes it; `api` is the provider's."""
    name = model.rpartition("/")[2].lower()
    if api == "anthropic" or "claude" in name:
        return _claude(name.replace(".", "-"))
    if api == "gemini" or name.startswith("gemini"):
        return _GEMINI
    if api == "cohere" or name.startswith(("command-", "c4ai-")):
        return _COHERE
    if name.removeprefix("openai.").startswith("gpt-oss"):  # as Bedrock calls it
        return _GPT_OSS
    encoding = _openai_encoding(name)
    if encoding is None:
        return _OPEN
    base = name.removeprefix("ft:")
    picture = next((rule for prefix, rule in _PICTURES if base.startswith(prefix)), _NEW_PICTURE)
    return Rule(encoding, "openai", picture)


def _claude(name: str) -> Rule:
    old = _IS_OLD_CLAUDE.search(name) is not None
    tools = next((tokens for part, tokens in _CLAUDE_TOOLS if part in name), 355 if old else 474)
    return replace(_OLD_CLAUDE if old else _CLAUDE, tools=tools)


def _openai_encoding(name: str) -> Encoding | None:
    """By tiktoken's own table. Encodings that are not shipped belong to models that OpenAI has shut down."""
    from tiktoken.model import encoding_name_for_model  # 4 MB in each worker: not before it is needed

    try:
        found = encoding_name_for_model(name)
    except KeyError:
        return None
    return "o200k_base" if found.startswith("o200k") else "cl100k_base"

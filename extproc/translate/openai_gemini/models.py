"""What of Gemini's API a model takes, told from its name: it changed between generations.

Names of other makers' models, and of Gemini's without a number (`gemini-flash-latest`), are given the benefit of the
doubt. Sources: the pages on thinking, thought signatures, function calling, structured outputs and file input of
ai.google.dev; for penalties and log probabilities what its API answers ("… is not enabled for models/…").
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

# gemini-2.5-flash-lite-preview-09-2025, models/gemini-3-pro-preview, gemini-2.0-flash-001
_NAME = re.compile(r"gemini-(\d{1,2})(?:\.(\d{1,2}))?(?:-(pro|flash-lite|flash))?")

Level = Literal["MINIMAL", "LOW", "MEDIUM", "HIGH"]


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a request may say to a model."""

    thinking: Literal["level", "budget", "never"] = "level"
    least_level: Level = "LOW"
    medium: Level = "MEDIUM"
    budgets: tuple[int, int] = (0, 0)  # tokens, least and most; a least of 0: it can be told not to think
    signed_calls: bool = False  # it refuses calls of its own without the signature that they came with
    scores: bool = True  # penalties and log probabilities
    json_with_tools: bool = True
    media_results: bool = True  # pictures and files in what a tool gave back
    by_url: bool = True  # files that it fetches
    validated: bool = True  # calls that hold to their schema


@lru_cache(maxsize=256)
def abilities_of(model: str) -> Abilities:
    """What the model takes."""
    match = _NAME.search(model)
    if match is None:
        return Abilities(signed_calls="gemini" in model)
    version, kind = (int(match[1]), int(match[2] or 0)), match[3]
    if version >= (3, 0):
        return Abilities(
            least_level="LOW" if kind == "pro" or version >= (3, 7) else "MINIMAL",
            medium="HIGH" if kind == "pro" and version == (3, 0) else "MEDIUM",
            signed_calls=True,
            scores=False,
        )
    old = version < (2, 5)
    return Abilities(
        thinking="never" if old else "budget",
        budgets=(128, 32_768) if kind == "pro" else (0, 24_576),
        scores=old,
        json_with_tools=False,
        media_results=False,
        by_url=not old,
        validated=not old,
    )

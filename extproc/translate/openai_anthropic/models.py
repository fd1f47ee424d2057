"""What of Anthropic's API a model takes, told from its name: it changed between generations of Claude.

Names of other makers' models, behind engines that speak Anthropic's API, are given the benefit of the doubt; a Claude
without a number in its name is taken for the newest. Sources: the "what's new" and migration pages of each model on
platform.claude.com.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

# claude-3-5-sonnet-20241022, claude-opus-4-1-20250805, claude-sonnet-5, anthropic.claude-haiku-4-5-20251001-v1:0
_NAME = re.compile(r"claude(?:-([a-z]+))?(?:-(\d{1,2})(?!\d)(?:[-.](\d{1,2})(?!\d))?)?")

_NEWEST = (99, 0)

# From these versions on, a model cannot be made to call a tool.
_NO_FORCED_TOOLS = {"fable": (5, 1), "mythos": (5, 1), "opus": (5, 5), "sonnet": (5, 5)}


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a request may say to a model."""

    sampling: Literal["both", "one", "none"] = "both"  # of temperature and top_p, other than the default
    adaptive: bool = False  # thinking is set by effort; before that, by a budget of tokens
    thinks_first: bool = False  # with a budget: a turn of calls must start with its thinking
    off: Literal["disabled", "between_tools"] | None = "disabled"  # the `thinking.type` that asks for none
    forced_tools: bool = True  # tool_choice `any` and `tool`


@lru_cache(maxsize=256)
def abilities_of(model: str) -> Abilities:
    """What the model takes."""
    match = _NAME.search(model)
    if match is None:
        return Abilities()
    family, version = match[1], (int(match[2]), int(match[3] or 0)) if match[2] else _NEWEST
    always_thinks = family in ("fable", "mythos") or (family == "opus" and version >= (5, 5))
    return Abilities(
        sampling="one" if version < (4, 7) else "none",
        adaptive=version >= (4, 6),
        thinks_first=version < (4, 6),
        off=None if always_thinks else "between_tools" if family == "sonnet" and version >= (5, 5) else "disabled",
        forced_tools=version < _NO_FORCED_TOOLS.get(family or "", (100, 0)),
    )

"""What of Cohere's API a model takes, told from its name.

Names that are not known are given the benefit of the doubt. Sources: the pages on reasoning, image inputs and models
of docs.cohere.com, and what its API reference says of `tool_choice`.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

_NO_THINKING = re.compile(r"command-r|command-a-(?:03-2025|vision|translate)|c4ai-|command(?:-light|-nightly)?$")
_NO_IMAGES = re.compile(r"command-r|command-a-(?:03-2025|translate|reasoning)|c4ai-aya-expanse|command(?:-light)?$")
_NO_CHOICE = re.compile(r"command-r(?!7b)|c4ai-|command(?:-light)?$")  # "Command R7B and newer"


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a request may say to a model."""

    thinking: bool = True
    images: bool = True
    tool_choice: bool = True


@lru_cache(maxsize=256)
def abilities_of(model: str) -> Abilities:
    """What the model takes."""
    return Abilities(
        thinking=not _NO_THINKING.match(model),
        images=not _NO_IMAGES.match(model),
        tool_choice=not _NO_CHOICE.match(model),
    )

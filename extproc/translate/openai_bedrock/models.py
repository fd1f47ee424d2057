"""What of Converse a model takes, told from its id: `eu.anthropic.claude-sonnet-4-5-20250929-v1:0`, or an ARN that
ends like one. An inference profile of one's own has an id that says nothing: it is asked for what every model takes.

Sources: the pages on prompt caching, extended and adaptive thinking of docs.aws.amazon.com/bedrock, the Nova 2 user
guide's on reasoning; for OpenAI's models what its API answers ("Unknown parameter: 'reasoning_effort'").
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from extproc.translate.openai_anthropic.models import Abilities, abilities_of

Maker = Literal["claude", "nova", "nova-2", "gpt-oss", "openai", "other"]

_MAKERS: tuple[tuple[str, Maker], ...] = (
    ("claude", "claude"),
    ("amazon.nova-2", "nova-2"),
    ("amazon.nova", "nova"),
    ("openai.gpt-oss", "gpt-oss"),
    ("openai.", "openai"),
)
_NUMBER = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?!\d)(?:[-.](\d{1,2})(?!\d))?")


@dataclass(frozen=True, slots=True)
class Model:
    """What a request may say to a model; `claude` is of use for Claude alone."""

    maker: Maker
    claude: Abilities
    caches: bool  # where it is told to
    caches_tools: bool
    caches_longer: bool  # than five minutes
    takes_thoughts: bool  # of its own, back
    calls_one_at_a_time: bool  # where it is told to


@lru_cache(maxsize=256)
def model_of(model_id: str) -> Model:
    """What the model takes."""
    name = model_id.lower()
    maker: Maker = next((maker for part, maker in _MAKERS if part in name), "other")
    match = _NUMBER.search(name)
    version = (int(match[1]), int(match[2] or 0)) if match else (99, 0)
    return Model(
        maker=maker,
        claude=abilities_of(name),
        caches=maker in ("claude", "nova", "nova-2"),
        caches_tools=maker == "claude",
        caches_longer=maker == "claude" and version >= (4, 5),
        takes_thoughts=maker in ("claude", "openai", "gpt-oss"),
        calls_one_at_a_time=maker == "claude" and version >= (4, 5),
    )

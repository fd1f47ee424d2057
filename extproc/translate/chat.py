"""A client's request as a chat completion, and the client's own names for what is in it.

Whatever takes a chat completion further (a server that differs from OpenAI's, another direction) names what it cannot
do by its path there; the client is told by the path that it wrote itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Chat:
    """The body, what of the client's is not in it, and where the rest comes from.

    `unsupported` are the client's parameters without a place in a chat completion, `left_out` those that no answer
    depends on. `origins` has the client's path for paths of the body. `echo` is as in ProviderRequest.
    """

    body: dict[str, Any]
    unsupported: tuple[str, ...]
    left_out: tuple[str, ...]
    origins: Mapping[str, str]
    echo: str = ""

    def said_as(self, path: str) -> str:
        """The client's path for one of the body: that of the innermost member whose origin is known."""
        at = len(path)
        while at > 0:
            found = self.origins.get(path[:at])
            if found is not None:
                is_parameter = "." not in path[:at] and "[" not in path[:at]
                return found if is_parameter and found != path[:at] else found + path[at:]
            at = max(path.rfind(".", 0, at), path.rfind("[", 0, at))
        return path

    def all_said_as(self, paths: tuple[str, ...]) -> tuple[str, ...]:
        """The client's paths for these, each once."""
        return tuple(dict.fromkeys(map(self.said_as, paths)))


@dataclass(frozen=True, slots=True)
class Beyond:
    """What a target takes of a chat completion that OpenAI's own API does not have. All that chat completions are
    translated for read `cache_control` and `top_k`, or say that they have no use for them."""

    # Of what the model thought before: Anthropic's blocks with their signatures, Google's signatures of calls, words.
    thoughts: Literal["blocks", "signatures", "words"]
    thinking: bool = False  # Anthropic's own parameter of that name
    citations: bool = False  # `citations` on files
    media_results: bool = False  # pictures and files that a tool gave back

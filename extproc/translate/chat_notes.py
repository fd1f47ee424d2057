"""What a walk over a client's request finds that has no place in a provider's API, and what no answer depends on."""

from extproc.translate.walk import Walk


class Notes(Walk):
    """One request's walk. What is left out is named to the client, and never a reason to refuse the request."""

    def __init__(self) -> None:
        super().__init__()
        self._left_out: dict[str, None] = {}

    @property
    def left_out(self) -> tuple[str, ...]:
        """The names, each once."""
        return tuple(self._left_out)

    def leave_out(self, name: str) -> None:
        """This member has no counterpart, and the answer does not depend on it."""
        self._left_out[name] = None

    def leave_hints(self, holder: dict[str, object]) -> None:
        """Gemini finds by itself what its cache has of a prompt."""
        for name in HINTS:
            if holder.get(name) is not None:
                self.leave_out(name)


HINTS = ("cache_control", "prompt_cache_breakpoint")

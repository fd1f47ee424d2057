"""What a walk over a Responses request finds: what has no place in a chat completion, what no answer depends on, and
where each member of the chat completion comes from.
"""

from extproc.translate.walk import Walk


class Notes(Walk):
    """One request's walk. `origins` are as in Chat."""

    def __init__(self) -> None:
        super().__init__()
        self.origins: dict[str, str] = {}
        self._left_out: dict[str, None] = {}

    @property
    def left_out(self) -> tuple[str, ...]:
        """The names, without positions, each once."""
        return tuple(self._left_out)

    def leave_out(self, name: str) -> None:
        """This member has no counterpart, and the answer does not depend on it."""
        self._left_out[name] = None

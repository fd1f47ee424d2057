"""What a walk over a Responses request finds: what has no place in a chat completion, what no answer depends on, and
where each member of the chat completion comes from.
"""

from extproc.translate import chat_notes


class Notes(chat_notes.Notes):
    """One request's walk. `origins` are as in Chat."""

    def __init__(self) -> None:
        super().__init__()
        self.origins: dict[str, str] = {}

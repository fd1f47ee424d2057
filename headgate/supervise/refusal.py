"""The one exception of this package: `Refusal(Exception)`, for what the operator has to change.

Anything else that comes out of `up` is our own bug and ends in a traceback.
"""


class Refusal(Exception):  # noqa: N818 - it is the answer to the operator, not a fault of ours
    """`headgate up` does not start, or gives up; `lines` go to stderr as they are."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines

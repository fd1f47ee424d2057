"""The bench's one exception."""


class Failure(Exception):  # noqa: N818 - it is what the person at the terminal gets to read
    """The run can't go on; the text says what broke."""

"""Finds the id of a response, or of a completion, in the first bytes of its answer, however they are cut. Pure.

Reads the structure and not the words: what a client wrote comes back in a response, and may look like an id. Says the
id with the piece that completes it, so that nobody can have read it before.
"""

import re
from collections.abc import Callable

MOST_BYTES = 2**20  # what has shown no id by then is not looked at any further

# A string, an opening or closing bracket, a colon or comma, or anything else up to one of these.
_TOKEN: Callable[[bytes, int], re.Match[bytes] | None] = re.compile(
    rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]:,]|[^"{}\[\]:,]+', re.DOTALL
).match
_OPEN, _CLOSE = b"{[", b"}]"


class _Object:
    """One JSON object as it arrives: the string at a path of names."""

    def __init__(self, *path: bytes) -> None:
        self._path = path
        self._rest = b""
        self._open: list[int] = []  # brackets
        self._found: list[bytes] = []  # names of the path whose objects are open
        self._name: bytes | None = None  # the last one, until its value begins
        self._takes_name = False
        self.value: bytes | None = None

    def feed(self, data: bytes) -> None:
        """Reads on; `value` is there once it has come to its end."""
        text, at = self._rest + data, 0
        while self.value is None and (match := _TOKEN(text, at)):
            self._take(match[0])
            at = match.end()
        self._rest = text[at:]  # a string without its end

    def _take(self, token: bytes) -> None:
        if token in _OPEN:
            if token == b"{" and self._is_next(len(self._path) - 1):
                self._found.append(self._path[len(self._found)])
            self._open.append(token[0])
            self._name, self._takes_name = None, token == b"{"
        elif token in _CLOSE:
            self._open = self._open[:-1]
            self._found = self._found[: max(len(self._open) - 1, 0)]
            self._name = None
        elif token == b",":
            self._name, self._takes_name = None, self._open[-1:] == [ord("{")]
        elif token[:1] == b'"':
            self._take_string(token[1:-1])

    def _take_string(self, text: bytes) -> None:
        if self._takes_name:
            self._name, self._takes_name = text, False
        elif self._is_next(len(self._path)) and len(self._found) == len(self._path) - 1:
            self.value = text
        else:
            self._name = None

    def _is_next(self, until: int) -> bool:
        """Whether the value that begins is the path's next step."""
        depth = len(self._found)
        return depth < until and len(self._open) == depth + 1 and self._name == self._path[depth]


class ResponseId:
    """The id of one response, of a stream of events or of a JSON document; `at` is where events have it.

    An empty one is none: Azure's streams of completions begin with an event about the prompt.
    """

    def __init__(self, *, streams: bool, at: tuple[bytes, ...] = (b"response", b"id")) -> None:
        self._streams = streams
        self._at = at
        self._object = _Object(*at) if streams else _Object(b"id")
        self._line = b""  # its beginning, as long as that does not say what it is
        self._is_data: bool | None = None
        self._after_return = False  # a line feed may follow that ends no further line
        self._read = 0

    @property
    def gave_up(self) -> bool:
        """Whether it is not looked for any more."""
        return self._read > MOST_BYTES

    def feed(self, data: bytes) -> str | None:
        """The id, if this piece completes it."""
        self._read += len(data)
        if self._streams:
            self._feed_stream(data)
        else:
            self._object.feed(data)
        found = self._object.value
        return found.decode("utf-8", "replace") if found else None

    def _feed_stream(self, data: bytes) -> None:
        if self._after_return and data.startswith(b"\n"):
            data = data[1:]
        self._after_return = data.endswith(b"\r")
        for part in data.splitlines(keepends=True):
            self._feed_line(part)
            if self._object.value:
                return
            if part.endswith((b"\n", b"\r")):
                if not self._line.strip():  # an empty line ends an event
                    self._object = _Object(*self._at)
                self._line, self._is_data = b"", None

    def _feed_line(self, part: bytes) -> None:
        if self._is_data is None:
            self._line += part
            if len(self._line) < len(b"data:") and not part.endswith((b"\n", b"\r")):
                return
            self._is_data = self._line.startswith(b"data:")
            part = self._line.removeprefix(b"data:")
        if self._is_data:
            self._object.feed(part)

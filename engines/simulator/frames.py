"""How events become writes: several at once, cut in parts, compressed. Pure.

A frame is what reaches the client's socket alone. Without a wish for shaping an event is one frame.
"""

import zlib
from collections.abc import Iterator
from itertools import pairwise

from engines.simulator.faults import Simulate

_GZIP_WBITS = 31


class Framer:
    """Cuts and joins the events of one answer as `simulate` wishes; the bytes keep their order."""

    def __init__(self, simulate: Simulate) -> None:
        self._coalesce = simulate.coalesce or 1
        self._frame_bytes = simulate.frame_bytes
        self._frames_per_event = simulate.frames_per_event or 1
        self._gzip = zlib.compressobj(wbits=_GZIP_WBITS) if simulate.content_encoding == "gzip" else None
        self._waiting: list[bytes] = []
        self._uncut = b""

    def feed(self, event: bytes) -> Iterator[bytes]:
        """Take one event; yield the frames that can be sent now."""
        self._waiting.append(event)
        if len(self._waiting) >= self._coalesce:
            yield from self._frames(self._taken())

    def rest(self, *, end: bool) -> Iterator[bytes]:
        """Yield what was held back. With `end` the compressed stream is closed too."""
        data = self._taken() if self._waiting else b""
        if end and self._gzip is not None:
            data += self._gzip.flush(zlib.Z_FINISH)
        yield from self._frames(data)
        if self._uncut:
            yield self._uncut
            self._uncut = b""

    def _taken(self) -> bytes:
        data = b"".join(self._waiting)
        self._waiting.clear()
        if self._gzip is None:
            return data
        return self._gzip.compress(data) + self._gzip.flush(zlib.Z_SYNC_FLUSH)

    def _frames(self, data: bytes) -> Iterator[bytes]:
        if self._frame_bytes is not None:
            data, size = self._uncut + data, self._frame_bytes
            whole = len(data) - len(data) % size
            self._uncut = data[whole:]
            yield from (data[at : at + size] for at in range(0, whole, size))
        else:
            count = max(1, min(self._frames_per_event, len(data)))
            cuts = [at * len(data) // count for at in range(count + 1)]
            yield from (data[left:right] for left, right in pairwise(cuts) if left < right)


def is_shaped(simulate: Simulate) -> bool:
    """Whether an answer needs a `Framer` at all."""
    return any((simulate.coalesce, simulate.frame_bytes, simulate.frames_per_event, simulate.content_encoding))

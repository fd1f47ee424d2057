"""How many tokens a text had: the least recently used are forgotten. For a worker's loop and its thread."""

import threading
from collections import OrderedDict

Key = tuple[str, str, bytes]  # tenant, encoding, digest of the text


class Cache:
    """About 250 bytes for each text."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: OrderedDict[Key, int] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._counts)

    def get(self, key: Key) -> int | None:
        """The text's tokens, if they are known."""
        with self._lock:
            count = self._counts.get(key)
            if count is not None:
                self._counts.move_to_end(key)
            return count

    def put(self, key: Key, count: int) -> None:
        """Keeps it."""
        with self._lock:
            self._counts[key] = count
            self._counts.move_to_end(key)
            if len(self._counts) > self._most:
                self._counts.popitem(last=False)

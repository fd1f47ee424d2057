"""A file of JSON lines that another process appends to, read as it grows and found again by an id."""

import json
import time
from pathlib import Path
from typing import Any

WAIT_S = 60.0

Line = dict[str, Any]


class JsonLines:
    """All whole lines of the files that match `pattern` below `folder`, grouped by their field `key`."""

    def __init__(self, folder: Path, pattern: str, key: str) -> None:
        self._folder, self._pattern, self._key = folder, pattern, key
        self._read: dict[Path, int] = {}
        self._by_key: dict[str, list[Line]] = {}

    def of(self, key: str) -> list[Line]:
        """The lines with this key so far."""
        self._refresh()
        return self._by_key.get(key, [])

    def all(self) -> list[Line]:
        self._refresh()
        return [line for lines in self._by_key.values() for line in lines]

    def wait(self, key: str, **fields: object) -> Line:
        """The first line with this key and these fields, waited for."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            for line in self.of(key):
                if all(line.get(name) == value for name, value in fields.items()):
                    return line
            time.sleep(0.01)
        raise AssertionError(f"no line with {fields} for {key} within {WAIT_S:g} s; there are {self.of(key)}")

    def _refresh(self) -> None:
        for path in sorted(self._folder.glob(self._pattern)):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                new = file.read()
            whole = new[: new.rfind(b"\n") + 1]
            self._read[path] = self._read.get(path, 0) + len(whole)
            for text in whole.splitlines():
                line = json.loads(text)
                self._by_key.setdefault(line[self._key], []).append(line)

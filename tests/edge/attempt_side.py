"""The filter `attempt` of envoy/module, called as Envoy calls it: built with sanitizers behind attempt_side.c."""

import functools
import struct
import subprocess
import weakref
from pathlib import Path
from tempfile import TemporaryDirectory

from hatch_build import MODULE_SOURCES, compiler

SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
WITHOUT = ["-fsanitize=undefined", "-fsanitize-trap=undefined"]  # where a compiler comes without these
SOURCES = [
    path for path in MODULE_SOURCES if path.stem in ("module", "provider_key") or path.stem.startswith("attempt")
]
WRAPPED = "-Wl,--wrap=malloc,--wrap=calloc"

_folder = TemporaryDirectory()

Metadata = dict[tuple[str, str], str | list[str]]  # by namespace and key


@functools.cache
def program() -> Path:
    """Built once."""
    made = Path(_folder.name) / "attempt"
    flags = ["-std=gnu11", "-pthread", "-g", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{SOURCES[0].parent}"]
    sources = [Path(__file__).with_name("attempt_side.c"), *SOURCES]
    done = None
    for chosen in (SANITIZERS, WITHOUT):
        command = [*compiler(), *flags, *chosen, *sources, WRAPPED, "-o", made]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode == 0:
            return made
    raise AssertionError(done and done.stderr)


class Side:
    """One process, with any number of configurations. What the sanitizers find ends it, and the test with it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([program()], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._configs = 0
        weakref.finalize(self, self._process.kill)

    def configure(self, text: str) -> int | None:
        """Its number; None: it is refused."""
        self._write(b"c" + _text(text))
        self._configs += 1
        if self._number():
            return self._configs - 1
        self._configs -= 1
        return None

    def ask(
        self, config: int, now_s: int, headers: list[tuple[str, str]], metadata: Metadata, *, starves: bool = False
    ) -> tuple[list[tuple[str, str]], Metadata, int]:
        """Headers and metadata after the filter, and the status with which it refuses or 0."""
        self._write(b"q" + struct.pack("III", config, now_s, starves) + _request(headers, metadata))
        headers, metadata, _, refused = self._read()
        return headers, metadata, refused

    def answer(
        self,
        config: int,
        headers: list[tuple[str, str]],
        metadata: Metadata,
        body: bytes,
        *,
        size: int = 0,
        trailers: bool = False,
        starves: bool = False,
    ) -> tuple[list[tuple[str, str]], Metadata, bytes]:
        """Headers, metadata and body of an answer whose body comes in pieces of that size, or all at once."""
        call = b"r" + struct.pack("IIIII", config, 0, starves, size, trailers) + _request(headers, metadata)
        self._write(call + struct.pack("I", len(body)) + body)
        return self._read()[:3]

    def end(self) -> int:
        """Its exit status, by which it says that something was left behind."""
        self._process.communicate(timeout=30)
        return self._process.returncode

    def _write(self, data: bytes) -> None:
        assert self._process.stdin
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def _bytes(self, length: int) -> bytes:
        assert self._process.stdout
        found = self._process.stdout.read(length)
        assert len(found) == length, "the process has ended"
        return found

    def _number(self) -> int:
        (number,) = struct.unpack("I", self._bytes(4))
        return int(number)

    def _text(self) -> str:
        return self._bytes(self._number()).decode("latin-1")

    def _read(self) -> tuple[list[tuple[str, str]], Metadata, bytes, int]:
        headers = [(self._text(), self._text()) for _ in range(self._number())]
        metadata: Metadata = {}
        for _ in range(self._number()):
            place = self._text(), self._text()
            is_list = self._number()
            values = [self._text() for _ in range(self._number())]
            metadata[place] = values if is_list else values[0]
        return headers, metadata, self._bytes(self._number()), self._number()


def _text(text: str) -> bytes:
    data = text.encode("latin-1")
    return struct.pack("I", len(data)) + data


def _request(headers: list[tuple[str, str]], metadata: Metadata) -> bytes:
    parts = [struct.pack("I", len(headers)), *(_text(name) + _text(value) for name, value in headers)]
    parts.append(struct.pack("I", len(metadata)))
    for (namespace, key), value in metadata.items():
        values = [value] if isinstance(value, str) else value
        parts += [_text(namespace), _text(key), struct.pack("II", isinstance(value, list), len(values))]
        parts += map(_text, values)
    return b"".join(parts)

"""envoy/module's begun.c, called from here: what it makes of a stream in pieces."""

import ctypes
import functools
import subprocess
from collections.abc import Iterable, Iterator
from enum import IntEnum
from pathlib import Path
from tempfile import TemporaryDirectory

from hatch_build import MODULE_SOURCES, compiler

HERE = Path(__file__).parent
SOURCES = [path for path in MODULE_SOURCES if path.name in ("begun.c", "begun_cohere.c", "frames.c", "json.c")]
FLAGS = ("-std=gnu11", "-O1", "-g", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror", f"-I{SOURCES[0].parent}")

_folder = TemporaryDirectory()


class Beginning(IntEnum):
    """As in begun.h."""

    NOT_YET = 0
    BEGUN = 1
    BROKEN_OFF = 2
    FAILED = 3
    LIMITED = 4


NOT_YET, BEGUN, BROKEN_OFF, FAILED, LIMITED = Beginning


def beginning(pieces: Iterable[bytes], *, ends: bool = False) -> Beginning:
    """What is known after the last piece, or after the first one that decides; `ends`: no more follows."""
    library = _library()
    begun = ctypes.create_string_buffer(library.begun_size())
    for piece in pieces:
        # Memory of its own, of just this length.
        at = (ctypes.c_char * len(piece)).from_buffer_copy(piece) if piece else None
        found = Beginning(library.read_piece(begun, at, ctypes.c_size_t(len(piece))))
        if found is not NOT_YET:
            return found
    return Beginning(library.begun_end(begun)) if ends else NOT_YET


def cuts(text: bytes) -> Iterator[list[bytes]]:
    """Whole, byte by byte, and in two at every index."""
    yield [text]
    yield [text[at : at + 1] for at in range(len(text))]
    for at in range(len(text) + 1):
        yield [text[:at], text[at:]]


@functools.cache
def _library() -> ctypes.CDLL:
    made = Path(_folder.name) / "begun.so"
    command = [*compiler(), *FLAGS, HERE / "begun_side.c", *SOURCES, "-o", made]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    library = ctypes.CDLL(str(made))
    library.begun_size.restype = ctypes.c_size_t
    return library

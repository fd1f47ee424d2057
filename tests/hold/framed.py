"""envoy/module's frames.c, called from here: what it makes of a stream of Amazon's frames."""

import ctypes
import functools
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from beginning import FLAGS, NOT_YET, Beginning
from holding import ADDRESS, WITHOUT

from hatch_build import MODULE_SOURCES, compiler

HERE = Path(__file__).parent
SOURCES = [path for path in MODULE_SOURCES if path.name in ("frames.c", "json.c")]

_folder = TemporaryDirectory()


def beginning_of(*pieces: bytes) -> Beginning:
    """What is known after the last piece, or after the first one that decides."""
    library = _library()
    frames = ctypes.create_string_buffer(library.frames_size())
    for piece in pieces:
        at = (ctypes.c_char * len(piece)).from_buffer_copy(piece) if piece else None
        found = Beginning(library.read_frames(frames, at, ctypes.c_size_t(len(piece))))
        if found is not NOT_YET:
            return found
    return NOT_YET


def however_cut(streams: list[bytes]) -> list[Beginning]:
    """What each stream is, whole, byte by byte and cut at every index, read under sanitizers."""
    data = b"".join(len(stream).to_bytes(4, "little") + stream for stream in streams)
    done = subprocess.run([_program()], input=data, capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return [Beginning(int(line)) for line in done.stdout.split()]


@functools.cache
def _library() -> ctypes.CDLL:
    made = Path(_folder.name) / "frames.so"
    _compile(*FLAGS, HERE / "frames_side.c", *SOURCES, "-o", made)
    library = ctypes.CDLL(str(made))
    library.frames_size.restype = ctypes.c_size_t
    return library


@functools.cache
def _program() -> Path:
    made = Path(_folder.name) / "frames"
    flags = [flag for flag in FLAGS if flag not in ("-fPIC", "-shared")]
    arguments = (*flags, "-DMAIN", HERE / "frames_side.c", *SOURCES, "-o", made)
    try:
        _compile(ADDRESS, "-fno-sanitize-recover=all", *arguments)
    except AssertionError:  # a compiler that comes without it
        _compile(*WITHOUT, *arguments)
    return made


def _compile(*arguments: str | Path) -> None:
    done = subprocess.run([*compiler(), *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr

"""An adapter on its way in: one line of JSON, its adapter_config.json, and behind that the weights, to the end.

So nothing in it is a name or a path. What arrives is in a folder of its own below the state directory, which is gone
when the request has ended; of a process that was killed, when the next one starts.
"""

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request

from control.problems import Problem
from headgate.adapters.checks import MAX_CONFIG_BYTES
from headgate.contract import UPLOADS

PIECE_WITHIN_S = 60.0
TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Arrived:
    """Both files, and what the weights are."""

    config: Path
    weights: Path
    sha256: str
    size_bytes: int


@asynccontextmanager
async def arrived(request: Request, most_bytes: int, state: Path) -> AsyncIterator[Arrived]:
    """The body, on the disk for as long as this is open. Raises Problem for what is none, or too large or slow."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != TYPE:
        raise Problem(415, "unsupported_media_type", f"expected content-type: {TYPE}")
    folder = Path(tempfile.mkdtemp(dir=_uploads(state)))
    try:
        yield await _written(request, folder, most_bytes)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _uploads(state: Path) -> Path:
    folder = state / UPLOADS
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


async def _written(request: Request, folder: Path, most_bytes: int) -> Arrived:
    config, weights = folder / "config", folder / "weights"
    head, digest, size = b"", hashlib.sha256(), 0
    pieces = request.stream().__aiter__()
    with weights.open("xb") as file:
        is_head = True
        while (piece := await _next(pieces)) is not None:
            if is_head:
                head += piece
                line, end, piece = head.partition(b"\n")
                if len(line) > MAX_CONFIG_BYTES:
                    raise _no_config()
                if not end:
                    continue
                is_head = False
                config.write_bytes(line)
            size += len(piece)
            if size > most_bytes:
                raise Problem(413, "body_too_large", f"expected weights of at most {most_bytes} bytes")
            digest.update(piece)
            file.write(piece)
    if is_head:
        raise _no_config()
    return Arrived(config, weights, digest.hexdigest(), size)


async def _next(pieces: AsyncIterator[bytes]) -> bytes | None:
    try:
        async with asyncio.timeout(PIECE_WITHIN_S):
            return await anext(pieces, None)
    except TimeoutError:
        raise Problem(408, "body_too_slow", f"expected more of the body within {PIECE_WITHIN_S:.0f} s") from None


def _no_config() -> Problem:
    text = f"expected adapter_config.json on one line of at most {MAX_CONFIG_BYTES} bytes, and behind it the weights"
    return Problem(422, "invalid_request", text)

"""An adapter on its way in: one line of JSON, its adapter_config.json, and behind that the weights, to the end.

So nothing in it is a name or a path. What arrives is in a folder of its own (control/adapters/uploads.py), which is
gone when the request has ended. A client has a time for all of it and keeps a pace, and the disk keeps some room.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import ClientDisconnect, Request

from control.adapters import uploads
from control.adapters.room import Allowed, check_free, disk_full
from control.adapters.uploads import Upload
from control.problems import Problem
from headgate.adapters.checks import MAX_CONFIG_BYTES
from headgate.objects.store import free_bytes_of

BLOCK_BYTES = 2**20
BLOCK_WITHIN_S = 60.0
TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Arrived:
    """Both files, and what the weights are."""

    upload: Upload
    sha256: str
    size_bytes: int


def announced_bytes(request: Request) -> int:
    """What the client says that its weights have, at least. Raises Problem (415) for what is no upload."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != TYPE:
        raise Problem(415, "unsupported_media_type", f"expected content-type: {TYPE}")
    said = request.headers.get("content-length", "0")
    return max(1, int(said) - MAX_CONFIG_BYTES) if said.isdecimal() else 1


@asynccontextmanager
async def arrived(request: Request, allowed: Allowed, state: Path) -> AsyncIterator[Arrived]:
    """The body, on the disk for as long as this is open. Raises Problem for what is none, or too large or slow.

    Where this ends before it is known what has become of the upload's version, the folder stays for who goes on.
    """
    upload = await asyncio.to_thread(_begun, state)
    try:
        yield await _written(request, upload, allowed)
    finally:
        if upload.id is None:
            await asyncio.shield(asyncio.to_thread(upload.remove))
        upload.close()


def _begun(state: Path) -> Upload:
    try:
        return uploads.begin(state)
    except OSError as error:
        raise disk_full() from error


async def _written(request: Request, upload: Upload, allowed: Allowed) -> Arrived:
    body, weights = _Body(request, allowed.within_s), _Weights(upload.weights, allowed)
    try:
        line, end, block = (await body.block()).partition(b"\n")
        if not end or len(line) > MAX_CONFIG_BYTES:
            raise _no_config()
        await asyncio.to_thread(weights.begin, upload.config, line)
        while block:
            await asyncio.to_thread(weights.take, block)
            block = await body.block()
    finally:
        weights.close()
    return Arrived(upload, weights.digest.hexdigest(), weights.size_bytes)


class _Body:
    """What a client sends, in blocks."""

    def __init__(self, request: Request, within_s: float) -> None:
        self._pieces = request.stream().__aiter__()
        self._within_s = within_s
        self._ends = asyncio.get_running_loop().time() + within_s

    async def block(self) -> bytes:
        """A MiB or more, less at the end; nothing behind it. Raises Problem (408, 400)."""
        found = bytearray()
        now = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(min(now + BLOCK_WITHIN_S, self._ends)):
                while len(found) < BLOCK_BYTES:
                    piece = await anext(self._pieces, None)
                    if piece is None:
                        break
                    found += piece
        except TimeoutError:
            text = (
                f"expected a MiB of the body each {BLOCK_WITHIN_S:.0f} s, and all of it within {self._within_s:.0f} s"
            )
            raise Problem(408, "body_too_slow", text) from None
        except ClientDisconnect:
            raise Problem(400, "bad_request", "the body broke off") from None
        return bytes(found)


class _Weights:
    """The file as it grows. All but `close` raise Problem."""

    def __init__(self, path: Path, allowed: Allowed) -> None:
        self._path, self._allowed = path, allowed
        self._file: int | None = None
        self.digest, self.size_bytes = hashlib.sha256(), 0

    def begin(self, config: Path, line: bytes) -> None:
        """With the other file."""
        try:
            config.write_bytes(line)
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise disk_full() from error

    def take(self, block: bytes) -> None:
        """Some more of them."""
        self.size_bytes += len(block)
        if self.size_bytes > self._allowed.most_bytes:
            raise Problem(413, "body_too_large", f"expected weights of at most {self._allowed.most_bytes} bytes")
        self.digest.update(block)
        try:
            check_free(free_bytes_of(self._path.parent), len(block), self._allowed.min_free_bytes)
            view = memoryview(block)
            while view and self._file is not None:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            raise disk_full() from error

    def close(self) -> None:
        """No more comes."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _no_config() -> Problem:
    text = f"expected adapter_config.json on one line of at most {MAX_CONFIG_BYTES} bytes, and behind it the weights"
    return Problem(422, "invalid_request", text)

"""Adapters on the disk of an engine's host: a folder for each version, named by its manifest's SHA-256.

A folder is whole or not there, and what is in it is verified each time before it is given to an engine. Several
processes may share a cache: a version is downloaded once. Nothing goes that its caller keeps; the rest goes by least
recent use.
"""

import fcntl
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from headgate.adapters import layout
from headgate.adapters.failures import AdapterError, NoSuchVersion, Untrusted
from headgate.adapters.layout import AdapterId
from headgate.adapters.manifest import File, Manifest, read_manifest
from headgate.adapters.publishing import fetch_manifest, verified
from headgate.adapters.signature import TrustedKeys
from headgate.objects.failures import NoSuchObject, TooLarge
from headgate.objects.marker import check_marked
from headgate.objects.store import Counted, ObjectStore, Written

_DRAFTS, _LOCKS = ".drafts", ".locks"
_DRAFT_LIVES_S = 86_400  # its writer was killed
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Cached:
    """A verified adapter on this disk; `folder` is what engines are told, absolute."""

    manifest: Manifest
    folder: Path


class AdapterCache:
    """Below `root`, which it makes (0700). Raises OSError."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        for folder in (self._root, self._root / _DRAFTS, self._root / _LOCKS):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for draft in (self._root / _DRAFTS).iterdir():
            with suppress(FileNotFoundError):
                if time.time() - draft.stat().st_mtime > _DRAFT_LIVES_S:
                    shutil.rmtree(draft, ignore_errors=True)

    def find(self, adapter: AdapterId, digest: str, trusted: TrustedKeys) -> Cached | None:
        """The version whose manifest has this SHA-256, if it is here and good. Waits for nobody. Raises OSError."""
        if not _DIGEST.fullmatch(digest):
            raise ValueError("a manifest's SHA-256 has 64 hex digits")
        folder = self._root / digest
        try:
            manifest = _verified_folder(folder, adapter, digest, trusted)
            os.utime(folder)
        except (AdapterError, FileNotFoundError):
            return None  # damaged, or of a key that is trusted no more: it stays, engines may have it loaded
        return Cached(manifest, folder)

    def fetch(self, store: ObjectStore, adapter: AdapterId, digest: str, trusted: TrustedKeys) -> Cached:
        """The same; asks the store where it is not here.

        Raises NoSuchVersion, Untrusted, ObjectsError, OSError.
        """
        with self._locked(digest):
            if found := self.find(adapter, digest, trusted):
                return found
            folder = self._root / digest
            return Cached(self._download(store, adapter, digest, trusted, folder), folder)

    def entries(self) -> dict[str, Manifest]:
        """What is here, by digest, used longest ago first. A folder without a readable manifest is left out."""
        found = {}
        for folder in sorted(self._folders(), key=_used_at):
            with suppress(OSError, Untrusted):
                found[folder.name] = read_manifest((folder / layout.MANIFEST).read_bytes())
        return found

    def evict(self, keep: Collection[str], most_bytes: int) -> list[str]:
        """Removes what was used longest ago, but nothing of `keep`, until `most_bytes` are used. Returns the digests.

        `keep` has what engines have loaded: they may read the files again.
        """
        folders = sorted(self._folders(), key=_used_at)
        sizes = {folder: _size_of(folder) for folder in folders}
        gone = []
        for folder in folders:
            if sum(sizes.values()) <= most_bytes:
                break
            if folder.name not in keep:
                self.remove(folder.name)
                del sizes[folder]
                gone.append(folder.name)
        return gone

    def remove_tenant(self, tenant: str) -> int:
        """How many of a tenant's were removed. What cannot be read may be theirs, and goes too."""
        others = {digest for digest, manifest in self.entries().items() if manifest.tenant != tenant}
        mine = [folder.name for folder in self._folders() if folder.name not in others]
        for digest in mine:
            self.remove(digest)
        return len(mine)

    def remove(self, digest: str) -> None:
        """What is not here is removed. Nobody sees a part of it: it goes out of the way first."""
        away = self._draft()
        with suppress(FileNotFoundError):
            (self._root / digest).rename(away)
        shutil.rmtree(away, ignore_errors=True)

    def _folders(self) -> list[Path]:
        return [folder for folder in self._root.iterdir() if _DIGEST.fullmatch(folder.name)]

    def _draft(self) -> Path:
        return self._root / _DRAFTS / secrets.token_hex(16)

    def _download(
        self, store: ObjectStore, adapter: AdapterId, digest: str, trusted: TrustedKeys, folder: Path
    ) -> Manifest:
        manifest, content, signed = fetch_manifest(store, adapter, trusted)
        if hashlib.sha256(content).hexdigest() != digest:
            raise Untrusted(f"{adapter}: the store has another manifest than the one that was published")
        draft = self._draft()
        draft.mkdir(mode=0o700)
        try:
            _fetch(store, adapter.object(layout.WEIGHTS), manifest.weights, draft / layout.ENGINE_WEIGHTS)
            _fetch(store, adapter.object(layout.CONFIG), manifest.config, draft / layout.ENGINE_CONFIG)
            _write(draft / layout.MANIFEST, [content])
            _write(draft / layout.SIGNATURE, [signed])
            self.remove(folder.name)
            draft.rename(folder)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        return manifest

    @contextmanager
    def _locked(self, digest: str) -> Iterator[None]:
        """One process, and one thread, at a time. 256 locks, so that there is not one for each version ever seen."""
        descriptor = os.open(self._root / _LOCKS / digest[:2], os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _verified_folder(folder: Path, adapter: AdapterId, digest: str, trusted: TrustedKeys) -> Manifest:
    content = (folder / layout.MANIFEST).read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise Untrusted(f"{adapter}: its manifest was changed")
    manifest = verified(adapter, content, (folder / layout.SIGNATURE).read_bytes(), trusted)
    _check(manifest.weights, folder / layout.ENGINE_WEIGHTS)
    _check(manifest.config, folder / layout.ENGINE_CONFIG)
    return manifest


def _check(said: File, path: Path) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != said.sha256:
        raise Untrusted(f"{path.name}: its SHA-256 is {found}, the manifest says {said.sha256}")


def _fetch(store: ObjectStore, name: str, said: File, path: Path) -> None:
    """Raises Untrusted for anything but what was signed."""
    try:
        with store.reading(name) as chunks:
            counted = Counted(chunks, said.size_bytes)
            _write(path, counted)
    except NoSuchObject:
        check_marked(store)
        raise NoSuchVersion(f"{name} is not in the store") from None
    except TooLarge:
        raise Untrusted(f"{name}: larger than the manifest says, {said.size_bytes} bytes") from None
    if counted.written != Written(said.size_bytes, said.sha256):
        raise Untrusted(f"{name}: its SHA-256 is {counted.written.sha256}, the manifest says {said.sha256}")


def _write(path: Path, chunks: Iterable[bytes]) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


def _used_at(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _size_of(folder: Path) -> int:
    with suppress(FileNotFoundError):
        return sum(file.stat().st_size for file in folder.iterdir())
    return 0

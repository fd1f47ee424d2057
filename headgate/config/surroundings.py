"""Problems between a tree and the machine: secrets that do not resolve, certificates that cannot be used.

Reads secrets only to see that they can be used; nothing of them is kept or quoted.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from headgate.config.certificates import CertificateError, expiry_text, read_authorities, read_pair
from headgate.config.secrets import SecretError, resolve, resolve_signing
from headgate.config.shape import Finding, children_of, value_at
from headgate.config.values import SecretRef, file_path, secret_ref
from headgate.config.wording import KeyPath, quoted


def missing(root: dict[str, Any], base: Path, environ: Mapping[str, str]) -> Iterator[Finding]:
    """What the file refers to outside of itself and cannot be used. `base` is the folder of the file."""
    for cert, key in _pairs(root):
        yield from _unusable_pair(root, cert, key, base)
    for path in _authorities(root):
        yield from _unusable_authorities(root, path, base)
    for path, _ in children_of(root, ("providers",)):
        aws = (("aws", name) for name in ("access_key_id", "secret_access_key", "session_token"))
        for key in (("api_key",), ("token",), *aws):
            yield from _missing_secret(root, (*path, *key), base, environ)
    yield from _missing_secret(root, ("alerts", "secret"), base, environ, resolve_signing)


def expiring(root: dict[str, Any], base: Path) -> Iterator[Finding]:
    """Certificates that can be used, and not for much longer; what cannot be used is `missing`'s business."""
    for path, key in (*_pairs(root), *((path, None) for path in _authorities(root))):
        file, key_file = _file_at(root, path), _file_at(root, key) if key else None
        if file is None or (key and not key_file):
            continue
        with suppress(CertificateError):  # it has just been replaced
            expires = (read_pair(base, file, key_file) if key_file else read_authorities(base, file)).expires
            if text := expiry_text(file, expires):
                yield Finding(path, text)


def _pairs(root: dict[str, Any]) -> Iterator[tuple[KeyPath, KeyPath]]:
    """Where certificates stand, and the key of each."""
    yield ("listen", "https", "cert"), ("listen", "https", "key")
    for path, _ in children_of(root, ("providers",)):
        yield (*path, "client_cert"), (*path, "client_key")


def _authorities(root: dict[str, Any]) -> Iterator[KeyPath]:
    yield "listen", "https", "client_ca"
    for path, _ in children_of(root, ("providers",)):
        yield *path, "ca"


def _file_at(root: dict[str, Any], path: KeyPath) -> Path | None:
    try:
        return file_path(value_at(root, path))
    except ValueError:
        return None  # not given, or a problem of shape


def _unusable_pair(root: dict[str, Any], cert: KeyPath, key: KeyPath, base: Path) -> Iterator[Finding]:
    cert_file, key_file = _file_at(root, cert), _file_at(root, key)
    unreadable = [
        Finding(path, problem)
        for path, name in ((cert, cert_file), (key, key_file))
        if name and (problem := _unreadable(base, name))
    ]
    yield from unreadable
    if cert_file and key_file and not unreadable:
        try:
            read_pair(base, cert_file, key_file)
        except CertificateError as error:
            yield Finding(key if error.about_key else cert, str(error))


def _unusable_authorities(root: dict[str, Any], path: KeyPath, base: Path) -> Iterator[Finding]:
    ca_file = _file_at(root, path)
    if ca_file:
        try:
            read_authorities(base, ca_file)
        except CertificateError as error:
            yield Finding(path, str(error))


def _unreadable(base: Path, name: Path) -> str | None:
    try:
        with (base / name).open("rb"):
            return None
    except OSError as error:
        return f"file {quoted(str(name))} cannot be read: {error.strerror}"


def _missing_secret(
    root: dict[str, Any],
    path: KeyPath,
    base: Path,
    environ: Mapping[str, str],
    read: Callable[[SecretRef, Path, Mapping[str, str]], str] = resolve,
) -> Iterator[Finding]:
    try:
        ref = secret_ref(value_at(root, path))
    except ValueError:
        return  # not given, or a problem of shape
    try:
        read(ref, base, environ)
    except SecretError as error:
        yield Finding(path, str(error))

"""Problems between a tree and the machine: secrets that do not resolve, files that are not there.

Reads secrets only to see that they can be used; nothing of them is kept or quoted.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from headgate.config.secrets import SecretError, resolve
from headgate.config.shape import Finding, children_of, value_at
from headgate.config.values import file_path, secret_ref
from headgate.config.wording import KeyPath, quoted


def missing(root: dict[str, Any], base: Path, environ: Mapping[str, str]) -> Iterator[Finding]:
    """What the file refers to outside of itself and is not there. `base` is the folder of the file."""
    for name in ("cert", "key", "client_ca"):
        yield from _missing_file(root, ("listen", "https", name), base)
    for path, _ in children_of(root, ("providers",)):
        yield from _missing_file(root, (*path, "ca"), base)
        yield from _missing_secret(root, (*path, "api_key"), base, environ)


def _missing_file(root: dict[str, Any], path: KeyPath, base: Path) -> Iterator[Finding]:
    try:
        name = file_path(value_at(root, path))
    except ValueError:
        return  # not given, or a problem of shape
    try:
        with (base / name).open("rb"):
            pass
    except OSError as error:
        yield Finding(path, f"file {quoted(str(name))} cannot be read: {error.strerror}")


def _missing_secret(root: dict[str, Any], path: KeyPath, base: Path, environ: Mapping[str, str]) -> Iterator[Finding]:
    try:
        ref = secret_ref(value_at(root, path))
    except ValueError:
        return  # not given, or a problem of shape
    try:
        resolve(ref, base, environ)
    except SecretError as error:
        yield Finding(path, str(error))

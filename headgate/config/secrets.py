"""Turns a secret reference into the secret. The only place that reads one.

What Vault has is in files of the working directory, the state directory: somebody else asks Vault.

The value goes to the caller and nowhere else: no message, no repr and no cache holds it.
"""

from collections.abc import Mapping
from pathlib import Path

from headgate.adapters.signature import key_bytes
from headgate.config.secret_refs import SecretRef
from headgate.config.wording import quoted
from headgate.contract import SECRETS
from headgate.vault.files import read_value
from headgate.webhook_secret import signing_key

MAX_SECRET_BYTES = 64 * 1024
MIN_LONG_CHARS = 32


class SecretError(Exception):
    """The reference does not resolve; the text names the place, never what was found there."""


def resolve(ref: SecretRef, base: Path, environ: Mapping[str, str]) -> str:
    """The secret. `base` is the folder that `file:` paths are relative to. Raises SecretError."""
    if ref.kind == "vault":
        place, secret = f"vault:{ref.place}", read_value(SECRETS, ref.place)
        if secret is None:
            raise SecretError(f"{place} has not been read from Vault")
    elif ref.kind == "env":
        place, secret = f"environment variable {ref.place}", environ.get(ref.place)
        if secret is None:
            raise SecretError(f"{place} is not set")
    elif ref.kind == "own":  # of the state directory, which parts work in
        place, secret = f"file {quoted(ref.place)}", _read(Path(ref.place), quoted(ref.place))
    else:
        place, secret = f"file {quoted(ref.place)}", _read(base / ref.place, quoted(ref.place))
    if not secret:
        raise SecretError(f"{place} is empty")
    if not (secret.isascii() and secret.isprintable()):
        raise SecretError(f"{place} holds a line break, a control character or a character outside ASCII")
    return secret


def resolve_signing(ref: SecretRef, base: Path, environ: Mapping[str, str]) -> str:
    """A secret that webhooks are signed with. Raises SecretError, also where it can sign nothing."""
    secret = resolve(ref, base, environ)
    try:
        signing_key(secret.encode())
    except ValueError as error:
        raise SecretError(f"{_place_of(ref)} {error}") from None
    return secret


def resolve_ed25519(ref: SecretRef, base: Path, environ: Mapping[str, str]) -> str:
    """A key that adapters are signed with. Raises SecretError, also for what is none."""
    secret = resolve(ref, base, environ)
    try:
        key_bytes(secret)
    except ValueError as error:
        raise SecretError(f"{_place_of(ref)} {error}") from None
    return secret


def resolve_long(ref: SecretRef, base: Path, environ: Mapping[str, str]) -> str:
    """A secret that nobody can guess, by its length. Raises SecretError."""
    secret = resolve(ref, base, environ)
    if len(secret) < MIN_LONG_CHARS:
        place = f"environment variable {ref.place}" if ref.kind == "env" else f"{ref.kind} {quoted(ref.place)}"
        raise SecretError(
            f"{place} holds fewer than {MIN_LONG_CHARS} characters: `openssl rand -base64 32` makes one"
        )
    return secret


def _place_of(ref: SecretRef) -> str:
    place = {"env": f"environment variable {ref.place}", "file": f"file {quoted(ref.place)}"}
    return place.get(ref.kind, f"{ref.kind}:{ref.place}")


def _read(path: Path, shown: str) -> str:
    """A file's content without the white space at its end, which editors and `echo` leave there."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SECRET_BYTES + 1)
    except OSError as error:
        raise SecretError(f"file {shown} cannot be read: {error.strerror}") from None
    if len(content) > MAX_SECRET_BYTES:
        raise SecretError(f"file {shown} is larger than {MAX_SECRET_BYTES} bytes")
    return content.decode("utf-8", "replace").rstrip()

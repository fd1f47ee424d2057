"""Secrets that this host makes for itself, once, when gateway.yaml gives none: they have to last.

A file is there whole or not at all, whatever is killed. What is there is never written again: without its pepper the
database's keys are lost.
"""

import os
import secrets
from pathlib import Path

from headgate.contract import ADAPTER_KEY, ENGINES_KEY, IDENTITY, PEPPER, SERVICE_KEY
from headgate.supervise.refusal import Refusal

_BYTES = 32
_CHARS = 43  # of them as base64url


def make_own_secrets() -> None:
    """Those that every part of this host shares. Raises Refusal for a file that holds none."""
    IDENTITY.mkdir(mode=0o700, exist_ok=True)
    for path in (PEPPER, SERVICE_KEY, ENGINES_KEY, ADAPTER_KEY):
        make_once(path)


def make_once(path: Path) -> None:
    """Makes the file with a new secret unless it is there. Raises Refusal when it holds none."""
    try:
        if len(path.read_bytes().strip()) < _CHARS:
            raise Refusal(f"{path.absolute()} holds no secret; restore it, or remove it if nothing was made with it")
    except FileNotFoundError:
        _make(path)
    except OSError as error:
        raise Refusal(f"{path.absolute()}: {error.strerror}") from error


def _make(path: Path) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_urlsafe(_BYTES).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        # Never over what somebody else has made meanwhile.
        path.hardlink_to(draft)
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    except FileExistsError:
        return
    except OSError as error:
        raise Refusal(f"{path.absolute()}: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)

"""Which gateway a process belongs to: gateways that share counters must not mix up how their Envoys see providers.

A random id, kept in the state directory. Under `headgate up` the parts get it by the environment; parts that run
elsewhere may be given one there, the same for a ledger and the workers of its Envoy.
"""

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

import structlog

GATEWAY_ID_ENV = "HEADGATE_GATEWAY_ID"
GATEWAY_ID = Path("gateway-id")  # below the state directory, which is the working directory

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

log = structlog.get_logger()


def gateway_id(environ: Mapping[str, str] = os.environ) -> str | None:
    """This process's gateway; None when it was told none, or something that is no name."""
    found = environ.get(GATEWAY_ID_ENV) or _kept()
    return found if found and _ID.fullmatch(found) else None


def make_gateway_id() -> str:
    """The state directory's id, made if there is none yet. Where it can't be kept, another one each time."""
    if found := gateway_id({}):
        return found
    made = secrets.token_hex(8)
    draft = GATEWAY_ID.with_name(f".{GATEWAY_ID.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w") as file:
            file.write(f"{made}\n")
        draft.replace(GATEWAY_ID)
    except OSError as error:
        log.warning("gateway's id can't be kept", error=str(error))
    return made


def _kept() -> str | None:
    try:
        return GATEWAY_ID.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None

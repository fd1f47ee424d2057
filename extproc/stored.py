"""What the gateway adds to chat completions that their provider stores, so that each tenant can list its own. Pure.

Two pairs of `metadata`: the tenant's mark, and a digest of it and the model. A list asks for one of them; no client
sees either.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from extproc.refusal import BadRequest

TENANT, MODEL = "headgate_tenant", "headgate_model"
MOST_PAIRS = 16  # that OpenAI's API takes

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


def marks_of(mark: str, model: str) -> dict[str, str]:
    """The pairs of a tenant's completions by a model, as clients name it."""
    return {TENANT: mark, MODEL: hashlib.sha256(f"{mark} {model}".encode()).hexdigest()[:32]}


def has_room(metadata: dict[str, Any] | None) -> bool:
    """Whether both pairs fit beside the client's."""
    return len(metadata or {}) <= MOST_PAIRS - 2


def require_no_marks(names: Iterable[str]) -> None:
    """Refuses keys of `metadata` that are the gateway's own."""
    for name in names:
        if name in (TENANT, MODEL):
            raise BadRequest(
                f"The key '{name}' of 'metadata' is reserved by the gateway.",
                param=f"metadata.{name}",
                code="invalid_value",
            )


def without_marks(body: bytes | msgspec.Raw) -> bytes:
    """A completion as its client made it: what is not in `metadata` keeps its bytes.

    Raises msgspec.MsgspecError for what is no JSON object.
    """
    members = _members.decode(body)
    pairs = members.get("metadata")
    if pairs is None or not bytes(pairs).lstrip().startswith(b"{"):
        return bytes(body)
    metadata = _members.decode(pairs)
    kept = {name: value for name, value in metadata.items() if name not in (TENANT, MODEL)}
    if len(kept) == len(metadata):
        return bytes(body)
    return msgspec.json.encode(members | {"metadata": msgspec.Raw(msgspec.json.encode(kept))})

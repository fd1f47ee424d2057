"""`adapters` of gateway.yaml, as a frozen type: who signs them, whom to trust, how much room they may take."""

from typing import Annotated, Any

from pydantic import Field, PlainValidator

from headgate.adapters.signature import key_bytes
from headgate.config.entry import Entry, Memory, Seconds, Secret, UpstreamModel
from headgate.config.values import memory
from headgate.config.wording import found
from headgate.objects.location import MOST_BYTES


def public_key(value: Any) -> str:
    """An Ed25519 public key, as `trusted_keys` has it."""
    if isinstance(value, str):
        try:
            key_bytes(value)
        except ValueError:
            pass
        else:
            return value
    raise ValueError("expected a public key, 32 bytes in base64")


def max_size(value: Any) -> int:
    """A size -> bytes; up to what a store takes at once."""
    size = memory(value)
    if size > MOST_BYTES:
        raise ValueError(f"expected a size from 1MiB to 5GiB, found {found(value)}")
    return size


class Adapters(Entry):
    """Without a `signing_key`: the file that `headgate up` has made in the state directory, once."""

    signing_key: Secret | None = None
    trusted_keys: list[Annotated[str, PlainValidator(public_key)]] = Field(default=[])
    max_size_bytes: Annotated[int, PlainValidator(max_size)] = Field(default=2 * 2**30, alias="max_size")
    max_per_tenant_bytes: Memory = Field(default=20 * 2**30, alias="max_per_tenant")
    max_total_bytes: Memory = Field(default=200 * 2**30, alias="max_total")
    min_free_bytes: Memory = Field(default=2**30, alias="min_free")
    upload_timeout_s: Seconds = Field(default=3600.0, alias="upload_timeout")
    base_names: dict[UpstreamModel, Annotated[list[UpstreamModel], Field(min_length=1)]] = Field(default={})

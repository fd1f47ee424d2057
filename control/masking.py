"""What the audit log may say of a value: its fields as JSON, secrets masked by their type. Pure.

Bytes are digests, ciphertexts and wrapped keys here, so they are masked whatever they are called; so are the types
that hold secrets or say where they are. Text is kept, but what looks like a virtual key in it is masked. A type
that nobody has thought of is an error, not a leak.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import Any

from pydantic import SecretBytes, SecretStr

from headgate.config.secret_refs import SecretRef
from headgate.virtual_key import KEY, PREFIX

MASK = "***"


def document_of(value: Any) -> Any:
    """A value as JSON, without secrets. Raises TypeError for types that have no place in the log."""
    match value:
        case None | bool() | int():
            return value
        case bytes() | bytearray() | memoryview() | SecretBytes() | SecretStr() | SecretRef():
            return MASK
        case str():
            return KEY.sub(PREFIX + MASK, value)
        case dt.datetime():
            return text_of(value)
        case Decimal():
            return format(value, "f")
        case list() | tuple():
            return [document_of(item) for item in value]
        case Mapping():
            return {document_of(key): document_of(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: document_of(getattr(value, field.name)) for field in fields(value)}
    raise TypeError(f"the audit log takes no {type(value).__name__}")


def text_of(moment: dt.datetime) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

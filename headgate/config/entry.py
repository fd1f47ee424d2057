"""What the entries of gateway.yaml are made of: their base class, and the types of single values.

Durations are seconds, sizes are bytes, money is Decimal.
"""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, PlainValidator

from headgate.config import addresses, secret_refs, values
from headgate.config.addresses import Address, Url
from headgate.config.secret_refs import SecretRef


def _parsed(kind: type, parser: Callable[[Any], Any]) -> PlainValidator:
    """The parser for what a file says; values that code made, defaults and tests, pass as they are."""
    return PlainValidator(lambda value: value if isinstance(value, kind) else parser(value))


Name = Annotated[str, PlainValidator(values.name)]
ModelName = Annotated[str, PlainValidator(values.model_name)]
UpstreamModel = Annotated[str, PlainValidator(values.upstream_model)]
KeyName = Annotated[str, PlainValidator(values.key_name)]
Sha256 = Annotated[str, PlainValidator(values.sha256)]
Expiry = Annotated[dt.datetime, _parsed(dt.datetime, values.expiry)]
Listening = Annotated[Address, _parsed(Address, addresses.address)]
HttpUrl = Annotated[Url, _parsed(Url, addresses.url)]
Secret = Annotated[SecretRef, _parsed(SecretRef, secret_refs.secret_ref)]
LocalSecret = Annotated[SecretRef, _parsed(SecretRef, secret_refs.local_secret_ref)]
ProviderSecret = Annotated[SecretRef, _parsed(SecretRef, secret_refs.provider_secret_ref)]
FilePath = Annotated[Path, _parsed(Path, values.file_path)]
RequestPath = Annotated[str, PlainValidator(values.request_path)]
HeaderName = Annotated[str, PlainValidator(values.forwarded_header)]
ApiVersion = Annotated[str, PlainValidator(values.api_version)]
VaultPath = Annotated[str, PlainValidator(values.vault_path)]
Region = Annotated[str, PlainValidator(values.region)]
Seconds = Annotated[float, PlainValidator(values.duration)]
Bytes = Annotated[int, PlainValidator(values.size)]
Memory = Annotated[int, PlainValidator(values.memory)]
Retention = Annotated[float, PlainValidator(values.retention)]
Days = Annotated[int, _parsed(int, values.days)]
Usd = Annotated[Decimal, PlainValidator(values.usd)]
Share = Annotated[float, _parsed(float, values.share)]
Flag = Annotated[bool, PlainValidator(values.flag)]
Count = Annotated[int, PlainValidator(values.whole(1))]
AtOnce = Annotated[int, PlainValidator(values.whole(1, 2**32 - 1))]  # Envoy counts in 32 bits
Priority = Annotated[int, PlainValidator(values.whole(0))]


class Entry(BaseModel):
    """A mapping of gateway.yaml: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

"""`services.secrets.kms` of gateway.yaml: the key of AWS KMS that data keys are wrapped by."""

import re
from typing import Annotated, Any

from pydantic import PlainValidator

from headgate.config.entry import Entry, HttpUrl, Region
from headgate.config.wording import found

_ID = r"[A-Za-z0-9-]{1,128}"
_ALIAS = r"alias/(?!/)[A-Za-z0-9/_-]{1,250}"
_KEY = re.compile(rf"{_ID}|{_ALIAS}|arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):[0-9]{{12}}:(key/{_ID}|{_ALIAS})")


def kms_key(value: Any) -> str:
    """A key as KMS takes it."""
    if not isinstance(value, str) or not _KEY.fullmatch(value):
        raise ValueError(f"expected the ARN, alias/NAME or id of a key of AWS KMS, found {found(value)}")
    if value.rpartition("alias/")[2].startswith("aws/"):
        raise ValueError("expected a key of your own: those below alias/aws/ are for AWS's services alone")
    return value


def region_of(key: str) -> str | None:
    """That of an ARN; None for what has none of its own."""
    match = _KEY.fullmatch(key)
    return match["region"] if match else None


class Kms(Entry):
    """`endpoint` stands in the place of the region's own."""

    key: Annotated[str, PlainValidator(kms_key)]
    region: Region | None = None
    endpoint: HttpUrl | None = None

    @property
    def asked_in(self) -> str:
        """The region; `check` sees to it that there is one."""
        return self.region or region_of(self.key) or ""

"""What requests about adapters look like."""

import re
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema

from control.adapters.states import ALONE, Versions
from control.fields import MODEL, Body
from control.store.values import Adapter as Row
from headgate.config import values
from headgate.config.wording import found
from headgate.directory.rows import ADAPTER_NAME, ADAPTER_NAME_SAID, is_adapter_name

PATH = "/tenants/{tenant}/adapters"


def _name(value: Any) -> str:
    if isinstance(value, str) and is_adapter_name(value):
        return value
    raise ValueError(f"expected {ADAPTER_NAME_SAID}, found {found(value)}")


def _weight(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= ALONE:
        return value
    raise ValueError(f"expected a whole number of percent from 1 to {ALONE}, found {found(value)}")


def _number(value: Any) -> int:
    """In a path it is text."""
    if isinstance(value, str) and re.fullmatch(r"[1-9][0-9]{0,8}", value):
        return int(value)
    raise ValueError(f"expected the number of a version, found {found(value)}")


_NUMBER_SCHEMA = {"type": "integer", "minimum": 1, "maximum": 999_999_999}
_WEIGHT_SCHEMA = {"type": "integer", "minimum": 1, "maximum": ALONE}
AdapterName = Annotated[str, PlainValidator(_name), WithJsonSchema({"type": "string", "pattern": ADAPTER_NAME})]
ModelName = Annotated[str, PlainValidator(values.model_name), WithJsonSchema({"type": "string", "pattern": MODEL})]
Number = Annotated[int, PlainValidator(values.whole(1, 999_999_999)), WithJsonSchema(_NUMBER_SCHEMA)]
NumberInPath = Annotated[int, PlainValidator(_number), WithJsonSchema(_NUMBER_SCHEMA)]
Weight = Annotated[int, PlainValidator(_weight), WithJsonSchema(_WEIGHT_SCHEMA)]


class NewAdapter(Body):
    """An adapter to be, without a version yet. Clients will call it `<tenant>/<name>`."""

    name: AdapterName
    base_model: ModelName


class Promotion(Body):
    """Which version is to be live. With a `weight` below 100 it shares the requests with the one that is."""

    version: Number
    weight: Weight = ALONE


class Rollback(Body):
    """Nothing has to be said."""


class Retirement(Body):
    """Nothing has to be said."""


def etag_version_of(row: Row, versions: Versions) -> int:
    """Another one after each change of the adapter or of one of its versions."""
    return max(row.version, *(one.version for one in versions), 0)

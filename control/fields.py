"""The types of single members of bodies and queries: parsed by the rules of gateway.yaml, and said in the OpenAPI.

What a schema can't say (printable text, no virtual key in it) the parsers refuse as well.
"""

import datetime as dt
import json
import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema

from headgate.config import values
from headgate.config.wording import found
from headgate.endpoints import ENDPOINTS
from headgate.virtual_key import KEY

NAME = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
MODEL = "^[A-Za-z0-9._:-]+(/[A-Za-z0-9._:-]+)*$"
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MOST_NOTES = 32
MOST_NOTES_BYTES = 8 * 1024  # of all of them as JSON: each change of a key writes them into the audit log twice
_OVERLAP = re.compile(r"[0-9]{1,3}[smh]", re.ASCII)
_DATE_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:.]{5,20}([Zz]|[+-][0-9]{2}:[0-9]{2})")


class Body(BaseModel):
    """What a request says: an unknown member is an error, and nothing is taken for what it is not."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Shown(BaseModel):
    """What an answer says."""

    model_config = ConfigDict(frozen=True)


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


# The default of a member that may be left out and may not be null: `model_fields_set` says whether it was given.
UNSAID: Any = Field(default=None, json_schema_extra=_without_default)


def unsaid(alias: str) -> Any:
    """The same, of a member that has another name here."""
    return Field(default=None, alias=alias, json_schema_extra=_without_default)


def size_of_json(value: Any) -> int:
    """Bytes, without white space."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str).encode())


def text(most: int, least: int = 1) -> Callable[[Any], str]:
    """A parser of text on one line, without control characters and virtual keys."""

    def parse(value: Any) -> str:
        if not isinstance(value, str) or not least <= len(value) <= most or _CONTROLS.search(value):
            raise ValueError(f"expected {least} to {most} characters on one line")
        if KEY.search(value):
            raise ValueError("expected text, found what looks like a virtual key")
        return value

    return parse


def text_schema(most: int, least: int = 1) -> dict[str, Any]:
    """What `text` takes."""
    return {"type": "string", "minLength": least, "maxLength": most, "pattern": "^[^\\x00-\\x1f\\x7f-\\x9f]*$"}


def moment(value: Any) -> dt.datetime:
    """RFC 3339, with its zone."""
    if isinstance(value, str) and _DATE_TIME.fullmatch(value):
        try:
            parsed = dt.datetime.fromisoformat(value.upper())
            return parsed.astimezone(dt.UTC)
        except (ValueError, OverflowError):
            pass
    raise ValueError(f"expected a time such as 2027-01-31T12:00:00Z, found {found(value)}")


def _listed(item: Callable[[Any], str], most: int) -> Callable[[Any], tuple[str, ...]]:
    def parse(value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not 1 <= len(value) <= most:
            raise ValueError(f"expected a list of 1 to {most}")
        items = tuple(item(one) for one in value)
        if len(set(items)) != len(items):
            raise ValueError("expected a list without repetitions")
        return items

    return parse


def _notes(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > _MOST_NOTES:
        raise ValueError(f"expected an object of at most {_MOST_NOTES} members")
    take = text(512, 0)
    for name in value:
        if not re.fullmatch(NAME, name):
            raise ValueError("expected names of letters, digits, '.', '_' and '-', at most 64 of them")
    notes = {name: take(said) for name, said in value.items()}
    if size_of_json(notes) > MOST_NOTES_BYTES:
        raise ValueError(f"expected at most {MOST_NOTES_BYTES} bytes of JSON")
    return notes


def _name(value: Any) -> str:
    if isinstance(value, str) and KEY.search(value):
        raise ValueError("expected a name, found what looks like a virtual key")
    return values.name(value)


def _key_name(value: Any) -> str:
    name = text(64)(value)
    if "," in name or "=" in name:  # as in gateway.yaml
        raise ValueError("expected a name without ',' and '='")
    return name


def _overlap(value: Any) -> dt.timedelta:
    if not isinstance(value, str) or not _OVERLAP.fullmatch(value):
        raise ValueError(f"expected a duration such as 30m or 24h, up to 999h, found {found(value)}")
    return dt.timedelta(seconds=values.retention(value))


def _count(value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,3}", value) and 1 <= int(value) <= 200:
        return int(value)
    if isinstance(value, int) and 1 <= value <= 200:  # the default
        return value
    raise ValueError(f"expected a whole number from 1 to 200, found {found(value)}")


def _flag(value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise ValueError(f"expected true or false, found {found(value)}")


def _of_names(name: dict[str, Any], most: int) -> dict[str, Any]:
    return {"type": "array", "items": name, "minItems": 1, "maxItems": most, "uniqueItems": True}


_NOTES_SCHEMA = {
    "type": "object",
    "description": f"At most {MOST_NOTES_BYTES} bytes of JSON.",
    "maxProperties": _MOST_NOTES,
    "propertyNames": {"pattern": NAME},
    "additionalProperties": text_schema(512, 0),
}
_NAME_SCHEMA = {"type": "string", "pattern": NAME, "maxLength": 64}
_MODEL_SCHEMA = {"type": "string", "pattern": MODEL, "maxLength": 128}
_MOMENT_SCHEMA = {"type": "string", "format": "date-time"}

Name = Annotated[str, PlainValidator(_name), WithJsonSchema(_NAME_SCHEMA)]
Names = Annotated[tuple[str, ...], PlainValidator(_listed(_name, 64)), WithJsonSchema(_of_names(_NAME_SCHEMA, 64))]
ModelNames = Annotated[
    tuple[str, ...], PlainValidator(_listed(values.model_name, 1000)), WithJsonSchema(_of_names(_MODEL_SCHEMA, 1000))
]
Endpoints = Annotated[
    tuple[str, ...],
    PlainValidator(_listed(values.one_of(*ENDPOINTS), len(ENDPOINTS))),
    WithJsonSchema(_of_names({"enum": list(ENDPOINTS)}, len(ENDPOINTS))),
]
KeyName = Annotated[
    str, PlainValidator(_key_name), WithJsonSchema(text_schema(64) | {"pattern": "^[^,=\\x00-\\x1f\\x7f-\\x9f]*$"})
]
DisplayName = Annotated[str, PlainValidator(text(256)), WithJsonSchema(text_schema(256))]
Metadata = Annotated[dict[str, str], PlainValidator(_notes), WithJsonSchema(_NOTES_SCHEMA)]
Moment = Annotated[dt.datetime, PlainValidator(moment), WithJsonSchema(_MOMENT_SCHEMA)]
Overlap = Annotated[
    dt.timedelta, PlainValidator(_overlap), WithJsonSchema({"type": "string", "pattern": f"^{_OVERLAP.pattern}$"})
]
Days = Annotated[int, PlainValidator(values.days), WithJsonSchema({"type": "string", "pattern": f"^{values.DAYS}$"})]
Count = Annotated[int, PlainValidator(_count), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 200})]
Flag = Annotated[bool, PlainValidator(_flag), WithJsonSchema({"type": "boolean"})]
Time = Annotated[str, WithJsonSchema(_MOMENT_SCHEMA)]

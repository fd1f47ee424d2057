"""docs/configuration.md lists every key of the model and no other, with the default that the model has."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
import yaml
from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from headgate.config.entry import Entry
from headgate.config.limits import Limits, PlanLimits
from headgate.config.model import Gateway
from headgate.limits import KINDS, KINDS_OF_PARTS

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
ROW = re.compile(r"^\| `([a-z][^`]*)` \| (.+) \| (.*) \| (.+) \|$", re.MULTILINE)
DOCUMENTED = {key: default for key, _, default, _ in ROW.findall(PAGE.read_text(encoding="utf-8"))}


def fields(entry: type[Entry], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in entry.model_fields.items():
        key = prefix + (field.alias or name)
        yield key, field
        inner, step = inner_entry(field.annotation)
        if inner:
            yield from fields(inner, f"{key}{step}.")


def inner_entry(annotation: Any) -> tuple[type[Entry] | None, str]:
    if isinstance(annotation, type) and issubclass(annotation, Entry):
        return annotation, ""
    step = {dict: ".<name>", list: "[]"}.get(get_origin(annotation), "")
    inner = [(entry, f"{step}{more}") for entry, more in map(inner_entry, get_args(annotation)) if entry]
    return inner[0] if inner else (None, "")


def documented_as(key: str) -> str:
    """Limits are documented once, at plans, whoever has them; and what a mapping says of one, once for all kinds."""
    key = re.sub(r"^tenants\.<name>\.(keys\[\]\.)?limits\.", "plans.<name>.", key)
    key = re.sub(rf"^plans\.<name>\.per\[\]\.({'|'.join(KINDS)})\b", r"plans.<name>.\1", key)
    return re.sub(rf"^plans\.<name>\.({'|'.join(KINDS_OF_PARTS)})\.", "plans.<name>.<limit>.", key)


FIELDS: dict[str, FieldInfo] = {}
for _key, _field in fields(Gateway):
    FIELDS.setdefault(documented_as(_key), _field)
HEADINGS = {"listen", "services"}  # sections whose keys are listed one by one


def test_every_key_is_documented_and_no_other() -> None:
    assert set(DOCUMENTED) == set(FIELDS) - HEADINGS
    assert len(DOCUMENTED) > 50


def test_every_kind_of_limit_has_its_key() -> None:
    assert list(Limits.model_fields) == list(KINDS_OF_PARTS)
    assert KINDS.keys() <= PlanLimits.model_fields.keys()


@pytest.mark.parametrize("key", sorted(set(DOCUMENTED) & set(FIELDS)))
def test_default(key: str) -> None:
    field, shown = FIELDS[key], DOCUMENTED[key].strip().removesuffix(", or as the `preset` says")
    if field.is_required():
        assert shown == "required"
    elif shown == "-":
        assert field.default in (None, [])
    elif shown.startswith("`"):
        adapter: TypeAdapter[Any] = TypeAdapter(field.annotation)
        validators = [item for item in field.metadata if hasattr(item, "func")]
        written = yaml.safe_load(shown.strip("`"))
        parsed = validators[0].func(written) if validators else adapter.validate_python(written)
        assert parsed == field.default
    else:
        assert key.endswith(("targets[].priority", "targets.<name>[].priority"))
        assert shown == "position, from 0"

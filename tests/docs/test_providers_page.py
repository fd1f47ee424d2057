"""docs/providers.md says of each API and each preset what the code does."""

import json
import re
from pathlib import Path
from typing import get_args

from extproc.surface import Surface
from extproc.surfaces import BY_PATH, CHAT_LIST, COUNT_TOKENS, ID, OF_STORED, RESPONSE_TOKENS
from extproc.translate import direction_of
from extproc.translate.anthropic_openai.completion import Message
from headgate.config.model import Api, Provider
from headgate.presets import PRESETS, Preset

PAGE = (Path(__file__).parents[2] / "docs" / "providers.md").read_text()
PASSES = "beside chat, completions, embeddings"
COLUMNS = ["`base_url`", "`usage`", "unsupported", "only these values", "left out", "renamed", "`developer`"]
COLUMNS += ["`responses`", PASSES]


def table(heading: str) -> dict[str, dict[str, str]]:
    """The table whose first column is called so, the one of the APIs without a name: row -> column -> cell."""
    lines = PAGE[PAGE.index(f"| {heading} |" if heading else "| | `openai`") :].split("\n\n")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    columns = cells[0][1:]
    return {row[0]: dict(zip(columns, row[1:], strict=True)) for row in cells[2:]}


def test_what_each_api_answers() -> None:
    found = table("")
    stored = {_shown(surface) for surface in OF_STORED}
    assert set(found) == {f"`/v1{path}`" for path in BY_PATH} | stored
    for api in get_args(Api):
        keeps = Provider.model_validate({"api": api, "base_url": "http://p.test"}).keeps_completions
        assert {found[row][f"`{api}`"] for row in stored} == {"as it is" if keeps else "-"}
    for path, surface in BY_PATH.items():
        for api in get_args(Api):
            family = Provider.model_validate({"api": api, "base_url": "http://p.test"}).family
            wanted = "translated" if direction_of(surface.name, family) else "-"
            if family == surface.api:
                wanted = "as it is"
            elif surface in (COUNT_TOKENS, RESPONSE_TOKENS):
                wanted = "counted here"
            assert found[f"`/v1{path}`"][f"`{api}`"] == wanted, (path, api)


def _shown(surface: Surface) -> str:
    return f"`GET /v1{surface.path}`" if surface is CHAT_LIST else f"`/v1{surface.path.replace(ID, '{id}')}`"


def test_every_preset() -> None:
    found = table("`preset`")
    assert list(found) == [f"`{name}`" for name in PRESETS]
    for name, row in PRESETS.items():
        shown = found[f"`{name}`"]
        assert {column: shown[column] for column in COLUMNS} == described(row), name


def described(row: Preset) -> dict[str, str]:
    only = [f"`{name}`: {listed([json.dumps(value) for value in values])}" for name, values in row.only.items()]
    cells = [
        f"`{row.base_url}`" if row.base_url else "-",
        f"`{row.usage}`",
        listed([*row.refused, *(f"messages[].{name}" for name in row.refused_of_messages)]),
        ", ".join(only) or "-",
        listed([*row.left_out, *(f"messages[].{name}" for name in row.left_out_of_messages)]),
        ", ".join(f"`{old}` → `{new}`" for old, new in row.renamed.items()) or "-",
        "yes" if row.developer else "as `system`",
        "-" if not row.responses else "kept" if row.keeps_responses else "yes",
        listed(sorted(row.passes)),
    ]
    return dict(zip(COLUMNS, cells, strict=True))


def listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "-"


def test_where_reasoning_is_said_to_be_it_is_read() -> None:
    names = {shown["reasoning"].strip("`") for shown in table("`preset`").values()} - {"-"}
    assert names <= set(Message.__struct_fields__)
    scanned = (Path(__file__).parents[2] / "envoy" / "module" / "scan_members.c").read_text()
    assert all(f'"{name}"' in scanned for name in names)


def test_every_preset_and_provider_with_a_section_has_its_source() -> None:
    sources = PAGE[PAGE.index("### Sources") :]
    named = {name.lower() for name in re.findall(r"^- (\w+):", sources, re.MULTILINE)}
    assert named == {*PRESETS, "azure", "bedrock"}

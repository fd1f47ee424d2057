"""docs/providers.md says of each feature what the translation to each API makes of it."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from features import ANSWERS, EMBEDDING_MODELS, FEATURES, MODELS, OF_THEMSELVES, PLAIN

from extproc.refusal import BadRequest
from extproc.translate import direction_of
from extproc.translate.direction import Direction, Target
from headgate.config.model import Family
from tests.translate.bedrock_frames import encoded
from tests.translate.golden import KNOWN, Case, cases

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "providers.md").read_text()
# Where answers of each API are, whole and streamed; OpenAI's own are in a folder for each surface.
ANSWERED = {api: f"openai_{api}" for api in get_args(Family)}
OPENAIS = {"messages": "anthropic_openai", "responses": "responses_openai"}
HEADINGS = {
    "chat": "### `/v1/chat/completions`",
    "messages": "### `/v1/messages`",
    "responses": "### `/v1/responses`",
    "embeddings": "### `/v1/embeddings`",
}


def columns_of(surface: str) -> list[str]:
    """The APIs that requests of a surface are translated to."""
    return [api for api in get_args(Family) if direction_of(surface, api)]


def carried(direction: Direction, asked: dict[str, Any], plain: dict[str, Any] | None, model: str) -> str:
    """What becomes of a request: all of it is carried, something is left out, or named as unsupported.

    `plain`: the same request without the feature."""
    target = Target("p", model)
    if direction.unsupported(asked, target):
        return "no"
    made = direction.request(asked, target)
    if made.dropped:
        return "left out"
    if plain is not None:
        without = direction.request(plain, target)
        assert (made.path, made.body) != (without.path, without.body), "what is carried can be seen in the request"
    return "yes"


def cell_of(surface: str, feature: str, api: str) -> str:
    """What the page has to say."""
    direction = direction_of(surface, api)
    assert direction
    if mark := ANSWERS[surface].get(feature):
        folder = OPENAIS[surface] if api == "openai" else ANSWERED[api]
        return "yes" if is_in_answers(direction, folder, mark) else "no"
    found = {
        carried(direction, PLAIN[surface] | members, base_of(surface, feature, members), model)
        for members in FEATURES[surface][feature]
        for model in (EMBEDDING_MODELS if surface == "embeddings" else MODELS).get(api, ("any-model",))
    }
    return found.pop() if len(found) == 1 else "partly"


def base_of(surface: str, feature: str, members: dict[str, Any]) -> dict[str, Any] | None:
    """The request without the feature: plain, but for the tools that a choice is about."""
    if feature in OF_THEMSELVES:
        return None
    tools = {"tools": members["tools"]} if "tool_choice" in members else {}
    return PLAIN[surface] | tools


def is_in_answers(direction: Direction, folder: str, mark: bytes) -> bool:
    """Whether some whole answer and some stream of the golden folder has it, as the client gets them."""
    found = {any(re.search(mark, made) for made in answers(direction, folder, kind)) for kind in ("json", "sse")}
    assert len(found) == 1, "whole answers have it, and streams do not, or the other way round"
    return found.pop()


def answers(direction: Direction, folder: str, kind: str) -> list[bytes]:
    """What the client gets, whole or streamed, of every answer in the folder."""
    if kind == "json":
        bodies = [case.read("answer.provider.json") for case in cases(folder, "answer.provider.json")]
        return [made for made in (direction.whole(body, KNOWN) for body in bodies) if isinstance(made, bytes)]
    return [streamed(direction, case) for case in cases(folder) if case.has("stream.provider.sse") or is_framed(case)]


def streamed(direction: Direction, case: Case) -> bytes:
    frames = encoded(case.json("stream.provider.json")) if is_framed(case) else case.read("stream.provider.sse")
    decoder = direction.stream(KNOWN)
    return decoder.feed(frames) + decoder.end()


def is_framed(case: Case) -> bool:
    """Whether its stream comes in Amazon's frames."""
    return case.has("stream.provider.json")


def table_of(surface: str) -> tuple[list[str], dict[str, list[str]]]:
    """The columns of a surface's table, and its rows."""
    section = PAGE[PAGE.index(HEADINGS[surface]) :]
    lines = [line for line in section[: section.index("\n\n", section.index("|---"))].splitlines() if line[:1] == "|"]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [column.strip("`") for column in rows[0][1:]], {row[0]: row[1:] for row in rows[2:]}


@pytest.mark.parametrize("surface", FEATURES)
def test_the_table_has_every_feature_and_every_api(surface: str) -> None:
    columns, rows = table_of(surface)
    assert columns == columns_of(surface)
    assert list(rows) == [*FEATURES[surface], *ANSWERS[surface]]


CELLS = [
    (surface, feature, api)
    for surface in FEATURES
    for feature in (*FEATURES[surface], *ANSWERS[surface])
    for api in columns_of(surface)
]


@pytest.mark.parametrize(("surface", "feature", "api"), CELLS, ids=[" ".join(cell) for cell in CELLS])
def test_a_cell_says_what_happens(surface: str, feature: str, api: str) -> None:
    columns, rows = table_of(surface)
    said = rows[feature][columns.index(api)]
    assert re.sub(r" \(\d+\)$", "", said) == cell_of(surface, feature, api)
    assert said.startswith("partly") == said.endswith(")"), "what is carried in part has a note"


def test_every_note_is_there_once_and_used() -> None:
    used = {
        number
        for surface in FEATURES
        for cells in table_of(surface)[1].values()
        for cell in cells
        for number in re.findall(r"^partly \((\d+)\)$", cell)
    }
    notes = re.findall(r"^(\d+)\. ", PAGE[PAGE.index("## Features") : PAGE.index("## Azure")], re.MULTILINE)
    assert sorted(used, key=int) == notes == [str(number) for number in range(1, len(notes) + 1)]


def test_a_surface_is_here_once_it_is_translated() -> None:
    known = [
        surface for surface in ("chat", "completions", "embeddings", "messages", "responses") if columns_of(surface)
    ]
    assert sorted(known) == sorted(FEATURES)


@pytest.mark.parametrize("surface", FEATURES)
def test_the_requests_are_ones(surface: str) -> None:
    """To the client's own API: nothing here is a mistake."""
    for feature, requests in FEATURES[surface].items():
        for members in requests:
            for api in columns_of(surface):
                direction = direction_of(surface, api)
                assert direction
                try:
                    direction.unsupported(PLAIN[surface] | members, Target("p", "any-model"))
                except BadRequest as refused:
                    pytest.fail(f"{feature}: {refused}")

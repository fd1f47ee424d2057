"""Whatever a file says, `check` answers with problems and never raises."""

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.config.check import check

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
TEXTS = [example.read_text(encoding="utf-8") for example in EXAMPLES]
ENVIRON = {"OPENAI_API_KEY": "x", "ANTHROPIC_API_KEY": "y", "HEADGATE_WEBHOOK_SECRET": "z"}

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["chat", "local", "env:X", "unlimited", "file:.", "http://[", "//", "1e999", "[key]", "\0", "a:1", "\ud800"]
    ),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
edits = st.lists(
    st.tuples(
        st.integers(0, max(map(len, TEXTS))),
        st.integers(0, 12),
        st.text(alphabet="{}[]:,&*!?-#'\"<\t\n ax1.~é\0", max_size=6),
    ),
    min_size=1,
    max_size=4,
)
anything = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def assert_answers(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    checked = check(path, ENVIRON)
    assert (checked.gateway is None) == bool(checked.problems)
    for problem in checked.problems + checked.warnings:
        text = str(problem)
        assert len(text.splitlines()) == 1
        assert "pydantic" not in text


@anything
@given(text=st.sampled_from(TEXTS), edits=edits)
def test_edited_text(text: str, edits: list[tuple[int, int, str]], tmp_path: Path) -> None:
    for position, removed, added in edits:
        text = text[:position] + added + text[position + removed :]
    assert_answers(tmp_path / "gateway.yaml", text.encode())


def paths_of(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(below for key, child in children for below in paths_of(child, (*path, key)))]


@anything
@given(data=st.data())
def test_replaced_values(data: st.DataObject, tmp_path: Path) -> None:
    document = yaml.safe_load(data.draw(st.sampled_from(TEXTS)))
    for _ in range(data.draw(st.integers(1, 3))):
        *parents, last = data.draw(st.sampled_from(paths_of(document)[1:]))
        place = document
        for part in parents:
            place = place[part]
        if data.draw(st.booleans()):
            place[last] = data.draw(values)
        elif isinstance(place, dict):
            place[data.draw(st.text(max_size=6))] = place.pop(last)
        else:
            del place[last]
    assert_answers(tmp_path / "gateway.yaml", yaml.safe_dump(document).encode(errors="replace"))


@pytest.mark.parametrize("text", TEXTS, ids=[example.stem for example in EXAMPLES])
def test_half_written_file(text: str, tmp_path: Path) -> None:
    for cut in range(0, len(text), 37):
        assert_answers(tmp_path / "gateway.yaml", text.encode()[:cut])

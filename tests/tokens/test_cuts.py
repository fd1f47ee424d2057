"""Long texts are cut where it does not change what is counted, and never into long pieces."""

import base64
import random
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from extproc.tokens.cuts import PIECE, pieces
from extproc.tokens.rules import Encoding
from tests.tokens.counting import counter

ROOT = Path(__file__).parents[2]
NAMES: list[Encoding] = ["cl100k_base", "o200k_base"]
# What the patterns treat in ways of their own.
ODD = [
    *("don't", "WE'LL", "it\u2019s", "'S", " 's", "\n\n", "\r\n", " ", "  ", "\t", "/", "x\n/", "1234567", "a/b"),
    *("e\u0301", "\u01c5", "(see)", "中文\uff0c字", "。", "ابج", "😀", "\u200b", "\x1c", "\x85", "\u3000", "²½"),
    *("\u017fK", "…", "foo.bar", "_", "-", "=", "--", "A", "b", "\ud800"),
]
RANDOM = random.Random(1)  # noqa: S311 - text for a test


def count(name: Encoding, text: str) -> int:
    return len(counter().encoding(name).encode_ordinary(text))


def without_places(text: str, limit: int) -> int:
    """How many cuts were made for want of a better place."""
    return sum(len(piece) == limit for piece in pieces(text, limit))


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None)
@given(parts=st.lists(st.sampled_from(ODD), max_size=400), limit=st.integers(20, 200))
@example(parts=["a", " ", "\n", " ", "b"] * 40, limit=20)
def test_pieces_have_the_tokens_of_the_whole(name: Encoding, parts: list[str], limit: int) -> None:
    text = "".join(parts)
    cut = list(pieces(text, limit))
    assert "".join(cut) == text
    assert max(map(len, cut)) <= limit
    off = sum(count(name, piece) for piece in cut) - count(name, text)
    assert abs(off) <= 3 * without_places(text, limit)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "text",
    [
        "".join(path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))),
        "".join(path.read_text() for path in sorted((ROOT / "headgate").glob("*.py"))),
        base64.b64encode(RANDOM.randbytes(90_000)).decode(),
        base64.encodebytes(RANDOM.randbytes(90_000)).decode(),
        ",".join(str(RANDOM.random()) for _ in range(5_000)),
        "".join(RANDOM.choices(["的", "是", "不", "人", "\uff0c", "。"], k=60_000)),
    ],
    ids=["prose", "code", "base64", "base64 lines", "numbers", "chinese"],
)
def test_real_texts_are_counted_exactly(name: Encoding, text: str) -> None:
    assert len(text) > 2 * PIECE
    assert sum(count(name, piece) for piece in pieces(text)) == count(name, text)


@pytest.mark.parametrize("unit", ["a", " ", "\n", "是", "^", "1", "\u0301", "\ud800"])
def test_texts_without_any_place(unit: str) -> None:
    text = unit * 400_000
    cut = list(pieces(text))
    assert "".join(cut) == text
    assert max(map(len, cut)) == PIECE
    assert len(cut) == -(-len(text) // PIECE)
    one, all_of_it = count("o200k_base", text[:PIECE]), sum(count("o200k_base", piece) for piece in cut)
    assert all_of_it <= one * len(cut)

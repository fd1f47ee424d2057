"""What providers write of their limits, as they write it, and what it comes to."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.feed.allowances import LONGEST_RESET_S, Left
from ledger.telling.provider_left import DEFAULT_RESET_S, Junk, left_of, reset_s

AT = dt.datetime(2026, 11, 21, 9, 0, tzinfo=dt.UTC)
TARGET = "provider/a@0123456789\nm"


def left(said: str, age_s: float = 0.0) -> list[Left | Junk]:
    return list(left_of(f"{TARGET}\n{said}", AT, age_s))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("20ms", 0.02),
        ("7.66s", 7.66),
        ("2m59.56s", 179.56),
        ("1h2m", LONGEST_RESET_S),
        ("12", 12.0),
        ("2026-11-21T09:00:30Z", 30.0),
        ("2026-11-21T10:00:30+01:00", 30.0),
        ("2026-11-21T08:00:00Z", 0.0),
        ("1d", LONGEST_RESET_S),
    ],
)
def test_times_as_providers_write_them(text: str, seconds: float) -> None:
    assert reset_s(text, AT) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "1s soon", "-1s", "s", "2026-11-21T09:00:30", "\u0661s", "9" * 400])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(Junk):
        reset_s(text, AT)


def test_an_answer_of_openais_and_one_of_anthropics() -> None:
    a, m = TARGET.split("\n")
    assert left("requests=60,59,1s;tokens=150000,149984,6m0s", age_s=0.5) == [
        Left(a, m, "requests", 60, 59, 0.5, 0.5),
        Left(a, m, "tokens", 150000, 149984, 359.5, 0.5),
    ]
    said = "requests=50,49,2026-11-21T09:01:00Z;tokens=,,;input-tokens=40000,0,2026-11-21T09:00:10Z;output-tokens=,,"
    assert left(said) == [Left(a, m, "requests", 50, 49, 60.0), Left(a, m, "input-tokens", 40000, 0, 10.0)]


def test_what_is_left_out_and_what_is_junk() -> None:
    assert left("requests=,5,;tokens=-,-,-")[:1] == [
        Left(*TARGET.split("\n"), kind="requests", limit=None, left=5, resets_in_s=DEFAULT_RESET_S)
    ]
    for said in (
        "requests=60,many,1s",
        "requests=60,-5,1s",
        "requests=60,1,1s,7",
        "few=1,1,1s",
        "x",
        "requests=x,5,1s",
    ):
        assert all(isinstance(one, Junk) for one in left(said)), said


@given(st.text())
def test_whatever_a_provider_says(text: str) -> None:
    for one in left_of(text, AT, 1.0):
        assert isinstance(one, Junk) or (one.left >= 0 and 0 <= one.resets_in_s <= LONGEST_RESET_S)

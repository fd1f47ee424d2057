"""Tokens that nobody has reported: learned from those that were, never less than what passed, kept over restarts."""

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.contract import LEDGER
from ledger.pricing import guesses
from ledger.pricing.fits import LEAST_SAMPLES, Fit
from ledger.pricing.guesses import MOST_KNOWN, Guesses
from ledger.pricing.pricing import NO_GUESS, Guess
from ledger.spool.lines import Line


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    LEDGER.mkdir()
    return tmp_path


def line(**fields: Any) -> Line:
    told = {
        "tenant": "acme", "attempts": 1, "status": 200, "surface": "chat", "model": "chat", "target": "p",
        "upstream_model": "gpt", "streamed": True, **fields,
    }  # fmt: skip
    return Line("end", "r", **told)


def taught(found: Guesses, number: int = 30, per_event: int = 1, **fields: Any) -> Guesses:
    """Streams of words of 5 bytes in events of so many, and prompts of 4 bytes a token in an envelope of 60."""
    for step in range(number):
        words = 10 + step * 7 % 90
        shape = {
            "prompt_tokens": 5 * words, "completion_tokens": words * per_event, "content_events": words,
            "content_bytes": 5 * words * per_event, "bytes_in": 60 + 20 * words,
        }  # fmt: skip
        found.on_line(line(**(shape | fields)))
    return found


def left(**fields: Any) -> Line:
    return line(flags="DC", **fields)


@pytest.mark.parametrize("per_event", [1, 3])
def test_a_stream_that_its_client_left_has_as_many_tokens_as_passed(per_event: int) -> None:
    found = taught(Guesses(), per_event=per_event)
    aborted = left(content_events=40, content_bytes=200 * per_event, bytes_in=60 + 400)
    assert found.guess_of(aborted) == Guess(100, 40 * per_event)


def test_where_events_are_of_any_size_bytes_decide() -> None:
    found, draw = Guesses(), random.Random(7)  # noqa: S311 - a draw of sizes
    for _ in range(100):
        events = [draw.randint(1, 30) for _ in range(20)]
        told = {"prompt_tokens": 9, "completion_tokens": sum(events), "content_bytes": 4 * sum(events)}
        found.on_line(line(content_events=20, bytes_in=99, **told))
    assert found.guess_of(left(content_events=10, content_bytes=4 * 222)).completion == 222


def test_a_json_answer_is_text_in_an_envelope() -> None:
    found = Guesses()
    for words in range(10, 60):
        told = {"prompt_tokens": 9, "completion_tokens": words, "content_events": 1, "content_bytes": 300 + 5 * words}
        found.on_line(line(streamed=None, **told))
    assert found.guess_of(line(streamed=None, content_events=1, content_bytes=800)).completion == 100


def test_a_provider_that_never_reports_goes_by_those_that_do() -> None:
    found = taught(Guesses(), per_event=2)
    silent = line(target="silent", upstream_model="same", content_events=40, content_bytes=400, bytes_in=460)
    assert found.guess_of(silent) == Guess(100, 80)
    assert found.guess_of(line(target="silent", model="other", content_events=40)).completion is None


def test_a_new_version_of_an_adapter_begins_with_what_its_base_model_and_others_of_that_have_taught() -> None:
    asked = {"target": "llama", "content_events": 40, "content_bytes": 400, "bytes_in": 460}
    new = left(model="acme/bot", base_model="chat", upstream_model="acme/bot@2-cd", **asked)
    first = {"model": "acme/bot", "base_model": "chat", "upstream_model": "acme/bot@1-ab", "target": "llama"}
    for fields in ({"target": "llama", "upstream_model": "llama"}, first):
        assert taught(Guesses(), per_event=2, **fields).guess_of(new) == Guess(100, 80)
    assert taught(Guesses(), **(first | {"base_model": "other"})).guess_of(new).completion is None


def test_until_enough_is_known_a_prompt_goes_by_its_bytes() -> None:
    found = taught(Guesses(), LEAST_SAMPLES - 1)
    assert found.guess_of(left(content_events=4, content_bytes=20, bytes_in=461)) == Guess(116, None)
    assert found.guess_of(left(content_events=4, bytes_in=10**9)) == Guess(8192, None)
    assert found.guess_of(left(content_events=4)) == NO_GUESS


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt_tokens": 1, "completion_tokens": 1},
        {"unit": "image", "content_bytes": 99, "bytes_in": 99},
        {"surface": "moderations", "bytes_in": 99},
        {"status": 503, "flags": "-", "bytes_in": 99},
    ],
)
def test_what_is_reported_or_charged_otherwise_is_not_guessed(fields: dict[str, Any]) -> None:
    assert taught(Guesses()).guess_of(line(**fields)) == NO_GUESS


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning_tokens": 5},
        {"flags": "DC"},
        {"status": 500},
        {"prompt_tokens": None},
        {"completion_tokens": None},
        {"prompt_tokens": -1},
        {"completion_tokens": 2**60, "prompt_tokens": 2**60},
        {"estimated_completion_tokens": 5},
        {"unit": "second"},
    ],
)
def test_what_teaches_nothing(fields: dict[str, Any]) -> None:
    found = taught(Guesses(), **fields)
    assert found.guess_of(left(content_events=40, content_bytes=200)) == NO_GUESS


@pytest.mark.parametrize("tokens", [12, 9_000_000 // 16, 9_000_000])
def test_a_few_requests_of_any_size_change_little_for_others(tokens: int) -> None:
    """Whoever pads prompts with spaces neither makes those of others cheap, nor dear."""
    found = taught(Guesses())
    asked = left(bytes_in=60 + 4 * 500, content_events=1)
    for _ in range(4):
        found.on_line(line(tenant="other", prompt_tokens=tokens, completion_tokens=1, bytes_in=9_000_000))
    prompt = found.guess_of(asked).prompt
    assert prompt is not None
    assert 350 <= prompt <= 900, "some 500, as nearly all say"


@given(
    lessons=st.lists(st.tuples(*[st.integers(1, 10**6)] * 5), min_size=LEAST_SAMPLES, max_size=60),
    asked=st.tuples(*[st.integers(-5, 10**8)] * 3),
    streamed=st.booleans(),
)
def test_whatever_was_learned_a_guess_has_bounds(
    lessons: list[tuple[int, int, int, int, int]], asked: tuple[int, int, int], streamed: bool
) -> None:
    found = Guesses()
    usual = [(min(max(prompt, -(-size // 16)), size), *others, size) for prompt, *others, size in lessons]
    for prompt, made, events, size, size_in in usual:
        told = {"prompt_tokens": prompt, "completion_tokens": made, "content_events": events, "content_bytes": size}
        found.on_line(line(**told, bytes_in=size_in, streamed=streamed))
    events, size, size_in = asked
    guess = found.guess_of(left(content_events=events, content_bytes=size, bytes_in=size_in, streamed=streamed))
    assert guess.completion is not None
    assert max(0, events, min(size, 1)) <= guess.completion <= max(0, events, size)
    if size_in > 0:
        assert guess.prompt is not None
        most = max(prompt for prompt, *_ in usual)
        assert min(size_in // 16, most) <= guess.prompt <= min(size_in, most)
        assert guess.prompt >= 1


def test_it_is_kept(state: Path) -> None:
    found = taught(Guesses(), per_event=2)
    aborted = left(content_events=40, content_bytes=400, bytes_in=460)
    assert found.guess_of(aborted) == Guess(100, 80)
    found.save()
    assert Guesses().guess_of(aborted) == Guess(100, 80)
    kept = (state / guesses.GUESSES).stat()
    found.save()  # nothing is new
    assert (state / guesses.GUESSES).stat().st_mtime_ns == kept.st_mtime_ns


@pytest.mark.parametrize("content", [b"", b"{", b'{"known": [{"place": 5}]}', b'{"version": 99}'])
def test_what_cannot_be_read_is_learned_anew(content: bytes, state: Path) -> None:
    (state / guesses.GUESSES).write_bytes(content)
    found = Guesses()
    assert found.guess_of(left(content_events=40)) == NO_GUESS
    taught(found).save()
    assert Guesses().guess_of(left(content_events=40, content_bytes=200)).completion == 40


def test_what_is_not_used_any_more_is_forgotten() -> None:
    found = taught(Guesses(), model="first", target="first")
    for number in range(MOST_KNOWN):
        taught(found, LEAST_SAMPLES, model=f"m{number}", target="p")
    aborted = {"content_events": 40, "content_bytes": 200}
    assert found.guess_of(left(model="first", target="first", **aborted)).completion is None
    assert found.guess_of(left(model=f"m{MOST_KNOWN - 1}", **aborted)).completion == 40


def test_the_last_few_hundred_decide() -> None:
    fit = Fit()
    for _ in range(1000):
        fit.add(100, 100)
    for _ in range(1000):
        fit.add(100, 50)
    assert 50 <= fit.best(100) < 51

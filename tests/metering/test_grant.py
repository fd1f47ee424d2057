"""What the limiter grants goes into the request's body, whatever the body's pieces; what cannot is refused."""

from typing import Any

import pytest
from stand_in import CHAT, SSE, Answer, Frame, answer
from streams import STREAMS

from headgate.contract import MAX_CHARS, MAX_TOKENS

BODY = b'{"messages":[],"max_tokens":      4096,"n":1}'
AT = BODY.index(b":      4096") + 1
EDITED = BODY.replace(b"4096", b"  77")


def asked(
    *asks: Frame, granted: tuple[str, ...] = ("77",), at: int | None = AT, status: str = "200", **more: Any
) -> Answer:
    request = CHAT | ({} if at is None else {"max_at": at})
    return answer(SSE | {":status": status}, request, [], asks=asks, granted=granted, **more)


def is_refused(passed: Answer) -> bool:
    """Nothing of the body has gone on."""
    assert not passed.refused or passed.asked == b""
    return passed.refused


def test_without_a_grant_nothing_changes() -> None:
    passed = asked(BODY, granted=())
    assert (passed.asked, is_refused(passed)) == (BODY, False)
    assert MAX_TOKENS not in passed.headers
    assert passed.asked_headers == ((":path", "/"),)


def test_the_number_is_overwritten_and_shown() -> None:
    passed = asked(BODY)
    assert passed.asked == EDITED
    assert passed.headers[MAX_TOKENS] == "77"
    assert passed.asked_headers == ((":path", "/"),)  # no provider is told


@pytest.mark.parametrize("number", ["1", "9" * MAX_CHARS, "0077"])
def test_numbers_that_fit(number: str) -> None:
    field = str(int(number)).rjust(MAX_CHARS).encode()
    passed = asked(BODY, granted=(number,))
    assert passed.asked == BODY.replace(b"      4096", field)
    assert passed.headers[MAX_TOKENS] == str(int(number))


@pytest.mark.parametrize("number", ["", "0", "-1", "+7", "7.5", " 7", "7 ", "1e3", "x", "9" * (MAX_CHARS + 1)])
def test_a_grant_that_is_no_number_is_refused(number: str) -> None:
    assert is_refused(asked(BODY, granted=(number,)))
    assert is_refused(asked(BODY, granted=("77", number)))


def test_of_two_the_lower_one_holds() -> None:
    assert asked(BODY, granted=("99", "77")).asked == EDITED
    assert asked(BODY, granted=("77", "99")).asked == EDITED


@pytest.mark.parametrize("cut", range(1, len(BODY)))
def test_a_body_in_two_pieces(cut: int) -> None:
    assert asked([BODY[:cut], BODY[cut:]]).asked == EDITED


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_a_body_in_many_pieces(size: int) -> None:
    pieces = [BODY[at : at + size] for at in range(0, len(BODY), size)]
    assert asked([b"", *pieces, b""]).asked == EDITED


def test_frames_around_the_body() -> None:
    """HTTP/2 ends many bodies with an empty one."""
    assert asked(b"", BODY, b"").asked == EDITED
    assert asked([], BODY, []).asked == EDITED
    assert asked(BODY, b" " * 20).asked == EDITED + b" " * 20


@pytest.mark.parametrize("cut", range(1, AT + MAX_CHARS))
def test_a_field_that_has_not_all_come_is_refused(cut: int) -> None:
    assert is_refused(asked(BODY[:cut], BODY[cut:]))
    assert is_refused(asked(BODY[:cut]))


@pytest.mark.parametrize("at", [None, -1, AT - 1, AT + 1, len(BODY) - 9, len(BODY), 2**31, 2**53])
def test_a_place_without_a_number_is_refused(at: int | None) -> None:
    assert is_refused(asked(BODY, at=at))


@pytest.mark.parametrize("at", [0.5, float("nan"), float("inf"), -float("inf"), 1e300])
def test_a_place_that_is_none(at: Any) -> None:
    assert is_refused(asked(BODY, at=at))


def test_an_empty_body_is_refused() -> None:
    assert is_refused(asked(b""))
    assert is_refused(asked(b"", b""))
    assert is_refused(asked())


@pytest.mark.parametrize(("status", "shown"), [("200", True), ("299", True), ("400", False), ("503", False)])
def test_errors_have_no_length(status: str, shown: bool) -> None:
    assert (MAX_TOKENS in asked(BODY, status=status).headers) == shown


def test_a_lower_limit_that_is_shown_already_stays() -> None:
    passed = answer(SSE | {MAX_TOKENS: "5"}, CHAT | {"max_at": AT}, [], asks=[BODY], granted=["77"])
    assert passed.headers[MAX_TOKENS] == "5"
    assert passed.asked == EDITED


def test_an_answer_is_metered_all_the_same() -> None:
    text = next(iter(STREAMS.values()))
    plain = answer(SSE, CHAT, [text, b""])
    granted = answer(SSE, CHAT | {"max_at": AT}, [text, b""], asks=[BODY], granted=["77"])
    assert granted.metered == plain.metered


@pytest.mark.parametrize("pieces", [1, 50])
def test_without_memory_nothing_passes_ungranted(pieces: int) -> None:
    chunks = [BODY[at : at + -(-len(BODY) // pieces)] for at in range(0, len(BODY), -(-len(BODY) // pieces))]
    for fail_at in range(1, 4):
        passed = asked(chunks, fail_at=fail_at, keeps_failing=True)
        assert is_refused(passed) or passed.asked == EDITED
    assert is_refused(asked(chunks, fail_at=1))
    assert not is_refused(asked(chunks, granted=(), fail_at=1))

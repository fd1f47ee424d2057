"""The limiter's grant in the real Envoy: every attempt gets the body that was edited, or no attempt is made."""

from collections.abc import Iterator

import pytest
from granting import AT, Granting

FIELD = b"      4096"
HEAD = b'{"max_tokens":  '


def body(size: int = 0) -> bytes:
    assert len(HEAD) == AT
    return HEAD + FIELD + b',"x":"' + b"y" * size + b'"}'


@pytest.fixture(scope="module")
def granting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Granting]:
    with Granting(tmp_path_factory.mktemp("grant")) as running:
        yield running


SIZES = [0, 16_300, 400_000, 4_000_000]  # one slice of a buffer, and many


@pytest.mark.parametrize("size", SIZES)
def test_the_first_attempt_gets_the_edited_body(granting: Granting, size: int) -> None:
    status, headers = granting.ask(body(size), grant="77")
    ((sent, text),) = granting.upstream.requests
    assert (status, headers["x-headgate-max-tokens"]) == (200, "77")
    assert text == body(size).replace(b"4096", b"  77")
    assert sent["content-length"] == str(len(text))
    assert not [name for name in sent if name.startswith("x-headgate-")]


@pytest.mark.parametrize("size", SIZES)
def test_so_does_the_next_one(granting: Granting, size: int) -> None:
    status, headers = granting.ask(body(size), 503, grant="77")
    (_, first), (sent, second) = granting.upstream.requests
    assert (status, headers["x-headgate-max-tokens"]) == (200, "77")
    assert first == second == body(size).replace(b"4096", b"  77")
    assert sent["content-length"] == str(len(second))
    assert not [name for name in sent if name.startswith("x-headgate-")]


@pytest.mark.parametrize("statuses", [(), (503,)])
def test_without_a_grant_the_body_is_the_clients(granting: Granting, statuses: tuple[int, ...]) -> None:
    status, headers = granting.ask(body(70_000), *statuses)
    assert {text for _, text in granting.upstream.requests} == {body(70_000)}
    assert (status, "x-headgate-max-tokens" in headers) == (200, False)


def test_what_a_client_grants_itself_is_nothing(granting: Granting) -> None:
    status, headers = granting.ask(body(), x_headgate_max_tokens="9999999")
    ((sent, text),) = granting.upstream.requests
    assert (status, text, "x-headgate-max-tokens" in headers) == (200, body(), False)
    assert "x-headgate-max-tokens" not in sent
    granting.ask(body(), grant="77", X_Headgate_Max_Tokens="1")
    assert granting.upstream.requests[0][1] == body().replace(b"4096", b"  77")


def test_the_lower_of_two_grants_holds(granting: Granting) -> None:
    _, headers = granting.ask(body(), grant="500 77")
    assert headers["x-headgate-max-tokens"] == "77"
    assert granting.upstream.requests[0][1] == body().replace(b"4096", b"  77")


@pytest.mark.parametrize("text", [b"", b"{}", body()[:-20], HEAD + b'"a lot"    }', HEAD[1:] + FIELD + b"}"])
def test_a_body_that_cannot_be_edited_is_refused(granting: Granting, text: bytes) -> None:
    assert granting.ask(text, grant="77")[0] == 503
    assert granting.upstream.requests == []  # not even a head


@pytest.mark.parametrize("grant", ["0", "-5", "12345678901", "77 x"])
def test_a_grant_that_is_none_is_refused(granting: Granting, grant: str) -> None:
    assert granting.ask(body(), grant=grant)[0] == 503
    assert granting.upstream.requests == []


@pytest.mark.parametrize("text", [b"", body(), body(400_000)])
def test_a_request_without_a_place_is_refused(granting: Granting, text: bytes) -> None:
    assert granting.ask(text, port=granting.unplanned, grant="77")[0] == 503
    assert granting.upstream.requests == []
    assert granting.ask(text, port=granting.unplanned)[0] == 200


def test_an_error_shows_no_limit(granting: Granting) -> None:
    status, headers = granting.ask(body(), 400, grant="77")
    assert (status, "x-headgate-max-tokens" in headers) == (400, False)


def test_a_lower_limit_that_is_shown_already_stays(granting: Granting) -> None:
    granting.upstream.headers = {"x-headgate-max-tokens": "5"}
    try:
        assert granting.ask(body(), grant="77")[1]["x-headgate-max-tokens"] == "5"
    finally:
        granting.upstream.headers = {}

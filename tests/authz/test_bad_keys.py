"""Bad keys from one place are answered later and later, good ones never; everything about it is bounded."""

import asyncio
import inspect
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.mistakes import ADDRESS, KEPT, LONGEST_S, NETWORK, Mistakes, places_of
from authz.waiting import MOST, MOST_OF_ONE, RETRY_S
from headgate.metrics import SLOWED
from headgate.wire.ext_authz_pb2 import CheckResponse
from tests.authz.asking import FILE_KEY, Asked, bearer, digest, error_of, headers_of, metadata, snapshot_of

BAD = bearer(f"hg-{'x' * 43}")
HERE, THERE = "192.0.2.1", "198.51.100.1"


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    monkeypatch.chdir(tmp_path)
    tenants = f"tenants: {{acme: {{models: [m], keys: [{{name: ci, sha256: {digest(FILE_KEY)}}}]}}}}\n"
    return Asked(snapshot_of(tmp_path, tenants))


def delays(places: list[str], now: float = 0.0) -> list[float]:
    mistakes = Mistakes()
    return [mistakes.note(places_of(place), now) for place in places]


def test_after_some_mistakes_each_one_waits_longer() -> None:
    found = delays([HERE] * 30)
    assert found[: ADDRESS.free] == [0.0] * ADDRESS.free
    assert found[ADDRESS.free : ADDRESS.free + 5] == [0.1, 0.2, 0.4, 0.8, 1.6]
    assert set(found[ADDRESS.free + 5 :]) == {LONGEST_S}


def test_mistakes_are_forgotten_with_time() -> None:
    mistakes = Mistakes()
    for _ in range(1000):
        mistakes.note(places_of(HERE), 0.0)
    assert mistakes.note(places_of(HERE), 50.0) == LONGEST_S
    later = 60.0 + (ADDRESS.free + 20) / ADDRESS.forgotten_per_s
    assert mistakes.note(places_of(HERE), later) == 0.0


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("192.0.2.77", "192.0.2.77", 2),
        ("192.0.2.77", "::ffff:192.0.2.77", 2),
        ("192.0.2.77", "192.0.2.78", 1),
        ("192.0.2.77", "192.0.3.77", 0),
        ("2001:db8:1:2::1", "2001:db8:1:2:3:4:5:6", 2),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", 1),
        ("2001:db8:1:2::1", "2001:db8:2:2::1", 0),
        ("fe80::1%eth0", "fe80::2%eth1", 2),
        ("0.0.0.1", "::1", 0),
    ],
)
def test_an_address_and_the_network_around_it(one: str, other: str, shared: int) -> None:
    assert len(set(places_of(one)) & set(places_of(other))) == shared
    assert len(places_of(one)) == 2


@given(st.text() | st.ip_addresses().map(str))
def test_any_address_counts_somewhere(address: str) -> None:
    assert places_of(address)[0].bounds == ADDRESS


def test_a_network_that_spreads_its_guesses_waits_too() -> None:
    found = delays([f"192.0.2.{number}" for number in range(NETWORK.free + 10)])
    assert found[: NETWORK.free] == [0.0] * NETWORK.free
    assert found[-1] == LONGEST_S
    assert delays([f"2001:db8:1:{number:x}::1" for number in range(NETWORK.free + 10)]) == found
    assert set(delays([f"192.0.{number}.1" for number in range(250)])) == {0.0}


def test_what_is_remembered_is_bounded() -> None:
    mistakes = Mistakes()
    for number in range(KEPT + 500):
        mistakes.note(places_of(f"2001:db8:{number % 60_000:x}:{number:x}::1"), 0.0)
    assert len(mistakes) == 2 * KEPT


def counted(how: str) -> float:
    found: float = SLOWED.labels(how)._value.get()
    return found


async def test_only_refusals_of_bad_keys_wait(asked: Asked) -> None:
    for _ in range(ADDRESS.free):
        assert error_of(asked.ask(BAD, source=HERE)) == (401, "invalid_api_key")
    waits = asked.begin(BAD, "/v1/messages", "POST", HERE)
    assert inspect.isawaitable(waits)
    for headers in ({}, {**bearer(FILE_KEY), "openai-tenant": "other"}, bearer(FILE_KEY)):
        answer = asked.ask(headers, source=HERE)  # at once, however it is decided
        assert answer.denied_response.status.code in (0, 401, 403)
    assert metadata(asked.ask(bearer(FILE_KEY), source=HERE))
    assert error_of(asked.ask(BAD, source=THERE)) == (401, "invalid_api_key")
    began = asyncio.get_running_loop().time()
    answer = CheckResponse.FromString(await waits)
    assert json.loads(answer.denied_response.body)["error"]["type"] == "authentication_error"
    assert asyncio.get_running_loop().time() - began >= 0.09


async def test_what_waits_is_bounded(asked: Asked) -> None:
    held, refused = counted("held"), counted("refused")
    waiting: list[asyncio.Future[bytes]] = []
    codes: Counter[int] = Counter()
    for source in (f"192.0.{number}.1" for number in range(20)):
        for _ in range(ADDRESS.free + 3 * MOST_OF_ONE):
            answer = asked.begin(BAD, "/v1/models", "GET", source)
            if isinstance(answer, bytes):
                told = CheckResponse.FromString(answer)
                codes[told.denied_response.status.code] += 1
                last = told
            else:
                waiting.append(asyncio.ensure_future(answer))
        assert sum(not one.done() for one in waiting) <= MOST
    assert len(waiting) == MOST == counted("held") - held
    assert codes[401] == 20 * ADDRESS.free
    assert codes[429] == counted("refused") - refused == 20 * 3 * MOST_OF_ONE - MOST
    assert error_of(last) == (429, "too_many_bad_keys")
    assert headers_of(last)["retry-after"] == str(RETRY_S)
    assert "www-authenticate" not in headers_of(last)
    for one in waiting:  # clients that left
        one.cancel()
    await asyncio.sleep(0)
    again = [asked.begin(BAD, "/v1/models", "GET", f"192.0.{number}.1") for number in range(20)]
    assert all(inspect.isawaitable(one) for one in again)


async def test_one_place_takes_no_more_than_its_part(asked: Asked) -> None:
    answers = [asked.begin(BAD, "/v1/models", "GET", HERE) for _ in range(200)]
    assert sum(inspect.isawaitable(answer) for answer in answers) == MOST_OF_ONE


def test_what_comes_through_the_gateway_itself_is_nobodys_address(asked: Asked) -> None:
    assert {error_of(asked.ask(BAD)) for _ in range(100)} == {(401, "invalid_api_key")}

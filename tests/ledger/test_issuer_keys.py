"""The keys of issuers: fetched by one process, kept on disk, and fetched anew when they should be, not more often."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headgate.contract import ISSUER_KEYS
from headgate.issuers import IssuerRow, keys_file, read_keys, wanted_file
from headgate.snapshot import Snapshot
from ledger.issuers import issuer_answers, issuer_fetch, issuer_keys
from ledger.issuers.issuer_answers import Unusable, fresh_s, is_allowed, jwks_uri_of, keys_of
from ledger.issuers.issuer_fetch import Unfetched, fetch_keys
from ledger.issuers.issuer_keys import KeyKeeper
from tests.certificates import Authority
from tests.issuer import Issuer, Mood, Signer, serving

DEADLINE_S = 60.0


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def row_of(issuer: Issuer, **more: Any) -> IssuerRow:
    return IssuerRow(issuer.url, ("headgate",), **more)


def tables(*rows: IssuerRow) -> Snapshot:
    return Snapshot(1, 0, 1, [], {}, {}, issuers=rows)


@contextlib.asynccontextmanager
async def keeping(*rows: IssuerRow) -> AsyncIterator[list[Snapshot]]:
    current = [tables(*rows)]
    task = asyncio.create_task(KeyKeeper(lambda: current[0]).run())
    try:
        yield current
    finally:
        task.cancel()
        await asyncio.wait({task})


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


def kids(row: IssuerRow) -> list[str | None]:
    said = read_keys(keys_file(row))
    return [key.kid for key in said.keys] if said and said.fetched else []


async def test_keys_are_found_by_discovery_and_kept(state: Path) -> None:
    with serving(Issuer(Signer("RS256", "r"), Signer("ES256", "e"), Signer("EdDSA", "o"))) as issuer:
        row = row_of(issuer)
        async with keeping(row):
            await until(lambda: kids(row) == ["r", "e", "o"])
        assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]
    assert oct(ISSUER_KEYS.stat().st_mode)[-3:] == "700"
    assert oct(keys_file(row).stat().st_mode)[-3:] == "600"
    assert '"d"' not in keys_file(row).read_text()
    async with keeping(row):  # the next process has them, and asks nobody while they are fresh
        await asyncio.sleep(0.5)
    assert len(issuer.asked) == 2


async def test_a_jwks_uri_needs_no_discovery_and_an_issuer_may_end_with_a_slash() -> None:
    with serving(Issuer(), ending="/realms/x/") as issuer:
        row = row_of(issuer, jwks_uri=issuer.url.removesuffix("/realms/x/") + "/keys")
        async with keeping(row):
            await until(lambda: kids(row) == ["one"])
    assert issuer.asked == ["/keys"]


async def test_an_issuer_with_a_certificate_of_a_private_ca(state: Path) -> None:
    authority = Authority()
    pair = authority.issue("127.0.0.1").write(state, "issuer")
    (state / "ca.pem").write_bytes(authority.pem)
    (state / "other.pem").write_bytes(Authority().pem)
    with serving(Issuer(), pair) as issuer:
        assert len((await fetch_keys(row_of(issuer, ca="ca.pem")))[0]) == 1
        for ca in ("other.pem", None, "nowhere.pem"):
            with pytest.raises(Unfetched):
                await fetch_keys(row_of(issuer, ca=ca))


@pytest.mark.parametrize("mood", ["down", "junk", "redirects", "huge", "compressed", "hangs"])
async def test_what_is_no_answer_changes_nothing(mood: Mood, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer_fetch, "TIMEOUT_S", 0.5)
    monkeypatch.setattr(issuer_keys, "FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(issuer_keys, "REFETCH_S", 0.0)
    with serving(Issuer()) as issuer:
        row = row_of(issuer)
        async with keeping(row):
            await until(lambda: kids(row) == ["one"])
            before = read_keys(keys_file(row))
            issuer.mood = mood
            asked = len(issuer.asked)
            wanted_file(row).touch()
            await until(lambda: len(issuer.asked) >= asked + 2)  # tried, and tried again
            await until(lambda: (found := read_keys(keys_file(row))) and found.tried > before.tried)  # type: ignore[union-attr]
            after = read_keys(keys_file(row))
            assert before
            assert after
            assert (after.keys, after.fetched) == (before.keys, before.fetched)
            assert "/moved" not in issuer.asked
            issuer.mood, issuer.signers = "well", [Signer("ES256", "two")]
            issuer.let_go()
            await until(lambda: kids(row) == ["two"])


async def test_a_key_that_is_wanted_is_fetched_at_once_and_not_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(issuer_keys, "REFETCH_S", 2.0)
    with serving(Issuer()) as issuer:
        row = row_of(issuer)
        async with keeping(row):
            await until(lambda: kids(row) == ["one"])
            issuer.signers.append(Signer("ES256", "two"))
            began, asked = time.monotonic(), len(issuer.asked)
            while time.monotonic() - began < 5.0:  # junk all the time
                wanted_file(row).touch()
                await asyncio.sleep(0.02)
            assert kids(row) == ["one", "two"]
            assert 2 <= (len(issuer.asked) - asked) / 2 <= 3


async def test_keys_that_go_stale_are_fetched_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer_answers, "LEAST_FRESH_S", 0.3)
    with serving(Issuer()) as issuer:
        issuer.cache_control = "public, max-age=0"
        row = row_of(issuer)
        async with keeping(row):
            await until(lambda: issuer.asked.count("/keys") >= 3)


async def test_an_issuer_that_goes_takes_its_keys_along() -> None:
    with serving(Issuer()) as first, serving(Issuer()) as second:
        async with keeping(row_of(first), row_of(second)) as current:
            await until(lambda: kids(row_of(first)) and kids(row_of(second)))
            current[0] = tables(row_of(second, clock_skew_s=5.0))
            await until(lambda: not keys_file(row_of(first)).exists())
            await asyncio.sleep(0.5)
            assert kids(row_of(second))
        assert second.asked.count("/keys") == 1


async def test_a_damaged_file_is_written_anew() -> None:
    with serving(Issuer()) as issuer:
        row = row_of(issuer)
        ISSUER_KEYS.mkdir()
        keys_file(row).write_bytes(b"{")
        async with keeping(row):
            await until(lambda: keys_file(row).read_bytes() != b"{" and kids(row) == ["one"])


async def test_a_full_disk_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer_keys, "FIRST_PAUSE_S", 0.05)
    fails = [True]

    def full(*args: Any) -> bool:
        if fails[0]:
            raise OSError(28, os.strerror(28))
        return write_atomic(*args)

    write_atomic = issuer_keys.write_atomic
    monkeypatch.setattr(issuer_keys, "write_atomic", full)
    with serving(Issuer()) as issuer:
        async with keeping(row_of(issuer)):
            await until(lambda: len(issuer.asked) >= 2)
            fails[0] = False
            await until(lambda: kids(row_of(issuer)) == ["one"])


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://a.example/", "jwks_uri": "https://a.example/keys"},
        {"jwks_uri": "https://a.example/keys"},
        {"issuer": "https://a.example", "jwks_uri": "http://a.example/keys"},
        {"issuer": "https://a.example", "jwks_uri": "http://127.0.0.1/keys"},
        {"issuer": "https://a.example", "jwks_uri": "file:///etc/passwd"},
        {"issuer": "https://a.example", "jwks_uri": "https://me:secret@a.example/keys"},
        {"issuer": "https://a.example", "jwks_uri": "https://a.example/\n"},
        {"issuer": "https://a.example", "jwks_uri": ["https://a.example/keys"]},
        {"issuer": "https://a.example"},
        ["issuer"],
    ],
)
def test_metadata_that_leads_nowhere(document: Any) -> None:
    with pytest.raises(Unusable):
        jwks_uri_of(msgspec.json.encode(document), "https://a.example")


def test_metadata_of_another_place_is_fine() -> None:
    document = {"issuer": "https://a.example", "jwks_uri": "https://keys.example/v3?p=x"}
    assert jwks_uri_of(msgspec.json.encode(document), "https://a.example") == "https://keys.example/v3?p=x"
    assert is_allowed("http://[::1]:80/x")
    assert not is_allowed("http://10.0.0.1/")


RSA, EC, ED = (Signer(algorithm, "k").jwk for algorithm in ("RS256", "ES256", "EdDSA"))


@pytest.mark.parametrize(
    "member",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "k"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "k", "alg": "RS256"},
        {**RSA, "d": "AQAB"},
        {**EC, "d": "AQAB"},
        {**RSA, "use": "enc"},
        {**RSA, "key_ops": ["encrypt"]},
        {**RSA, "alg": "RS512"},
        {**RSA, "alg": "HS256"},
        {**RSA, "alg": "ES256"},
        {**RSA, "kty": "EC", "crv": "P-256"},
        {**RSA, "n": RSA["n"][:170]},
        {**RSA, "n": "A" * 400},
        {**RSA, "e": "AQ"},
        {**RSA, "e": "AA"},
        {**RSA, "e": "Ag"},
        {**RSA, "n": RSA["n"] * 5},
        {**RSA, "n": "!!!"},
        {**RSA, "kid": 5},
        {**EC, "crv": "P-384"},
        {**EC, "crv": "secp256k1"},
        {**ED, "crv": "Ed448"},
        {**ED, "crv": "X25519"},
        {name: value for name, value in EC.items() if name != "y"},
        {},
        "key",
        None,
    ],
)
def test_keys_that_verify_nothing(member: Any) -> None:
    keys, unusable = keys_of(msgspec.json.encode({"keys": [member, EC]}))
    assert ([key.alg for key in keys], unusable) == (["ES256"], 1)


def test_a_set_of_keys_has_a_size() -> None:
    assert len(keys_of(msgspec.json.encode({"keys": [EC] * 100}))[0]) == 100
    for document in ({"keys": [EC] * 101}, {"keys": {}}, {}, [EC]):
        with pytest.raises(Unusable):
            keys_of(msgspec.json.encode(document))


def test_an_issuer_without_keys_has_none() -> None:
    assert keys_of(b'{"keys": []}') == ([], 0)


@pytest.mark.parametrize(
    ("cache_control", "seconds"),
    [
        ("", 3600),
        ("public, max-age=7200, must-revalidate", 7200),
        ("max-age=1", 300),
        ("max-age=999999999", 21_600),
        ("max-age=99999999999999999999", 21_600),
        ("no-store", 300),
        ("max-age=7200, no-cache", 300),
        ("s-maxage=5", 3600),
        ("Max-Age = 600", 600),
    ],
)
def test_how_long_keys_are_fresh(cache_control: str, seconds: float) -> None:
    assert fresh_s(cache_control) == seconds

"""Tokens: only those go through that an issuer of gateway.yaml has signed, whatever a token says of itself."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authz.claims import Unacceptable, Verified
from authz.token_check import MOST_REMEMBERED, REMEMBERED_S, TokenCheck
from headgate.contract import ISSUER_KEYS
from headgate.issuers import IssuerKeys, IssuerRow, PublicKey, keys_file, wanted_file
from tests.issuer import Signer, claims

ISSUER = "https://login.example/"
ROW = IssuerRow(ISSUER, ("headgate", "other"), tenant_claim="org.tenant", roles_claim="https://example.com/roles")
SIGNERS = {algorithm: Signer(algorithm, algorithm.lower()) for algorithm in ("RS256", "ES256", "EdDSA")}
MEMBERS = ("n", "e", "x", "y")


def write_keys(row: IssuerRow, *signers: Signer, age_s: float = 0.0, tried_s: float | None = None) -> None:
    keys = []
    for signer in signers:
        public = {name: signer.jwk[name] for name in MEMBERS if name in signer.jwk}
        keys.append(PublicKey(signer.algorithm, signer.kid, **public))  # type: ignore[arg-type]
    fetched = time.time() - age_s
    said = IssuerKeys(row.issuer, keys, fetched, fetched if tried_s is None else time.time() - tried_s)
    ISSUER_KEYS.mkdir(exist_ok=True)
    draft = Path("draft")
    draft.write_bytes(msgspec.json.encode(said))
    draft.replace(keys_file(row))


@pytest.fixture(scope="module")
def check(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenCheck]:
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("state"))
    write_keys(ROW, *SIGNERS.values())
    yield TokenCheck([ROW])
    os.chdir(before)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def verify(check: TokenCheck, token: str, now: float | None = None) -> Verified | str:
    try:
        return check.verify(token, time.time() if now is None else now)
    except Unacceptable as error:
        return str(error)


def signed(algorithm: str = "ES256", **more: Any) -> str:
    return SIGNERS[algorithm].sign(claims(ISSUER, **more))


def part(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def resigned(header: dict[str, Any], payload: bytes, algorithm: str = "ES256") -> str:
    """Signed as it stands, by the right key: what libraries would not write."""
    text = f"{part(header)}.{part(payload)}"
    signer = SIGNERS[algorithm]
    return f"{text}.{part(jwt.get_algorithm_by_name(algorithm).sign(text.encode(), signer.key))}"


@pytest.mark.parametrize("algorithm", SIGNERS)
def test_a_good_token_says_who_it_is(check: TokenCheck, algorithm: str) -> None:
    more = {"org": {"tenant": "acme"}, "https://example.com/roles": ["x", "analyst", "owner"]}
    who = verify(check, signed(algorithm, **more))
    assert isinstance(who, Verified)
    assert (who.issuer, who.subject, who.tenants, who.role) == (ISSUER, "ann", ("acme",), "owner")


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt"])
def test_types_of_tokens_to_call_with(check: TokenCheck, typ: str) -> None:
    assert isinstance(verify(check, SIGNERS["ES256"].sign(claims(ISSUER), typ=typ)), Verified)


NOW = int(time.time())


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"iss": "https://login.example"}, "unknown_issuer"),
        ({"iss": None}, "unknown_issuer"),
        ({"iss": [ISSUER]}, "unknown_issuer"),
        ({"aud": "somebody"}, "wrong_audience"),
        ({"aud": None}, "wrong_audience"),
        ({"aud": ["a", "b"]}, "wrong_audience"),
        ({"aud": {"headgate": 1}}, "wrong_audience"),
        ({"aud": [["headgate"]]}, "wrong_audience"),
        ({"exp": None}, "bad_token_claims"),
        ({"exp": str(NOW + 600)}, "bad_token_claims"),
        ({"exp": True}, "bad_token_claims"),
        ({"exp": 10**400}, "bad_token_claims"),
        ({"exp": -1}, "bad_token_claims"),
        ({"exp": NOW - 61}, "expired_token"),
        ({"nbf": NOW + 7200}, "token_not_valid_yet"),
        ({"nbf": "soon"}, "bad_token_claims"),
        ({"iat": NOW + 7200}, "token_not_valid_yet"),
        ({"sub": None}, "bad_token_claims"),
        ({"sub": ""}, "bad_token_claims"),
        ({"sub": 7}, "bad_token_claims"),
        ({"sub": "a" * 256}, "bad_token_claims"),
        ({"sub": "a\nb"}, "bad_token_claims"),
        ({"org": {"tenant": 7}}, "bad_token_claims"),
        ({"org": {"tenant": ["a", None]}}, "bad_token_claims"),
    ],
)
def test_claims_that_are_refused(check: TokenCheck, more: dict[str, Any], reason: str) -> None:
    assert verify(check, signed(**more)) == reason


def test_clocks_may_differ_by_a_minute(check: TokenCheck) -> None:
    now = time.time()
    assert isinstance(verify(check, signed(exp=now - 50, nbf=now + 50, iat=now + 50.5)), Verified)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"alg": "none"}, "token_algorithm"),
        ({"alg": "HS256"}, "token_algorithm"),
        ({"alg": "RS512"}, "token_algorithm"),
        ({"alg": "PS256"}, "token_algorithm"),
        ({"alg": "es256"}, "token_algorithm"),
        ({"alg": None}, "malformed_token"),
        ({"alg": ["ES256"]}, "malformed_token"),
        ({"typ": "logout+jwt"}, "malformed_token"),
        ({"typ": "dpop+jwt"}, "malformed_token"),
        ({"typ": 1}, "malformed_token"),
        ({"crit": ["exp"], "exp": 1}, "malformed_token"),
        ({"crit": []}, "malformed_token"),
        ({"b64": True}, "malformed_token"),
        ({"cty": "JWT"}, "malformed_token"),
        ({"zip": "DEF"}, "malformed_token"),
        ({"kid": 5}, "malformed_token"),
        ({"kid": "k" * 257}, "malformed_token"),
        ({"kid": "nobody's"}, "unknown_token_key"),
        ({"kid": "rs256"}, "unknown_token_key"),  # a key of another kind
    ],
)
def test_headers_that_are_refused(check: TokenCheck, header: dict[str, Any], reason: str) -> None:
    token = resigned({"alg": "ES256", "kid": "es256", **header}, json.dumps(claims(ISSUER)).encode())
    assert verify(check, token) == reason


def test_no_key_and_no_place_of_keys_is_taken_from_a_token(check: TokenCheck) -> None:
    stranger = Signer("ES256", "es256")
    more = {"jwk": stranger.jwk, "jku": "http://127.0.0.1:1/", "x5u": "http://127.0.0.1:1/", "x5c": ["MII="]}
    assert verify(check, stranger.sign(claims(ISSUER), **more)) == "bad_token_signature"
    assert isinstance(verify(check, SIGNERS["ES256"].sign(claims(ISSUER), **more)), Verified)  # only not looked at


@pytest.mark.parametrize("form", ["pem", "der", "modulus"])
def test_a_public_key_is_no_secret_to_sign_with(check: TokenCheck, form: str) -> None:
    public = SIGNERS["RS256"].key.public_key()
    encoding = serialization.Encoding.DER if form == "der" else serialization.Encoding.PEM
    secret = public.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
    if form == "modulus":
        secret = SIGNERS["RS256"].jwk["n"].encode()
    for algorithm in ("HS256", "RS256"):
        text = f"{part({'alg': algorithm, 'kid': 'rs256'})}.{part(claims(ISSUER))}"
        token = f"{text}.{part(hmac.digest(secret, text.encode(), hashlib.sha256))}"
        assert verify(check, token) in ("token_algorithm", "bad_token_signature")


@pytest.mark.parametrize(
    ("algorithm", "signature"),
    [
        ("ES256", bytes(64)),
        ("ES256", bytes(63) + b"\x01"),
        ("ES256", b"\x30\x06\x02\x01\x00\x02\x01\x00"),
        ("ES256", b""),
        ("EdDSA", bytes(64)),
        ("EdDSA", b"\x01" + bytes(63)),  # R is the neutral point, S is 0
        ("EdDSA", bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a") + bytes(32)),
        ("RS256", bytes(256)),
        ("RS256", bytes(255) + b"\x01"),
        ("RS256", b"\xff" * 256),
    ],
)
def test_signatures_that_fit_everything(check: TokenCheck, algorithm: str, signature: bytes) -> None:
    text = signed(algorithm).rpartition(".")[0]
    token = f"{text}.{part(signature)}"
    assert verify(check, token) in ("bad_token_signature", "malformed_token")


@pytest.mark.parametrize(
    "payload",
    [
        b'{"iss": "https://a.example/", "iss": "https://login.example/", "sub": "a", "aud": "headgate", "exp": 9e9}',
        b'{"iss": "https://login.example/", "sub": "a", "aud": "headgate", "exp": NaN}',
        b'{"iss": "https://login.example/", "sub": "a", "aud": "headgate", "exp": Infinity}',
        b'{"iss": "https://login.example/", "sub": {"a": 1, "a": 2}, "aud": "headgate", "exp": 9e9}',
        b"[" * 5000,
        b'"text"',
        b"[]",
        b"\xff\xfe{}",
        b"",
        b'{"exp": ' + b"9" * 5000 + b"}",
    ],
)
def test_json_that_can_be_read_in_two_ways(check: TokenCheck, payload: bytes) -> None:
    assert verify(check, resigned({"alg": "ES256", "kid": "es256"}, payload)) == "malformed_token"


def test_a_number_without_an_end(check: TokenCheck) -> None:
    payload = b'{"iss": "https://login.example/", "sub": "a", "aud": "headgate", "exp": 1e999}'
    assert verify(check, resigned({"alg": "ES256", "kid": "es256"}, payload)) == "bad_token_claims"


def test_the_header_twice(check: TokenCheck) -> None:
    text = f'{part(b"""{"alg":"none","alg":"ES256","kid":"es256"}""")}.{part(claims(ISSUER))}'
    signature = jwt.get_algorithm_by_name("ES256").sign(text.encode(), SIGNERS["ES256"].key)
    assert verify(check, f"{text}.{part(signature)}") == "malformed_token"


def test_a_token_has_a_size(check: TokenCheck) -> None:
    assert isinstance(verify(check, signed(x="y" * 8000)), Verified)
    assert verify(check, signed(x="y" * 16_000)) == "malformed_token"


def test_every_letter_counts(check: TokenCheck) -> None:
    for algorithm in SIGNERS:
        token = signed(algorithm)
        assert isinstance(verify(check, token), Verified)
        for index, letter in enumerate(token):
            for other in {"A", "B", "_", "=", ".", "é", " "} - {letter}:
                changed = token[:index] + other + token[index + 1 :]
                assert isinstance(verify(check, changed), str), (algorithm, index, other)
        for more in ("=", "==", "A", "!", "\n", " "):
            assert isinstance(verify(check, token + more), str)


def test_the_last_letter_has_no_spare_bits(check: TokenCheck) -> None:
    token = signed("ES256")  # 64 bytes: the last letter stands for 2 bits only
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twins = [token[:-1] + letter for letter in letters if letter != token[-1]]
    assert not [twin for twin in twins if isinstance(verify(check, twin), Verified)]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text() | st.from_regex(r"[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}"))
def test_any_text_is_refused(check: TokenCheck, text: str) -> None:
    assert isinstance(verify(check, text), str)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
header_names = st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "x5c", "cty"])
claim_names = st.sampled_from(["iss", "aud", "sub", "exp", "nbf", "iat", "org", "https://example.com/roles"])


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    header=st.dictionaries(header_names, json_values),
    payload=st.dictionaries(claim_names, json_values),
    sign=st.booleans(),
)
def test_any_header_and_claims(
    check: TokenCheck, header: dict[str, Any], payload: dict[str, Any], sign: bool
) -> None:
    """Nothing that is signed otherwise is anybody; what is signed well and odd raises nothing else."""
    full = {"alg": "ES256", "kid": "es256", **header}
    body = json.dumps({**claims(ISSUER), **payload}).encode()
    found = verify(check, resigned(full, body) if sign else f"{part(full)}.{part(body)}.{part(bytes(64))}")
    assert sign or isinstance(found, str)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), algorithm=st.sampled_from(list(SIGNERS)))
def test_parts_of_several_tokens(check: TokenCheck, data: st.DataObject, algorithm: str) -> None:
    own, other = signed(algorithm).split("."), signed(data.draw(st.sampled_from(list(SIGNERS))), sub="bob").split(".")
    mixed = [data.draw(st.sampled_from(pair)) for pair in zip(own, other, strict=True)]
    if mixed not in (own, other):
        assert isinstance(verify(check, ".".join(mixed)), str)


def test_without_keys_nobody_is_let_in(state: Path) -> None:
    check = TokenCheck([ROW])
    assert verify(check, signed()) == "issuer_keys_unavailable"
    write_keys(ROW, SIGNERS["ES256"], age_s=86_401)
    assert verify(TokenCheck([ROW]), signed()) == "issuer_keys_unavailable"
    write_keys(ROW, SIGNERS["ES256"], age_s=86_000)
    assert isinstance(verify(TokenCheck([ROW]), signed()), Verified)


def test_what_is_remembered_ends_with_the_key(state: Path) -> None:
    check, token, now = TokenCheck([ROW]), signed(), time.time()
    write_keys(ROW, SIGNERS["ES256"])
    assert isinstance(verify(check, token), Verified)
    assert verify(check, token, now + 86_401) == "issuer_keys_unavailable"
    write_keys(ROW, Signer("ES256", "es256"))
    time.sleep(1.1)
    assert verify(check, token) == "bad_token_signature"
    write_keys(ROW)
    time.sleep(1.1)
    assert verify(check, token) == "unknown_token_key"


def test_what_is_remembered_ends_with_the_token(state: Path) -> None:
    check, now = TokenCheck([ROW]), time.time()
    write_keys(ROW, SIGNERS["ES256"])
    token = signed(exp=now + 5)
    assert isinstance(verify(check, token), Verified)
    assert isinstance(verify(check, token, now + 64), Verified)
    assert verify(check, token, now + 66) == "expired_token"


def test_little_is_remembered(check: TokenCheck) -> None:
    for number in range(MOST_REMEMBERED + 50):
        check._remember(str(number).encode(), None)  # type: ignore[arg-type]
    assert len(check._known) == MOST_REMEMBERED
    check._known.clear()
    assert REMEMBERED_S <= 60


def test_keys_without_a_name_and_names_for_two(state: Path) -> None:
    check = TokenCheck([ROW])
    alone = Signer("ES256", "a")
    write_keys(ROW, alone, SIGNERS["EdDSA"])
    assert isinstance(verify(check, alone.sign(claims(ISSUER), kid=None)), Verified)
    twin = Signer("ES256", "a")
    write_keys(ROW, alone, twin)
    for token in (alone.sign(claims(ISSUER)), twin.sign(claims(ISSUER)), alone.sign(claims(ISSUER), kid=None)):
        assert verify(TokenCheck([ROW]), token) == "unknown_token_key"


def test_the_algorithms_of_the_issuer_alone(state: Path) -> None:
    row = msgspec.structs.replace(ROW, algorithms=("EdDSA",))
    write_keys(row, *SIGNERS.values())
    check = TokenCheck([row])
    assert verify(check, signed("ES256")) == "token_algorithm"
    assert isinstance(verify(check, signed("EdDSA")), Verified)


def test_an_issuers_key_signs_for_that_issuer_alone(state: Path) -> None:
    other = IssuerRow("https://other.example", ("headgate",))
    write_keys(ROW, SIGNERS["ES256"])
    write_keys(other, Signer("ES256", "es256"))
    check = TokenCheck([ROW, other])
    assert verify(check, SIGNERS["ES256"].sign(claims("https://other.example"))) == "bad_token_signature"


def test_keys_are_asked_for_once(state: Path) -> None:
    check, token = TokenCheck([ROW]), SIGNERS["ES256"].sign(claims(ISSUER), kid="new")
    write_keys(ROW, SIGNERS["ES256"])
    assert verify(check, token) == "unknown_token_key"
    assert check.until_fetched(token, "unknown_token_key", time.time()) is None  # fetched a moment ago
    assert not wanted_file(ROW).exists()
    write_keys(ROW, SIGNERS["ES256"], tried_s=31)
    check = TokenCheck([ROW])
    verify(check, token)
    waits = check.until_fetched(token, "unknown_token_key", time.time())
    assert waits is not None
    waits.close()  # type: ignore[attr-defined]
    assert wanted_file(ROW).exists()


async def test_a_new_key_is_waited_for(state: Path) -> None:
    check, new = TokenCheck([ROW]), Signer("ES256", "new")
    token = new.sign(claims(ISSUER))
    write_keys(ROW, SIGNERS["ES256"], tried_s=31)
    assert verify(check, token) == "unknown_token_key"
    waits = check.until_fetched(token, "unknown_token_key", time.time())
    assert waits is not None
    waiting = asyncio.ensure_future(waits)
    await asyncio.sleep(0.1)
    assert not waiting.done()
    write_keys(ROW, SIGNERS["ES256"], new)
    await asyncio.wait_for(waiting, 60)
    assert isinstance(verify(check, token), Verified)

"""The identity header: what is said is what is read, for that request and for a short time."""

import string

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.identity import MAX_AGE_MS, MAX_CHARS, BadIdentity, Identity, sign, verify
from headgate.roles import ROLES, TENANT_ROLES

KEY, NOW = b"k" * 32, 1_800_000_000_000
IDENTITY = Identity(
    "user",
    "user_1",
    None,
    "read-only",
    {"acme": "owner"},
    "r-1",
    "192.0.2.1",
    "GET",
    "/admin/v1/tenants?limit=2",
    NOW,
)
identities = st.builds(
    Identity,
    kind=st.sampled_from(["key", "user", "client"]),
    id=st.text(),
    tenant=st.none() | st.text(),
    role=st.sampled_from(ROLES),
    memberships=st.dictionaries(st.text(max_size=9), st.sampled_from(TENANT_ROLES), max_size=4),
    request_id=st.text(),
    source_address=st.text(),
    method=st.text(),
    path=st.text(),
    issued_ms=st.integers(0, 2**53),
)


def read(text: str, identity: Identity = IDENTITY, key: bytes = KEY, now_ms: int = NOW) -> Identity:
    return verify(text, key, method=identity.method, path=identity.path, now_ms=now_ms)


@given(identities, st.binary(min_size=1, max_size=64))
def test_what_is_said_is_what_is_read(identity: Identity, key: bytes) -> None:
    text = sign(identity, key)
    assert set(text) <= set(string.ascii_letters + string.digits + "-_.")  # good in a header
    assert read(text, identity, key, identity.issued_ms) == identity


@given(st.text() | st.from_regex(r"[A-Za-z0-9_\-]{0,90}\.[A-Za-z0-9_\-]{0,50}={0,2}"))
def test_junk_is_nobody(text: str) -> None:
    with pytest.raises(BadIdentity):
        read(text)


@given(st.integers(0), st.sampled_from(string.ascii_letters + string.digits + "-_.="))
def test_one_other_character_is_nobody(place: int, other: str) -> None:
    text = sign(IDENTITY, KEY)
    place %= len(text)
    changed = text[:place] + other + text[place + 1 :]
    if changed != text:
        with pytest.raises(BadIdentity):
            read(changed)


@pytest.mark.parametrize(
    "request_",
    [
        {"method": "POST", "path": IDENTITY.path},
        {"method": "GET", "path": "/admin/v1/tenants"},
        {"method": "GET", "path": "/admin/v1/tenants?limit=20"},
        {"method": "", "path": f"GET\n{IDENTITY.path}"},
        {"method": f"GET\n{IDENTITY.path}", "path": ""},
    ],
)
def test_it_is_good_for_one_request(request_: dict[str, str]) -> None:
    with pytest.raises(BadIdentity):
        verify(sign(IDENTITY, KEY), KEY, now_ms=NOW, **request_)


def test_another_service_key_signs_nothing() -> None:
    with pytest.raises(BadIdentity):
        read(sign(IDENTITY, b"other"))


@pytest.mark.parametrize("age_ms", [MAX_AGE_MS + 1, -MAX_AGE_MS - 1])
def test_it_is_good_for_a_short_time(age_ms: int) -> None:
    text = sign(IDENTITY, KEY)
    assert read(text, now_ms=NOW + MAX_AGE_MS) == IDENTITY
    with pytest.raises(BadIdentity, match="too old"):
        read(text, now_ms=NOW + age_ms)


def test_what_would_fill_all_headers_is_not_read() -> None:
    large = msgspec.structs.replace(IDENTITY, id="x" * MAX_CHARS)
    with pytest.raises(BadIdentity):
        read(sign(large, KEY))


def test_a_query_that_is_empty_is_none() -> None:
    asked = msgspec.structs.replace(IDENTITY, path="/admin/v1/me?")
    text = sign(asked, KEY)
    assert read(text, msgspec.structs.replace(asked, path="/admin/v1/me")).id == asked.id
    with pytest.raises(BadIdentity):
        read(text, msgspec.structs.replace(asked, path="/admin/v1/me??"))

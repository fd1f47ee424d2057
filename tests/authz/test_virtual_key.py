"""Keys as text: those that we make, those that look like it, and what is stored of them."""

import string
from hashlib import sha256
from hmac import new

from hypothesis import given
from hypothesis import strategies as st

from headgate.virtual_key import KEY, checksum_of, digest_of, has_checksum, make_key, shown_of, split_key

URL_SAFE = string.ascii_letters + string.digits + "-_"
drawn = st.text(URL_SAFE, min_size=37, max_size=37)


def test_what_is_made() -> None:
    made = {make_key() for _ in range(2000)}
    assert len(made) == 2000
    assert all(KEY.fullmatch(key) and has_checksum(key) for key in made)
    # Each of the 37 places takes any of the 64 characters: 222 bits, none of them spoilt by an encoding's end.
    assert {len({key[place] for key in made}) for place in range(3, 40)} == {64}


def test_the_checksum_is_the_crc_of_the_37_characters() -> None:
    # zlib's and everybody's CRC-32 of "a" * 37, as base64url.
    assert checksum_of("a" * 37) == "nRlrow"
    assert has_checksum(f"hg-{'a' * 37}nRlrow")


@given(drawn)
def test_a_key_is_split_where_its_checksum_begins(text: str) -> None:
    key = f"hg-{text}{checksum_of(text)}"
    assert split_key(key) == (text, key[-6:])
    assert has_checksum(key)


@given(drawn, st.integers(3, 45), st.sampled_from(URL_SAFE))
def test_one_wrong_character_is_noticed(text: str, place: int, other: str) -> None:
    key = f"hg-{text}{checksum_of(text)}"
    wrong = key[:place] + other + key[place + 1 :]
    assert has_checksum(wrong) == (wrong == key)


@given(drawn, st.integers(3, 44))
def test_two_neighbours_the_wrong_way_round_are_noticed(text: str, place: int) -> None:
    key = f"hg-{text}{checksum_of(text)}"
    wrong = key[:place] + key[place + 1] + key[place] + key[place + 2 :]
    assert has_checksum(wrong) == (wrong == key)


@given(st.text() | st.from_regex(r"hg-[A-Za-z0-9_\-]{40,46}\n?") | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_whatever_comes_is_a_key_or_none(text: str) -> None:
    looks = len(text) == 46 and text.startswith("hg-") and set(text[3:]) <= set(URL_SAFE)
    assert (split_key(text) is not None) == looks
    assert has_checksum(text) in ({True, False} if looks else {False})


@given(drawn, st.binary(max_size=200), st.binary(max_size=200))
def test_the_digest_needs_the_pepper(text: str, pepper: bytes, other: bytes) -> None:
    key = f"hg-{text}{checksum_of(text)}"
    digest = digest_of(key, pepper)
    assert digest == new(pepper, key.encode(), sha256).digest()
    assert len(digest) == 32
    padded = [one.ljust(64, b"\0") if len(one) <= 64 else one for one in (pepper, other)]  # RFC 2104: the same key
    assert (digest == digest_of(key, other)) == (padded[0] == padded[1])


def test_what_is_shown_tells_too_little() -> None:
    key = make_key()
    assert shown_of(key) == key[:8]
    assert len(key) - len(shown_of(key)) == 38

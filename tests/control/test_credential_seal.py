"""Sealed credentials and wrapped data keys: what opens, and that nothing else does."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.credential_seal import BadSecret, Broken, OpenKey, SealingError, UnknownKey, new_key, seal, unseal
from control.wrapping import LocalKeys

KEY = OpenKey("dk_1", new_key())
SECRET = "sk-hunter2"


def test_a_credential_opens_where_it_belongs() -> None:
    sealed = seal(KEY, "openai", "api_key", SECRET)
    assert unseal(KEY, sealed) == SECRET
    assert SECRET.encode() not in sealed.ciphertext
    assert seal(KEY, "openai", "api_key", SECRET).nonce != sealed.nonce


@pytest.mark.parametrize("row", [{"provider": "claude"}, {"field": "token"}, {"nonce": bytes(12)}, {"nonce": b""}])
def test_it_does_not_open_in_another_row(row: dict[str, object]) -> None:
    with pytest.raises(Broken) as caught:
        unseal(KEY, replace(seal(KEY, "openai", "api_key", SECRET), **row))  # type: ignore[arg-type]
    assert SECRET not in str(caught.value)


def test_it_does_not_open_as_another_data_keys() -> None:
    with pytest.raises(Broken):
        unseal(OpenKey("dk_2", KEY.key), seal(KEY, "openai", "api_key", SECRET))
    with pytest.raises(Broken):
        unseal(OpenKey("dk_1", new_key()), seal(KEY, "openai", "api_key", SECRET))


@given(st.data())
def test_no_bit_may_flip(data: st.DataObject) -> None:
    sealed = seal(KEY, "openai", "api_key", SECRET)
    at = data.draw(st.integers(0, len(sealed.ciphertext) * 8 - 1))
    flipped = bytearray(sealed.ciphertext)
    flipped[at // 8] ^= 1 << at % 8
    with pytest.raises(Broken):
        unseal(KEY, replace(sealed, ciphertext=bytes(flipped)))
    with pytest.raises(Broken):
        unseal(KEY, replace(sealed, ciphertext=sealed.ciphertext[: at // 8]))


@pytest.mark.parametrize("secret", ["", "sk-\n", "sk-ä", "\x00", "k" * 20_000])
def test_what_cannot_stand_in_a_header_is_refused(secret: str) -> None:
    with pytest.raises(BadSecret) as caught:
        seal(KEY, "openai", "api_key", secret)
    assert "sk-" not in str(caught.value)


def test_no_key_is_in_a_repr() -> None:
    assert repr(KEY) == "OpenKey(dk_1)"


@pytest.fixture
def local(tmp_path: Path) -> LocalKeys:
    return LocalKeys(tmp_path / "identity" / "local-key")


def test_a_local_key_is_made_once_and_for_us_alone(local: LocalKeys, tmp_path: Path) -> None:
    name = local.name
    path = tmp_path / "identity" / "local-key"
    assert LocalKeys(path).name == name
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert len(path.read_text()) == 44


def test_a_data_key_opens_by_its_id_alone(local: LocalKeys) -> None:
    wrapped = local.wrap("dk_1", KEY.key)
    assert local.unwrap("dk_1", wrapped, local.name) == KEY.key
    assert KEY.key not in wrapped
    for other_id, other in (
        ("dk_2", wrapped),
        ("dk_1", wrapped[:-1]),
        ("dk_1", bytes([wrapped[0] ^ 1]) + wrapped[1:]),
    ):
        with pytest.raises(Broken):
            local.unwrap(other_id, other, local.name)


def test_a_new_local_key_wraps_anew_what_the_old_one_has_wrapped(local: LocalKeys) -> None:
    old, wrapped = local.name, local.wrap("dk_1", KEY.key)
    assert local.renewed("dk_1", wrapped, old) is None
    local.add_key()
    fresh = local.renewed("dk_1", wrapped, old)
    assert fresh is not None
    assert local.unwrap("dk_1", fresh, local.name) == local.unwrap("dk_1", wrapped, old) == KEY.key
    local.keep_newest()
    assert local.unwrap("dk_1", fresh, local.name) == KEY.key
    with pytest.raises(UnknownKey):
        local.unwrap("dk_1", wrapped, old)


@pytest.mark.parametrize("content", ["", "short", "AAAA*", "A" * 43 + "\n" + "x"])
def test_a_file_that_is_no_key_is_not_written_over(tmp_path: Path, content: str) -> None:
    path = tmp_path / "local-key"
    path.write_text(content)
    with pytest.raises(SealingError):
        LocalKeys(path).wrap("dk_1", KEY.key)
    assert path.read_text() == content

"""What gateway and worker say to each other: cut anywhere it is the same, junk is refused, no other file is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.remote.messages import (
    PIECE_BYTES,
    Add,
    Garbled,
    Handed,
    Hello,
    Put,
    Said,
    Unpacker,
    Word,
    is_handed_over,
    packed,
)

MESSAGES: list[Handed] = [
    Hello("id", 2, "redis://counters.test:6379"),
    Put("secrets/auth+0123456789", b"s" * 43, last=True),
    Put("snapshot.json", b"", last=False),
    Add("directory/rows", bytes(range(256))),
    Word(7, 2**40, 3),
]


def unpacker() -> Unpacker[Handed]:
    return Unpacker(Handed)  # type: ignore[arg-type] # a union is no class


def test_cut_at_every_index() -> None:
    whole = b"".join(map(packed, MESSAGES))
    for cut in range(len(whole) + 1):
        reader = unpacker()
        assert [*reader.feed(whole[:cut]), *reader.feed(whole[cut:])] == MESSAGES


def test_byte_by_byte() -> None:
    reader = unpacker()
    assert [message for byte in b"".join(map(packed, MESSAGES)) for message in reader.feed(bytes([byte]))] == MESSAGES


def test_the_largest_piece_passes() -> None:
    message = Put("directory/rows", bytes(range(256)) * (PIECE_BYTES // 256), last=True)
    assert list(unpacker().feed(packed(message))) == [message]


def test_what_is_longer_is_refused_before_it_is_there() -> None:
    with pytest.raises(Garbled):
        list(unpacker().feed(b"\xff\xff\xff\xff"))


@given(st.binary(max_size=200))
def test_junk_is_refused_or_waited_for(junk: bytes) -> None:
    for reader in (unpacker(), Unpacker(Said)):
        try:
            found = list(reader.feed(junk))
        except Garbled:
            continue
        assert not found or all(isinstance(one, Handed | Said) for one in found)


@pytest.mark.parametrize(
    "path",
    [
        "snapshot.json",
        "directory/rows",
        "identity/pepper",
        "secrets/auth+0123456789",
        "jwks/0123456789abcdef0123.json",
    ],
)
def test_files_that_are_handed_over(path: str) -> None:
    assert is_handed_over(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "lock",
        "../snapshot.json",
        "secrets/../lock",
        "secrets/.draft",
        "/etc/passwd",
        "secrets/a/b",
        "snapshot.json\n",
    ],
)
def test_files_that_are_not(path: str) -> None:
    assert not is_handed_over(path)

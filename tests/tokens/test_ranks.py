"""The shipped encodings are tiktoken's, byte for byte, and are loaded without a network, read-only."""

import hashlib
import lzma
import shutil
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.tokens.ranks import DEFINITIONS, FOLDER, RanksError, load
from extproc.tokens.rules import Encoding
from extproc.tokens.tally import LONGEST_TOKEN
from tests.tokens.counting import counter

NAMES: list[Encoding] = ["cl100k_base", "o200k_base"]
ADDRESS = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"  # by which tiktoken names its cache


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the test's own thread: servers of other tests may still be at work in theirs."""

    def refusing(original: Any) -> Any:
        def ask(*args: Any, **options: Any) -> Any:
            assert threading.current_thread() is not threading.main_thread(), "somebody asked for the network"
            return original(*args, **options)

        return ask

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refusing(getattr(socket, name)))
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    monkeypatch.delenv("DATA_GYM_CACHE_DIR", raising=False)


@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize("name", NAMES)
def test_loads_without_a_network(name: Encoding) -> None:
    encoding = load(name)
    text = "Ranks are shipped with the package: 123,456 tokens, naïve — 漢字."
    assert encoding.decode(encoding.encode_ordinary(text)) == text


@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize("name", NAMES)
def test_is_what_tiktoken_makes_of_its_own_files(
    name: Encoding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranks = lzma.decompress((FOLDER / f"{name}.tiktoken.xz").read_bytes())
    cached = tmp_path / hashlib.sha1(ADDRESS.format(name).encode(), usedforsecurity=False).hexdigest()
    cached.write_bytes(ranks)  # tiktoken compares the digest with its own, and would fetch another file
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    theirs, ours = tiktoken.get_encoding(name), load(name)
    assert ours._pat_str == theirs._pat_str
    assert ours._special_tokens == theirs._special_tokens
    assert ours.n_vocab == theirs.n_vocab
    text = (Path(__file__).parents[2] / "README.md").read_text() + Path(__file__).read_text()
    assert ours.encode_ordinary(text) == theirs.encode_ordinary(text)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("cl100k_base", "hello world", [15339, 1917]),  # tiktoken's own tests
        ("cl100k_base", "rer", [38149]),
        ("cl100k_base", "'rer", [2351, 81]),
        ("cl100k_base", "today\n \n", [31213, 27907]),
        ("cl100k_base", "today\n  \n", [31213, 14211]),
        ("cl100k_base", " \x850", [220, 126, 227, 15]),
        ("cl100k_base", "👍", [9468, 239, 235]),
        ("o200k_base", "hello world", [24912, 2375]),
    ],
)
def test_known_vectors(name: Encoding, text: str, expected: list[int]) -> None:
    assert counter().encoding(name).encode_ordinary(text) == expected


@pytest.mark.parametrize("name", NAMES)
def test_no_token_is_longer_than_the_bound_supposes(name: Encoding) -> None:
    longest = max(map(len, counter().encoding(name).decode_tokens_bytes(range(100_000))))
    assert longest == LONGEST_TOKEN
    assert len(counter().encoding(name).encode_ordinary(" " * 100 * LONGEST_TOKEN)) >= 100


@settings(deadline=None)
@given(st.text(max_size=200))
def test_a_token_is_at_least_a_byte(text: str) -> None:
    for name in NAMES:
        assert len(counter().encoding(name).encode_ordinary(text)) <= len(text.encode())


def test_damaged_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "o200k_base.tiktoken.xz"
    with pytest.raises(RanksError, match=r"o200k_base\.tiktoken\.xz: cannot be read"):
        load("o200k_base", tmp_path)
    path.write_bytes(b"not xz")
    with pytest.raises(RanksError, match="cannot be read"):
        load("o200k_base", tmp_path)
    shutil.copy(FOLDER / "cl100k_base.tiktoken.xz", path)
    with pytest.raises(RanksError, match=DEFINITIONS["o200k_base"].sha256):
        load("o200k_base", tmp_path)
    path.write_bytes((FOLDER / "o200k_base.tiktoken.xz").read_bytes()[:-1000])
    with pytest.raises(RanksError, match="cannot be read"):
        load("o200k_base", tmp_path)

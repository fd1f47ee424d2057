"""Looks for known secrets in bytes, as they are and as they may have been written: base64 at any offset, hex."""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

_CHUNK = 2**24


def forms_of(secret: bytes) -> set[bytes]:
    """What a reader could take the secret from."""
    text = secret.decode("latin-1")
    found = {secret, secret.hex().encode(), secret.hex().upper().encode(), quote(text, safe="").encode()}
    for before in range(3):  # how many bytes of something else stand in the first group of three
        written = b64encode(b"\0" * before + secret)
        whole = written[-(-before * 4 // 3) : len(written) - (4 if (before + len(secret)) % 3 else 0)]
        found |= {whole, whole.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


class Search:
    """`secrets` by name; none may be so short that it is found by chance."""

    def __init__(self, secrets: Mapping[str, str | bytes]) -> None:
        raw = {name: secret.encode() if isinstance(secret, str) else secret for name, secret in secrets.items()}
        assert all(len(secret) >= 12 for secret in raw.values()), "too short to be looked for"
        assert len(set(raw.values())) == len(raw)
        self._names = {form: name for name, secret in raw.items() for form in forms_of(secret)}
        longest_first = sorted(self._names, key=len, reverse=True)
        self._pattern = re.compile(b"|".join(re.escape(form) for form in longest_first))
        self._longest = len(longest_first[0])

    def names_in(self, data: bytes | str) -> set[str]:
        """Whose secret is in it."""
        raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
        return {self._names[found] for found in self._pattern.findall(raw)}

    def names_in_file(self, path: Path) -> set[str]:
        """The same of a file, however large."""
        found: set[str] = set()
        rest = b""
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                found |= self.names_in(rest + chunk)
                rest = chunk[-self._longest :]
        return found

    def below(self, folder: Path) -> Iterator[tuple[Path, set[str]]]:
        """Every file that has some, by its path below `folder`; links to folders are followed."""
        for path in files_below(folder):
            if names := self.names_in_file(path):
                yield path.relative_to(folder), names


def files_below(folder: Path) -> Iterable[Path]:
    """Regular files, those behind a link of ours to memory-backed storage too."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from files_below(path)
        elif path.is_file():
            yield path

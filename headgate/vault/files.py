"""What was read from Vault, in the `secrets` folder: a file for each path, with the fields that are referred to.

One file for what was read at once, so that two halves of a credential are never of two versions. The supervisor
writes them; whoever resolves a reference reads them. No IO with Vault here.
"""

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec

PREFIX = "vault+"  # no provider has a + in its name
_TOKEN, _SOURCE = f"{PREFIX}token", f"{PREFIX}source"


def split(place: str) -> tuple[str, str]:
    """`kv/openai#key`: path and field."""
    path, _, field = place.rpartition("#")
    return path.strip("/"), field


def values_file(place: str) -> str:
    """The file that has what a reference names."""
    return f"{PREFIX}{hashlib.sha256(split(place)[0].encode()).hexdigest()[:16]}"


def read_value(folder: Path, place: str) -> str | None:
    """None where it was not read."""
    try:
        values = msgspec.json.decode((folder / values_file(place)).read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError):
        return None
    return values.get(split(place)[1])


def written(values: Mapping[str, str]) -> bytes:
    """A file's content."""
    return msgspec.json.encode(dict(sorted(values.items())))


def leftovers(folder: Path, places: Collection[str]) -> list[Path]:
    """Files of what nothing refers to any more."""
    kept = {values_file(place) for place in places} | {_TOKEN, _SOURCE}
    return [path for path in folder.glob(f"{PREFIX}*") if path.name not in kept]


def by_path(places: Collection[str]) -> dict[str, set[str]]:
    """The fields that are named of each path."""
    found: dict[str, set[str]] = {}
    for path, field in map(split, places):
        found.setdefault(path, set()).add(field)
    return found


def token_file(folder: Path) -> Path:
    """The token of this host."""
    return folder / _TOKEN


def source_file(folder: Path) -> Path:
    """Says which Vault the other files are from."""
    return folder / _SOURCE


def read_token(folder: Path) -> str | None:
    """None while this host is not signed in."""
    try:
        return token_file(folder).read_text("ascii") or None
    except (OSError, UnicodeDecodeError):
        return None

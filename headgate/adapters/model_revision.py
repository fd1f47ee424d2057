"""Which commit of a model a folder holds, where it says so. Reads, and changes nothing.

Two ways of the hub's own tools: their cache has a folder for each commit (`snapshots/<commit>`), and what they
download into a folder (`hf download --local-dir`) is noted there, a file for each, with its commit on the first line.
"""

import re
from pathlib import Path

_COMMIT = re.compile(r"[0-9a-f]{40}")
_NOTES = Path(".cache/huggingface/download")
_LONGEST = 200  # a commit, an entity tag and a time


def is_commit(revision: str) -> bool:
    """Whether it is one, and no name of a branch or tag, which says another thing tomorrow."""
    return _COMMIT.fullmatch(revision) is not None


def revision_of(model: Path) -> str | None:
    """The commit; None where the folder does not say one, or several."""
    folder = Path(model).resolve()
    if folder.parent.name == "snapshots" and is_commit(folder.name):
        return folder.name
    try:
        noted = {_first_line(note) for note in (folder / _NOTES).glob("*.metadata")}
    except OSError:
        return None
    (commit,) = noted if len(noted) == 1 else (None,)
    return commit if commit and is_commit(commit) else None


def _first_line(note: Path) -> str:
    with note.open(encoding="ascii", errors="replace") as file:
        return file.readline(_LONGEST).strip()

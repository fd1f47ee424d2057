"""Names of objects: parts between slashes, none of which means anything to a file system or to a URL. Pure."""

import re

MAX_CHARS = 512
_PART = r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}"
_NAME = re.compile(rf"{_PART}(/{_PART})*")
_ONE = re.compile(_PART)


def is_part(text: str) -> bool:
    """Whether a name may have this between its slashes."""
    return _ONE.fullmatch(text) is not None


def checked_name(name: str) -> str:
    """The name. Raises ValueError for any other: `..`, an absolute path, hidden files, control characters."""
    if len(name) > MAX_CHARS or not _NAME.fullmatch(name):
        raise ValueError(f"not the name of an object: {name[:80]!r}")
    return name


def checked_prefix(prefix: str) -> str:
    """What names may begin with: nothing, or whole parts with a slash behind. Raises ValueError."""
    if prefix:
        if not prefix.endswith("/"):
            raise ValueError(f"a prefix ends with a slash: {prefix[:80]!r}")
        checked_name(prefix[:-1])
    return prefix

"""Paths of the admin API, of names that anybody typed. Pure."""

from urllib.parse import quote

from headgate.admin_client.failures import NotAsked


def path_of(*segments: str, open_end: str | None = None) -> str:
    """A path of names. `open_end` comes last and may have slashes, as names of models do.

    What would lead elsewhere is refused: `..` in a key's place would name its tenant.
    """
    ends = [] if open_end is None else open_end.split("/")
    for name in [*segments, *ends]:
        if name in ("", ".", "..") or "/" in name or "\\" in name:
            raise NotAsked(f"expected a name, found {name!r}")
    return "/".join([*(quote(name, safe="") for name in segments), *(quote(name, safe="") for name in ends)])

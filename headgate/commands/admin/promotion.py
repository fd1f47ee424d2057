"""Follows a promotion of an adapter until it has come to something, and says what it waits for."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headgate.admin_client.failures import NotAsked
from headgate.commands.admin.progress import spinner

if TYPE_CHECKING:
    from headgate.admin_client.client import AdminClient

_NO_HOST = "an engine of its base model: none is there"
_PAUSE_S = 0.5


def follow(client: "AdminClient", path: str, adapter: dict[str, Any], version: int) -> dict[str, Any]:
    """The adapter once nothing is awaited of that version. Ctrl-C leaves it to the gateway, which goes on."""
    with spinner("promoting") as tell:
        while (found := version_of(adapter, version))["wanted_weight"] is not None:
            tell(f"waits for {waits_for(found)}, until {found['wanted_until']}")
            time.sleep(_PAUSE_S)
            adapter = client.get(path).body
    return adapter


def version_of(adapter: dict[str, Any], number: int) -> dict[str, Any]:
    """One of an adapter's. Raises NotAsked for one that is gone."""
    for one in adapter["versions"]:
        if one["version"] == number:
            found: dict[str, Any] = one
            return found
    raise NotAsked(f"there is no version {number} any more")


def waits_for(version: Mapping[str, Any]) -> str | None:
    """For whom, to people; None where it waits for nobody."""
    if version["wanted_weight"] is None:
        return None
    named = [one["name"] or one["id"] for one in version["waits_for"]]
    if None in named:  # which hosts there are is the platform's to know
        return "1 host" if len(named) == 1 else f"{len(named)} hosts"
    return ", ".join(named) or _NO_HOST

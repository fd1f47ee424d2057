"""Follows a tenant's deletion until it has finished."""

import time
from typing import TYPE_CHECKING, Any

from headgate.admin_client.paths import path_of
from headgate.commands.admin.progress import spinner

if TYPE_CHECKING:
    from headgate.admin_client.client import AdminClient

_PAUSE_S = 0.5


def follow(client: "AdminClient", deletion: dict[str, Any]) -> dict[str, Any]:
    """What the deletion is when it has finished. Ctrl-C leaves it to the gateway, which goes on."""
    with spinner("deleting") as tell:
        while not deletion.get("finished_at"):
            tell(f"deleting: {', '.join(deletion.get('done') or ()) or 'nothing'} done")
            time.sleep(_PAUSE_S)
            deletion = client.get(path_of("deletions", deletion["id"])).body
    return deletion

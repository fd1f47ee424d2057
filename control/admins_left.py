"""Nobody takes the platform's last admin away by a request: the way back would need the host.

Whoever asks is an admin, so that one is left unless the request is about the caller itself. A person whom a token's
claims make an admin is none that the database knows of: nobody says for how long the issuer does.
"""

import datetime as dt
from collections.abc import Collection

from control.call import Call
from control.problems import conflict
from control.store.keys import platform_keys
from control.store.unit import Reader
from control.store.users import platform_admins


def check_admin_left(call: Call, reader: Reader, *ended: str) -> None:
    """`ended`: the keys and people that are none any more, or are about to be. Raises Problem (409)."""
    if call.asker.identity.id in ended and not _is_one_left(reader, ended):
        text = (
            "this is the last key or person that the database knows as a platform admin: "
            "make another one first (`headgate keys admin` on the gateway's host makes one without any)"
        )
        raise conflict("last_admin", text)


def _is_one_left(reader: Reader, ended: Collection[str]) -> bool:
    now = dt.datetime.now(dt.UTC)
    keys = [
        key.id for key in platform_keys(reader) if not key.disabled and (key.ends_at is None or key.ends_at > now)
    ]
    people = [person.id for person in platform_admins(reader) if not person.disabled]
    return any(one not in ended for one in (*keys, *people))

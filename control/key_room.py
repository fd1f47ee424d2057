"""How many keys there may be: a database that one tenant fills is full for all."""

from control.call import Call
from control.problems import conflict
from control.store.keys import count_keys
from control.store.unit import Reader

MOST_OF_TENANT = 10_000  # that are not revoked, also such as have ended
MOST_OF_MAKER = 1_000  # of those, made by one that is no platform admin


def check_room(call: Call, reader: Reader, tenant: str | None) -> None:
    """For one more key. The platform's own are its admins' affair. Raises Problem (409)."""
    if tenant is None:
        return
    if count_keys(reader, tenant) >= MOST_OF_TENANT:
        raise conflict("too_many", f"a tenant has at most {MOST_OF_TENANT} keys: revoke some that are not needed")
    if not call.asker.is_admin and count_keys(reader, tenant, created_by=call.creator) >= MOST_OF_MAKER:
        raise conflict("too_many", f"you have made {MOST_OF_MAKER} keys: revoke some that are not needed")

"""Keys of the platform that nobody asks the admin API for: the first one, and another one for who has lost it.

The key itself goes to the caller and nowhere else.
"""

from collections.abc import Callable

from control.audit_chain import Actor
from control.store.audit_log import list_entries
from control.store.ids import new_id
from control.store.keys import has_admin_key, insert_key
from control.store.paging import Wish
from control.store.store import Store
from control.store.unit import Unit
from control.store.values import VirtualKey
from headgate.virtual_key import make_key, shown_of

FIRST, ANOTHER = "keys.create_first", "keys.create_offline"  # in the audit log
SYSTEM = "system"

MakeDigest = Callable[[str], tuple[bytes, str]]


def make_first_key(store: Store, make_digest: MakeDigest) -> str | None:
    """A platform admin's key, if there has never been one; None otherwise. Of several hosts one makes it.

    Whoever has revoked the last one has meant it: none is made in its place. Raises StoreError.
    """
    with store.write(Actor(SYSTEM, "first start")) as unit:
        if has_admin_key(unit) or list_entries(unit, Wish(limit=1), action=FIRST).items:
            return None
        return _make(unit, "first", FIRST, make_digest)


def make_another_key(store: Store, name: str, make_digest: MakeDigest) -> str:
    """A platform admin's key, whatever there is. Raises StoreError."""
    with store.write(Actor(SYSTEM, "offline")) as unit:
        return _make(unit, name, ANOTHER, make_digest)


def _make(unit: Unit, name: str, action: str, make_digest: MakeDigest) -> str:
    key = make_key()
    digest, pepper_id = make_digest(key)
    made = insert_key(
        unit,
        VirtualKey(
            id=new_id("key"),
            tenant_id=None,
            name=name,
            prefix=shown_of(key),
            digest=digest,
            pepper_id=pepper_id,
            role="admin",
            created_by=SYSTEM,
            metadata={},
        ),
    )
    unit.record(action, "key", made.id, after=made)
    return key

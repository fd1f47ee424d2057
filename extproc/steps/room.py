"""No request is taken whose record might be lost."""

from extproc.exchange import Exchange
from extproc.refusal import NoRoom


def require_room(exchange: Exchange) -> None:
    """Refuses while the spool's disk is nearly full."""
    if exchange.spool_is_short:
        raise NoRoom(
            "The gateway is short of disk space for its records and takes no requests right now. "
            "Retry after a short wait.",
            code="spool_full",
            headers={"retry-after": "5"},
        )

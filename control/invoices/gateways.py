"""Whether the usage store has what it had, and only this database's: by the marks that its writers leave. Pure.

A gateway whose mark the store has no more has lost rows there: the store was put back from a copy, made anew, or is
another one. And a gateway that this database knows nothing of may be another database's, which bills its usage.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Literal

from control.invoices.months import Period
from control.store.usage_gateways import UsageGateway
from headgate.usage_questions import Mark

Standing = Literal["known", "unknown", "lacking"]
_MOST_NAMED = 5


class UnknownGateways(Exception):  # noqa: N818 - an answer to the caller
    """The store has usage of gateways that are nobody's here. The text says which."""


class UsageWentBack(Exception):  # noqa: N818 - likewise
    """The store has less than it had. The text says of which gateway."""


def standing_of(known: UsageGateway | None, stored: Iterable[Mark], hosts: Collection[str]) -> Standing:
    """Of one gateway. `hosts`: the ids of those that there are."""
    if known is None:
        return "unknown"
    if known.run is None or known.batch is None:
        return "known"
    if known.place == known.host_id and known.host_id not in hosts:
        return "known"  # it had a store of its own, which went with it
    return "known" if is_stored(known.id, known.run, known.batch, stored) else "lacking"


def is_stored(gateway: str, run: int, batch: int, stored: Iterable[Mark]) -> bool:
    """Whether that run of the gateway is there as far as that."""
    return any((mark.gateway, mark.run) == (gateway, run) and mark.batch >= batch for mark in stored)


def check_gateways(
    period: Period, stored: Collection[Mark], known: Mapping[str, UsageGateway], hosts: Collection[str]
) -> None:
    """Of the month that the period is in. Raises UsageWentBack, UnknownGateways."""
    for gateway in known.values():
        if standing_of(gateway, stored, hosts) == "lacking":
            raise UsageWentBack(
                f"the usage store has less of gateway {gateway.id} than it had: it was put back from a copy, made"
                " anew, or is another one; put its rows back, or accept what it has"
            )
    unknown = sorted({mark.gateway for mark in stored if mark.month == period.month_number} - known.keys())
    if unknown:
        raise UnknownGateways(
            f"the usage store has usage of {period.month} by gateways that are of no host of this database:"
            f" {_named(unknown)}; give other databases' gateways another store, or accept them as this one's"
        )


def _named(ids: list[str]) -> str:
    more = f" and {len(ids) - _MOST_NAMED} more" if len(ids) > _MOST_NAMED else ""
    return ", ".join(ids[:_MOST_NAMED]) + more

"""Whether the usage of a month or a day is all in the store: of every host, not only of the one that is asked. Pure.

Each host settles what its own Envoy served, and stores it when it can. So a period is complete when each says that
what ended before `Period.known_at` is stored, in the one store that invoices are made of. A host that does not say so
is waited for; one that is gone for good is taken off by whoever knows that (`DELETE /hosts/{id}`).
"""

import datetime as dt
from collections.abc import Sequence

from control.invoices.months import Month, Period
from control.masking import text_of
from control.store.values import Host


class MonthNotOver(Exception):  # noqa: N818 - an answer to the caller
    """Requests of that month may be under way. The text says until when."""


class UsageIncomplete(Exception):  # noqa: N818 - likewise
    """Some of its usage is not in the store. The text says whose."""


def check_over(month: Month, now: dt.datetime) -> None:
    """Raises MonthNotOver while a request of that month may be under way."""
    if now < month.known_at:
        text = f"{month.name} can be billed from {text_of(month.known_at)} on, when its last requests have ended"
        raise MonthNotOver(text)


def check_stored(
    period: Period, until: dt.datetime, here: str, place: str, hosts: Sequence[Host], now: dt.datetime
) -> None:
    """`until`: how far the usage of this host, `here`, is stored, in `place`. What is after now was said by a clock
    that was wrong. Raises UsageIncomplete.
    """
    if until > now:
        raise _incomplete(f"this gateway's usage is said to be stored up to {_said(until)}, which is to come", period)
    if until < period.known_at:
        raise _incomplete(f"this gateway's usage is stored up to {_said(until)}", period)
    for host in hosts:
        if host.id == here:
            continue
        name = f"host {host.name} ({host.id}, seen {text_of(host.seen_at)})"
        if host.usage_until is None:
            raise _incomplete(f"{name} has not said how far its usage is stored", period)
        if host.usage_place != place:
            text = f"{name} has a usage store of its own: give all hosts the same services.usage"
            raise UsageIncomplete(text)
        if host.usage_until > now:
            text = f"{name} has said that its usage is stored up to {_said(host.usage_until)}, which is to come"
            raise _incomplete(text, period)
        if host.usage_until < period.known_at:
            raise _incomplete(f"the usage of {name} is stored up to {_said(host.usage_until)}", period)


def _incomplete(text: str, period: Period) -> UsageIncomplete:
    return UsageIncomplete(f"{text}; {period.name} needs all up to {text_of(period.known_at)}")


def _said(until: dt.datetime) -> str:
    return text_of(until) if until.timestamp() > 0 else "no known time"

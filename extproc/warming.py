"""What counting tokens takes is loaded when tables come, not when a request does. No network: files alone."""

from collections.abc import Iterator
from itertools import islice

import structlog

from extproc.tokens.counter import Counter
from extproc.tokens.ranks import RanksError
from extproc.tokens.rules import rule_of
from headgate.directory.following import Following
from headgate.snapshot import Snapshot, TargetRow, TenantRow
from headgate.tenants import Tenants

MOST_LOOKED_AT = 1000  # tenants of the directory, at a start or a reload: 45 µs each

log = structlog.get_logger()


def _counts_tokens(snapshot: Snapshot, target: TargetRow) -> bool:
    return target.purse is not None and snapshot.budgets[target.purse.name].counts_tokens


def warm(counter: Counter, following: Following, snapshot: Snapshot) -> None:
    """Loads what the tables' context windows and limits are counted in: a request should not wait for it.

    For tenants of the directory too, as far as there are some by now that need it: 40 MB that others do without.
    """
    targets = {
        target
        for tenant in _tenants(snapshot, following)
        for some in (*tenant.models.values(), *(alias.targets for alias in tenant.aliases.values()))
        for target in some
        if target.context_window is not None
        or (tenant.limits and tenant.limits.counts_tokens)
        or _counts_tokens(snapshot, target)
    }
    try:
        counter.warm({rule_of(target.base_model, target.api).encoding for target in targets})
    except RanksError as error:  # then windows are for the providers to judge, and limits go by a guess
        log.error("tokens cannot be counted", problem=str(error))  # noqa: TRY400 - the installation's fault


def _tenants(snapshot: Snapshot, following: Following) -> Iterator[TenantRow]:
    """Gateway.yaml's, and of the directory's so many that hardly any other would add a thing."""
    tenants = Tenants(snapshot, following)
    for name in islice(tenants.names(), len(snapshot.tenants) + MOST_LOOKED_AT):
        if row := tenants.known(name):
            yield row

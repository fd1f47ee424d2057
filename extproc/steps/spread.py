"""Which replica of an engine each attempt goes to, where the feed says how its replicas are (docs/engines.md)."""

from collections.abc import Iterator

from extproc.exchange import Exchange
from extproc.leading import leading_of
from extproc.spreading import key_of, ranked
from headgate.feed.states import EVERY_MODEL, endpoint_name
from headgate.snapshot import TargetRow


def spread(exchange: Exchange) -> None:
    """Fills `hosts`, in the order of the attempts; Envoy picks by itself where there are none (left).

    A target that comes more than once has another replica each time, as far as there are any.
    """
    chain = exchange.chain
    turns: dict[tuple[str, str], Iterator[str]] = {}
    for number, target in enumerate(chain):
        if not target.spread:
            continue
        of = target.cluster, target.model
        if of not in turns:
            turns[of] = iter(_addresses(exchange, target))
        host = next(turns[of], None)
        if host is None:
            continue
        exchange.hosts.append(host)
        if number == 0:
            exchange.replicas.choose(target.cluster, host)


def _addresses(exchange: Exchange, target: TargetRow) -> list[str]:
    if exchange.replica:
        return [exchange.replica]
    known = exchange.replicas.of(target.cluster)
    if not known:
        return []
    leading = leading_of(exchange.surface, exchange.document)
    key = None if leading is None else key_of(exchange.incoming.tenant, target.model, leading)
    found = [one.address for one in ranked(known, target.model, key)]
    # Last those that Envoy has ejected: it would take them all the same.
    return sorted(found, key=lambda address: exchange.state_of(endpoint_name(target.cluster, address), EVERY_MODEL))

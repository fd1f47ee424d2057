"""Which replica of an engine each attempt goes to, where the feed says how its replicas are (docs/engines.md).

A request for an adapter that none of them has waits until one does, in the limiter (ratelimit/adapter_wait.py).
"""

from collections.abc import Iterator

from extproc.exchange import Exchange
from extproc.leading import leading_of
from headgate.feed.replicas import ReplicaState
from headgate.snapshot import TargetRow
from headgate.spreading import hosts_of, key_of


def spread(exchange: Exchange) -> None:
    """Fills `hosts`, in the order of the attempts, and `lacks_adapter`; without hosts Envoy picks by itself.

    A target that comes more than once has another replica each time, as far as there are any. One whose engine may
    be full goes by `leading_key` once more when it has waited (ratelimit/engines.py).
    """
    chain = exchange.chain
    exchange.lacks_adapter = is_lacking(exchange, chain[0])
    may_wait = chain[0].engine or exchange.lacks_adapter
    exchange.leading_key = _key(exchange, chain[0]) if may_wait else None
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
        if number == 0 and not exchange.lacks_adapter and not (target.engine and exchange.is_full(target.engine)):
            exchange.replicas.choose(target.cluster, host)


def is_lacking(exchange: Exchange, target: TargetRow) -> bool:
    """Whether it is known that no replica that takes requests has the target's adapter."""
    if target.base is None or not target.spread:
        return False
    ready = [one for one in exchange.replicas.of(target.cluster) or () if one.state is ReplicaState.READY]
    return bool(ready) and not any(target.model in one.adapters for one in ready)


def _addresses(exchange: Exchange, target: TargetRow) -> list[str]:
    if exchange.replica:
        return [exchange.replica]
    known = exchange.replicas.of(target.cluster)
    if not known:
        return []
    key = exchange.leading_key if exchange.leading_key and target == exchange.chain[0] else _key(exchange, target)
    return hosts_of(known, target.cluster, target.model, key, exchange.state_of)


def _key(exchange: Exchange, target: TargetRow) -> bytes | None:
    leading = leading_of(exchange.surface, exchange.document)
    return None if leading is None else key_of(exchange.incoming.tenant, target.model, leading)

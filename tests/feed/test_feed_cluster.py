"""The feed on a real cluster: told on any node, heard on any other, with or without the one that keeps the rests."""

import signal
from collections.abc import Iterator

import pytest

from headgate.feed.messages import RESTS_KEY
from headgate.feed.states import State
from tests.counters.valkey_cluster import ClusterNode, ValkeyCluster, valkey_cluster, wait
from tests.feed.ends import listening, telling, until

A, B, C = (f"provider/{name}@0123456789" for name in "abc")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyCluster]:
    with valkey_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


def keeper_of_rests(cluster: ValkeyCluster) -> ClusterNode:
    slot = cluster.nodes[0].ask("CLUSTER", "KEYSLOT", RESTS_KEY)
    return next(node for node in cluster.nodes if node.owns(slot))


async def test_what_one_node_is_told_is_heard_on_all(cluster: ValkeyCluster) -> None:
    """On a replica, too. A worker that comes late hears of rests that the counters know."""
    one, two, replica = (f"redis://{node.name}" for node in (cluster.nodes[0], cluster.nodes[2], cluster.replica))
    async with telling(one, "g1") as publisher, listening(two, "g1") as there, listening(replica, None) as anywhere:
        publisher.take_health({A: State.EJECTED})
        publisher.rest(B, "m", 30)
        await until(lambda: there.of(A, "m") is anywhere.of(A, "m") is State.EJECTED)
        await until(lambda: there.of(B, "m") is anywhere.of(B, "m") is State.RESTED)
        await until(lambda: keeper_of_rests(cluster).ask("ZCARD", RESTS_KEY) == 1)
        async with telling(two, "g2"), listening(one, "g2") as late:
            await until(lambda: late.of(B, "m") is State.RESTED)


async def test_without_the_node_that_keeps_the_rests(cluster: ValkeyCluster) -> None:
    keeper = keeper_of_rests(cluster)
    async with telling(cluster.url, "g3") as publisher, listening(f"redis://{keeper.name}", "g3") as worker:
        publisher.take_health({A: State.EJECTED})
        await until(lambda: worker.of(A, "m") is State.EJECTED)
        keeper.server.send(signal.SIGSTOP)
        try:
            publisher.take_health({B: State.UNHEALTHY})
            publisher.rest(C, "m", 60)
            await until(lambda: worker.of(B, "m") is State.UNHEALTHY and worker.of(C, "m") is State.RESTED)
        finally:
            keeper.server.send(signal.SIGCONT)
        wait(cluster.is_well)
        await until(lambda: keeper_of_rests(cluster).ask("ZCARD", RESTS_KEY) >= 1)

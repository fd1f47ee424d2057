"""The ledger on a real cluster: what a node missed or lost is settled and written again, and holds up no other."""

import itertools
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_process import Ledger, open_slots, wait_until
from redis import Redis
from spending import E1, E2, LIMITS, PRICE, base_of, calendar_of, reserved, used_line

from tests.counters.valkey_cluster import ClusterNode, ValkeyCluster, valkey_cluster, wait

_numbers = itertools.count()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyCluster]:
    with valkey_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


class Tenant:
    """One of them: where its counters are, and how many requests of it have ended."""

    def __init__(self, name: str, node: ClusterNode, ledger: Ledger) -> None:
        self.name, self.node, self.ledger, self.requests = name, node, ledger, 0

    @property
    def valkey(self) -> Redis:
        return self.node.server.client()

    def reserve(self, epoch: str = E1) -> str:
        request_id = f"r{next(_numbers)}"
        with self.valkey as valkey:
            reserved(valkey, epoch, request_id, tenant=self.name)
        return request_id

    def end(self, *request_ids: str) -> None:
        """These requests, or one of which nobody knows whether it holds anything."""
        for request_id in request_ids or (f"r{next(_numbers)}",):
            more = {} if request_ids else {"reserved": None}
            self.requests += 1
            self.ledger.append(E1, used_line(request_id, tenant=self.name, **more))

    def is_settled(self) -> bool:
        with self.valkey as valkey:
            stands = calendar_of(valkey, tenant=self.name)
        return (stands["monthly_tokens"], stands["daily_requests"], stands["concurrency"]) == (
            (120 * self.requests, 0),
            (self.requests, 0),
            (0, 0),
        )

    def knows_sums(self) -> bool:
        with self.valkey as valkey:
            return bool(valkey.exists(base_of(LIMITS, self.name)))


@pytest.fixture
def ledger(cluster: ValkeyCluster, tmp_path: Path) -> Iterator[Ledger]:
    running = Ledger(tmp_path / "state", cluster.url)
    running.alive(E1)
    yield running
    running.close()


def tenants_of(cluster: ValkeyCluster, ledger: Ledger, name: str) -> list[Tenant]:
    """One on each node; the ledger has written their sums."""
    found = [Tenant(cluster.tenant(number, name), cluster.nodes[number], ledger) for number in range(3)]
    ledger.tables({tenant.name: LIMITS for tenant in found}, PRICE)
    ledger.start()
    wait_until(lambda: all(tenant.knows_sums() for tenant in found), says=ledger.log)
    for tenant in found:
        tenant.end(tenant.reserve(), tenant.reserve())
    wait_until(lambda: all(tenant.is_settled() for tenant in found), says=ledger.log)
    return found


def test_a_node_that_is_emptied_is_filled_again(cluster: ValkeyCluster, ledger: Ledger) -> None:
    tenants = tenants_of(cluster, ledger, "emptied")
    for tenant in tenants[1:]:
        tenant.node.ask("FLUSHALL")
        wait_until(lambda tenant=tenant: tenant.knows_sums() and tenant.is_settled(), says=ledger.log)
    lost = ledger.logged("counters have lost the calendar's sums: they are written again")
    assert [line["node"] for line in lost] == [tenant.node.name for tenant in tenants[1:]]
    assert tenants[0].is_settled()


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_node_that_is_away_holds_up_no_other(cluster: ValkeyCluster, ledger: Ledger, how: str) -> None:
    """Its own tenants are settled once it is back, by whichever process is there then."""
    well, gone, other = tenants_of(cluster, ledger, how)
    held, server = gone.reserve(), gone.node.server
    if how == "stopped":
        server.send(signal.SIGSTOP)
    else:
        server.kill()
    try:
        gone.end(held)
        for _ in range(3):
            gone.end()
            for tenant in (well, other):
                tenant.end(tenant.reserve())
                wait_until(tenant.is_settled, says=ledger.log)
        away = "a node of the counters is away: settling its tenants waits"
        wait_until(lambda: ledger.logged(away))
        assert [line["node"] for line in ledger.logged(away)] == [gone.node.name]
        if how == "killed":  # the next process settles again what was not done with
            time.sleep(1.5)  # it says once a second how far it is
            ledger.kill()
            ledger.start()
            well.end(well.reserve())
            wait_until(well.is_settled, says=ledger.log)
    finally:
        if how == "stopped":
            server.send(signal.SIGCONT)
        else:
            server.start()
    wait(cluster.is_well)
    wait_until(gone.is_settled, says=ledger.log)
    wait_until(lambda: ledger.says()["behind_bytes"] == 0, says=ledger.log)


def test_an_envoy_that_has_died_is_closed_on_every_node(cluster: ValkeyCluster, ledger: Ledger) -> None:
    tenants = tenants_of(cluster, ledger, "closed")
    for tenant in tenants:
        tenant.reserve(E2)
    ledger.append(E2, used_line("nobody"))
    wait_until(lambda: len(ledger.logged("envoy has ended, its reservations are closed")) == 1, says=ledger.log)
    for tenant in tenants:
        with tenant.valkey as valkey:
            assert not open_slots(valkey, tenant.name)
    (closed,) = ledger.logged("envoy has ended, its reservations are closed")
    assert closed["closed"] == 3


def test_a_replica_that_takes_over_and_knows_less(cluster: ValkeyCluster, ledger: Ledger) -> None:
    """What it has not got of the last words is said again, and its tenants' sums are written. The last test: it
    leaves the cluster without a primary that it had.
    """
    tenant, *others = tenants_of(cluster, ledger, "behind")
    held = tenant.reserve()
    cluster.nodes[0].ask("WAIT", 1, 5000)
    cluster.replica.server.send(signal.SIGSTOP)
    try:
        tenant.end(held)
        tenant.end(tenant.reserve())
        wait_until(tenant.is_settled, says=ledger.log)
        cluster.nodes[0].server.kill()
    finally:
        cluster.replica.server.send(signal.SIGCONT)
    tenant.node = cluster.replica
    wait(lambda: "role:master" in cluster.replica.ask("INFO", "replication"))
    wait_until(tenant.is_settled, says=ledger.log)
    tenant.end(tenant.reserve())
    wait_until(tenant.is_settled, says=ledger.log)
    assert all(other.is_settled() for other in others)
    there = ledger.logged("a node of the counters is there: settling its tenants goes on")
    assert cluster.replica.name in [line["node"] for line in there]

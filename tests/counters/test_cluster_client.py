"""The client on a real cluster: where calls go, and what a node that dies, stops or gives its slots away costs."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest

from headgate.counters.address import parsed
from headgate.counters.client import Counters, Unavailable
from headgate.counters.limits import TenantLimits
from headgate.counters.reservation import Wish, read_verdict, reserve_call
from headgate.counters.scripts import open_key
from headgate.counters.settlement import Settled, read_settled, settle_call
from headgate.counters.slots import slot_of
from headgate.limits import LimitRow, LimitsRow
from tests.counters.valkey_cluster import ClusterNode, ValkeyCluster, free_port, valkey_cluster, wait
from tests.counters.valkey_server import valkey_server

TIMEOUT_S = 0.1
LIMITS = LimitsRow((LimitRow("rpm", 1000), LimitRow("concurrency", 1000)))
Changes = list[tuple[str, str | None]]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyCluster]:
    """Whoever hurts it heals it."""
    with valkey_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@asynccontextmanager
async def counters(url: str, changes: Changes | None = None, timeout_s: float = TIMEOUT_S) -> AsyncIterator[Counters]:
    told: Changes = changes if changes is not None else []
    client = Counters(parsed(url), timeout_s, lambda node, reason: told.append((node, reason)))
    client.start()
    try:
        yield client
    finally:
        await client.close()


async def reserve(client: Counters, tenant: str, request_id: str) -> int:
    """What is left of the requests a minute."""
    applying = TenantLimits(tenant, LIMITS).applying("", "", "")
    reply = await client.run(*reserve_call(applying, Wish(request_id, "e"), 600_000))
    return read_verdict(applying, reply).standings[0].left


async def refused(client: Counters, tenant: str) -> tuple[float, str]:
    """Seconds until a call was given up, and why it was."""
    began = time.monotonic()
    with pytest.raises(Unavailable) as gone:
        await reserve(client, tenant, "refused")
    return time.monotonic() - began, gone.value.reason


async def back(client: Counters, tenant: str, within_s: float = 30) -> None:
    async with asyncio.timeout(within_s):
        while True:
            try:
                await reserve(client, tenant, "back")
            except Unavailable:
                await asyncio.sleep(0.02)
            else:
                return


async def until(condition: Callable[[], object], within_s: float = 30) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - told by the client's own tasks
            await asyncio.sleep(0.01)


def give(cluster: ValkeyCluster, slot: int, giver: ClusterNode, taker: ClusterNode) -> None:
    """The slot has another node from now on, and all of them know; keys that are left are lost."""
    if keys := giver.ask("CLUSTER", "GETKEYSINSLOT", slot, 1000):
        giver.ask("DEL", *keys)
    for node in (taker, giver, *cluster.nodes):
        if node is not cluster.replica:
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", taker.id)
    wait(lambda: all(node.owns(slot) == (node is taker) for node in cluster.nodes[:3]))


async def test_every_tenant_is_on_its_node(cluster: ValkeyCluster) -> None:
    """One node named is enough; every call of a tenant goes to its own."""
    tenants = [cluster.tenant(node, "every") for node in range(3)]
    async with counters(f"redis://{cluster.nodes[1].name}") as client:
        for tenant in tenants:
            await back(client, tenant)
            assert await reserve(client, tenant, "b") == 998
        left = await asyncio.gather(*(reserve(client, tenant, f"r{at}") for at in range(60) for tenant in tenants))
        assert sorted(left) == sorted(3 * list(range(938, 998)))
        for number, tenant in enumerate(tenants):
            assert client.place_of(open_key(tenant)) == cluster.nodes[number].name
            assert cluster.nodes[number].ask("ZCARD", open_key(tenant)) == 62
            applying = TenantLimits(tenant, LIMITS).applying("", "", "")
            reply = await client.run(*settle_call(tenant, [Settled("b", "e", 0, applying)]))
            assert read_settled(reply).freed == 1
            assert await client.command("EXISTS", open_key(tenant)) == 1
        assert [len(await node.command("SCAN", 0, "COUNT", 10_000)) for node in client.nodes] == [2, 2, 2]


async def test_slots_are_the_servers_own(cluster: ValkeyCluster) -> None:
    for key in ("foo", "{foo}bar", "a{foo}{bar}", "foo{}{bar}", "foo{{bar}}zap", "{foo", "}foo{bar", "hg:{ä}:x", ""):
        assert slot_of(key) == cluster.nodes[0].ask("CLUSTER", "KEYSLOT", key)


async def test_scripts_that_a_node_forgot_are_given_to_it_again(cluster: ValkeyCluster) -> None:
    changes: Changes = []
    tenants = [cluster.tenant(node, "scripts") for node in range(3)]
    async with counters(cluster.url, changes) as client:
        for tenant in tenants:
            await back(client, tenant)
        cluster.nodes[0].ask("SCRIPT", "FLUSH")
        assert [await reserve(client, tenant, "b") for tenant in tenants] == [998, 998, 998]
    assert changes == []


async def test_a_slot_that_has_another_node_costs_one_more_hop(cluster: ValkeyCluster) -> None:
    """The first call is answered by the new node, later ones go there at once. Nobody counts as away."""
    changes: Changes = []
    giver, taker = cluster.nodes[1], cluster.nodes[2]
    tenant, slot = cluster.tenant(1, "moved"), slot_of(f"{{{cluster.tenant(1, 'moved')}}}")
    async with counters(cluster.url, changes) as client:
        await back(client, tenant)
        key = open_key(tenant)
        give(cluster, slot, giver, taker)
        try:
            calls = [reserve(client, tenant, f"m{at}") for at in range(20)]
            assert sorted(await asyncio.gather(*calls)) == list(range(980, 1000))
            assert client.place_of(key) == taker.name
            assert taker.ask("ZCARD", key) == 20
            before = hops(giver)
            await reserve(client, tenant, "later")
            assert hops(giver) == before
        finally:
            give(cluster, slot, taker, giver)
    assert changes == []


def hops(node: ClusterNode) -> str:
    """How many calls of scripts it was sent, those among them that it sent on."""
    lines: list[str] = node.ask("INFO", "commandstats").splitlines()
    return "".join(line.partition("usec=")[0] + line.partition("rejected")[2] for line in lines if "evalsha" in line)


async def test_a_slot_that_is_being_moved(cluster: ValkeyCluster) -> None:
    """Key by key, as before Valkey 9. Scripts on keys of which some are away are refused, and tried again later."""
    changes: Changes = []
    giver, taker = cluster.nodes[0], cluster.nodes[1]
    tenant = cluster.tenant(0, "asked")
    slot, key = slot_of(f"{{{tenant}}}"), open_key(tenant)
    async with counters(cluster.url, changes) as client:
        await back(client, tenant)
        await client.command("SET", f"{key}:one", 1)
        taker.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", giver.id)
        giver.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", taker.id)
        took_s, reason = await refused(client, tenant)
        assert reason == "answers TRYAGAIN"
        assert took_s < TIMEOUT_S
        assert await client.command("GET", f"{key}:one") == b"1"
        move(giver, taker, slot)
        assert await client.command("GET", f"{key}:one") == b"1"
        assert await client.command("SET", f"{key}:new", 2) == b"OK"
        assert await client.command("ZCARD", key) == 1
        assert taker.ask("CLUSTER", "COUNTKEYSINSLOT", slot) > giver.ask("CLUSTER", "COUNTKEYSINSLOT", slot) == 0
        other = cluster.tenant(0, "beside")
        await back(client, other)
        give(cluster, slot, giver, taker)
        assert await reserve(client, tenant, "b") == 998
        move(taker, giver, slot, new=True)
        give(cluster, slot, taker, giver)
        assert await reserve(client, tenant, "c") == 997
    assert changes == []


def move(giver: ClusterNode, taker: ClusterNode, slot: int, *, new: bool = False) -> None:
    """All keys of the slot."""
    if new:
        taker.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", giver.id)
        giver.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", taker.id)
    keys = giver.ask("CLUSTER", "GETKEYSINSLOT", slot, 1000)
    giver.ask("MIGRATE", "127.0.0.1", taker.port, "", 0, 5000, "KEYS", *keys)


async def test_a_slot_that_is_moved_as_a_whole_under_load(cluster: ValkeyCluster) -> None:
    """As Valkey 9 does it: every reservation is counted once, whichever node has it."""
    giver, taker = cluster.nodes[2], cluster.nodes[1]
    tenant = cluster.tenant(2, "whole")
    slot, granted = slot_of(f"{{{tenant}}}"), 0
    async with counters(cluster.url, timeout_s=5.0) as client:
        await back(client, tenant)
        for here, there in ((giver, taker), (taker, giver)):
            here.ask("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", there.id)
            async with asyncio.timeout(60):
                while not there.owns(slot):
                    await reserve(client, tenant, f"w{granted}")
                    granted += 1
                    await asyncio.sleep(0.001)
        assert await reserve(client, tenant, "last") == 998 - granted
        assert giver.ask("ZCARD", open_key(tenant)) == 2 + granted


async def test_a_node_that_stops_costs_its_own_tenants_one_wait(cluster: ValkeyCluster) -> None:
    changes: Changes = []
    stopped, *well = (cluster.tenant(node, "stops") for node in (1, 0, 2))
    async with counters(cluster.url, changes) as client:
        for tenant in (stopped, *well):
            await back(client, tenant)
        cluster.nodes[1].server.send(signal.SIGSTOP)
        try:
            waits = await asyncio.gather(*(refused(client, stopped) for _ in range(30)))
            assert TIMEOUT_S * 0.9 < max(wait for wait, _ in waits) < TIMEOUT_S * 30  # one after the other
            await until(lambda: changes)
            began = time.monotonic()
            for at in range(20):
                assert (await refused(client, stopped))[1] == "no answer within 100 ms"
                for tenant in well:
                    await reserve(client, tenant, f"s{at}")
            assert time.monotonic() - began < 20 * TIMEOUT_S  # nobody waits any more
        finally:
            cluster.nodes[1].server.send(signal.SIGCONT)
        await back(client, stopped)
    assert changes == [(cluster.nodes[1].name, "no answer within 100 ms"), (cluster.nodes[1].name, None)]


async def test_a_node_that_is_full_is_left_alone_until_it_has_room(cluster: ValkeyCluster) -> None:
    changes: Changes = []
    full, well = cluster.tenant(2, "full"), cluster.tenant(0, "full")
    async with counters(cluster.url, changes) as client:
        await back(client, full)
        cluster.nodes[2].ask("CONFIG", "SET", "maxmemory", 1)
        try:
            assert (await refused(client, full))[1] == "answers OOM"
            await asyncio.sleep(0.5)
            assert (await refused(client, full))[0] < TIMEOUT_S
            await reserve(client, well, "a")
        finally:
            cluster.nodes[2].ask("CONFIG", "SET", "maxmemory", 0)
        await back(client, full)
    assert changes == [(cluster.nodes[2].name, "answers OOM"), (cluster.nodes[2].name, None)]


async def test_a_client_that_starts_while_its_first_node_is_stopped(cluster: ValkeyCluster) -> None:
    tenant = cluster.tenant(1, "starts")
    cluster.nodes[0].server.send(signal.SIGSTOP)
    try:
        async with counters(cluster.url) as client:
            await back(client, tenant)
    finally:
        cluster.nodes[0].server.send(signal.SIGCONT)
    wait(cluster.is_well)


async def test_one_users_credentials_are_for_all_nodes(cluster: ValkeyCluster) -> None:
    """With the rights that docs/limits.md names."""
    rights = ("+@read", "+@write", "+eval", "+evalsha", "+script|load", "+time", "+asking")
    for node in cluster.nodes:
        node.ask("ACL", "SETUSER", "headgate", "on", ">s3cret", "~hg:*", *rights, "+cluster|slots", "+cluster|info")
    nodes = cluster.url.removeprefix("redis://")
    async with counters(f"redis://headgate:s3cret@{nodes}") as client:
        for number in range(3):
            await back(client, cluster.tenant(number, "user"))
        assert len(client.nodes) == 3
    async with counters(f"redis://headgate:wrong@{nodes}") as client:
        assert (await refused(client, "user"))[1] == "answers WRONGPASS"


@pytest.mark.parametrize("kind", ["hostname", "unknown-endpoint"])
async def test_nodes_that_give_no_address(cluster: ValkeyCluster, kind: str) -> None:
    """By name, by none at all where the name is not known, and by the host that was asked."""
    cluster.nodes[2].ask("CONFIG", "SET", "cluster-announce-hostname", "localhost")
    wait(lambda: all("localhost" in node.ask("CLUSTER", "NODES") for node in cluster.nodes))
    for node in cluster.nodes:
        node.ask("CONFIG", "SET", "cluster-preferred-endpoint-type", kind)
    giver, taker = cluster.nodes[1], cluster.nodes[2]
    tenant = cluster.tenant(1, kind)
    try:
        async with counters(f"redis://{cluster.nodes[1].name}") as client:
            for number in range(3):
                await back(client, cluster.tenant(number, f"{kind}-named"))
            await back(client, tenant)
            give(cluster, slot_of(f"{{{tenant}}}"), giver, taker)
            assert await reserve(client, tenant, "moved") == 999
            give(cluster, slot_of(f"{{{tenant}}}"), taker, giver)
            assert await reserve(client, tenant, "back") == 999
    finally:
        for node in cluster.nodes:
            node.ask("CONFIG", "SET", "cluster-preferred-endpoint-type", "ip")


async def test_several_servers_that_are_no_cluster(tmp_path: Path) -> None:
    """Nobody could say which of them counts."""
    changes: Changes = []
    ports = [free_port(), free_port()]
    with ExitStack() as stack:
        for port in ports:
            (tmp_path / str(port)).mkdir()
            stack.enter_context(valkey_server(tmp_path / str(port), "--port", str(port)))
        async with counters(f"redis://127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}", changes) as client:
            assert (await refused(client, "acme"))[1] == "one of several nodes, and no cluster"
    assert changes == [("", "one of several nodes, and no cluster")]


async def test_a_primary_that_is_killed(tmp_path: Path) -> None:
    """Its replica takes over, and the client finds it; without one its tenants alone have no counters."""
    changes: Changes = []
    with valkey_cluster(tmp_path) as cluster:
        followed, lonely, well = (cluster.tenant(node) for node in range(3))
        async with counters(cluster.url, changes) as client:
            for tenant in (followed, lonely, well):
                await back(client, tenant)
            assert await reserve(client, followed, "known") == 998
            cluster.nodes[0].ask("WAIT", 1, 5000)
            cluster.nodes[0].server.kill()
            assert max([(await refused(client, followed))[0] for _ in range(20)]) < TIMEOUT_S
            assert await reserve(client, well, "a") == 998
            await back(client, followed)
            assert client.place_of(open_key(followed)) == cluster.replica.name
            assert await reserve(client, followed, "b") == 997  # it knows what the dead one knew
            await until(lambda: (cluster.replica.name, None) in changes)
            first = cluster.nodes[0].name
            assert [change for change in changes if change[0] == first] == [
                (first, "closed the connection"),
                (first, None),  # nobody misses it any more
            ]
            changes.clear()
            cluster.nodes[1].server.kill()
            assert max([(await refused(client, lonely))[0] for _ in range(20)]) < TIMEOUT_S
            assert await reserve(client, well, "b") == 997
            assert await reserve(client, followed, "c") == 996
            cluster.nodes[1].server.start()
            await back(client, lonely)
            second = cluster.nodes[1].name
            assert changes == [(second, "closed the connection"), (second, None)]
            cluster.nodes[0].server.start()  # as a replica of what was its own
            wait(lambda: "role:slave" in cluster.nodes[0].ask("INFO", "replication"))
        async with counters(f"redis://{cluster.nodes[0].name}") as client:
            assert await reserve(client, followed, "d") == 995


async def test_a_cluster_that_refuses_all_while_slots_have_no_node(tmp_path: Path) -> None:
    """The default of `cluster-require-full-coverage`: then one primary that is lost costs everybody."""
    changes: Changes = []
    with valkey_cluster(tmp_path, "--cluster-require-full-coverage", "yes") as cluster:
        tenant = cluster.tenant(0)
        slot = slot_of("{nobody}")
        owner = next(node for node in cluster.nodes if node.owns(slot))
        async with counters(cluster.url, changes) as client:
            await back(client, tenant)
            for node in cluster.nodes:
                node.ask("CLUSTER", "DELSLOTS", slot)
            assert await until_refused(client, tenant) == "answers CLUSTERDOWN"
            await until(lambda: ("", "no node has 1 of its slots") in changes)
            cut_off = "is cut off from its cluster, or serves no slots while some have no node"
            assert {reason for node, reason in changes if node} <= {"answers CLUSTERDOWN", cut_off}
            owner.ask("CLUSTER", "ADDSLOTS", slot)
            await back(client, tenant)
            await back(client, "nobody")
            await until(lambda: ("", None) in changes)


async def until_refused(client: Counters, tenant: str) -> str:
    """Why, once it is: the nodes do not all know at once."""
    async with asyncio.timeout(60):
        while True:
            try:
                await reserve(client, tenant, "a")
            except Unavailable as gone:
                return gone.reason
            await asyncio.sleep(0.01)

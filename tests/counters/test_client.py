"""The client when all is well and when the server is killed, stopped, full, flushed or closed to us."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from redis import Redis

from headgate.counters.address import CountersAddress, parsed
from headgate.counters.client import Counters, Failed, Unavailable
from headgate.counters.limits import TenantLimits
from headgate.counters.reservation import Wish, read_verdict, reserve_call
from headgate.counters.scripts import open_key
from headgate.counters.settlement import Settled, read_settled, settle_call
from headgate.limits import LimitRow, LimitsRow
from tests.counters.valkey_cluster import free_port, wait
from tests.counters.valkey_server import ValkeyServer, valkey_server

TIMEOUT_S = 0.1
ROWS = (LimitRow("rpm", 1000), LimitRow("concurrency", 1000))
# Takes the server 20 ms, and is so long that no other is read and answered together with it.
BUSY = ("EVAL", "local ends = os.clock() + 0.02 repeat until os.clock() > ends return 1", 0, 64_000 * "x")
APPLYING = TenantLimits("acme", LimitsRow(ROWS)).applying("", "", "")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    """One that may be hurt."""
    with valkey_server(tmp_path, "--enable-debug-command", "local") as running:
        yield running


@asynccontextmanager
async def counters(
    address: CountersAddress, changes: list[str | None] | None = None, timeout_s: float = TIMEOUT_S
) -> AsyncIterator[Counters]:
    told = changes if changes is not None else []
    client = Counters(address, timeout_s, lambda _, reason: told.append(reason))
    client.start()
    try:
        yield client
    finally:
        await client.close()


def at(server: ValkeyServer) -> CountersAddress:
    return CountersAddress(path=str(server.socket))


async def reserve(client: Counters, request_id: str) -> int:
    """What is left of the requests a minute."""
    reply = await client.run(*reserve_call(APPLYING, Wish(request_id, "e"), 600_000))
    return read_verdict(APPLYING, reply).standings[0].left


async def refused(client: Counters) -> float:
    """Seconds until a call was given up."""
    began = time.monotonic()
    with pytest.raises(Unavailable):
        await reserve(client, "refused")
    return time.monotonic() - began


async def back(client: Counters) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                await reserve(client, "back")
            except Unavailable:
                await asyncio.sleep(0.02)
            else:
                return


async def test_many_calls_at_once_get_each_its_own_answer(server: ValkeyServer) -> None:
    async with counters(at(server)) as client:
        assert await reserve(client, "first") == 999  # waits for the connection
        left = await asyncio.gather(*(reserve(client, f"r{number}") for number in range(200)))
        assert sorted(left) == list(range(799, 999))
        reply = await client.run(*settle_call("acme", [Settled("first", "e", 0, APPLYING)]))
        assert read_settled(reply).freed == 1


async def test_a_call_that_is_given_up_takes_no_other_calls_answer(server: ValkeyServer) -> None:
    async with counters(at(server)) as client:
        await reserve(client, "first")
        calls = [asyncio.create_task(client.command("ECHO", str(number))) for number in range(50)]
        await asyncio.sleep(0)
        for call in calls[::2]:
            call.cancel()
        assert await asyncio.gather(*calls[1::2]) == [str(number).encode() for number in range(1, 50, 2)]


async def test_scripts_that_the_server_forgot_are_given_again(server: ValkeyServer) -> None:
    changes: list[str | None] = []
    async with counters(at(server), changes) as client:
        await reserve(client, "first")
        with server.client() as other:
            other.script_flush()
        assert await asyncio.gather(reserve(client, "a"), reserve(client, "b")) == [998, 997]
    assert changes == []


async def test_a_killed_server_costs_no_wait_and_comes_back(server: ValkeyServer) -> None:
    changes: list[str | None] = []
    async with counters(at(server), changes) as client:
        await reserve(client, "first")
        server.kill()
        waits = [await refused(client) for _ in range(20)]
        assert max(waits) < TIMEOUT_S
        server.start()
        await back(client)
    assert changes == ["closed the connection", None]


@pytest.mark.parametrize("how", ["paused", "stopped", "asleep"])
async def test_a_slow_server_costs_one_wait(server: ValkeyServer, how: str) -> None:
    """Nobody waits for longer than the time limit, and a moment later nobody waits at all."""
    changes: list[str | None] = []
    async with counters(at(server), changes) as client:
        await reserve(client, "first")
        with server.client() as other:
            if how == "paused":
                other.execute_command("CLIENT", "PAUSE", 1500, "ALL")
            elif how == "stopped":
                server.send(signal.SIGSTOP)
            else:
                sleeping = asyncio.create_task(asyncio.to_thread(other.execute_command, "DEBUG", "SLEEP", 1.5))
                await asyncio.sleep(0.05)
            waits = await asyncio.gather(*(refused(client) for _ in range(50)))
            assert TIMEOUT_S * 0.9 < max(waits) < TIMEOUT_S * 3
            while not changes:
                assert await refused(client) < TIMEOUT_S * 3
                await asyncio.sleep(0)
            began = time.monotonic()
            for _ in range(50):
                await refused(client)
            assert time.monotonic() - began < TIMEOUT_S
            if how == "stopped":
                server.send(signal.SIGCONT)
            await back(client)
            if how == "asleep":
                await sleeping
    assert changes == ["no answer within 100 ms", None]


async def test_a_full_server_is_left_alone_until_it_has_room(server: ValkeyServer) -> None:
    changes: list[str | None] = []
    async with counters(at(server), changes) as client:
        await reserve(client, "first")
        with server.client() as other:
            other.config_set("maxmemory", 1)
            await refused(client)
            await asyncio.sleep(0.5)
            assert await refused(client) < TIMEOUT_S / 2
            other.config_set("maxmemory", 0)
        await back(client)
    assert changes == ["answers OOM", None]


async def test_a_busy_process_does_not_take_the_server_for_slow(server: ValkeyServer) -> None:
    changes: list[str | None] = []
    async with counters(at(server), changes) as client:
        await reserve(client, "first")
        for _ in range(3):
            call = asyncio.create_task(reserve(client, "a"))
            await asyncio.sleep(0)
            time.sleep(3 * TIMEOUT_S)  # noqa: ASYNC251 - a worker with a large body
            await call
    assert changes == []


async def test_a_server_that_answers_one_call_after_the_other_is_not_slow(server: ValkeyServer) -> None:
    changes: list[str | None] = []
    async with counters(at(server), changes, timeout_s=1.0) as client:
        await reserve(client, "first")
        await asyncio.gather(*(client.command(*BUSY) for _ in range(60)))
    assert changes == []


async def test_nothing_waits_for_ever_where_others_are_answered(server: ValkeyServer) -> None:
    changes: list[str | None] = []
    async with counters(at(server), changes) as client:
        await reserve(client, "first")
        given_up = await asyncio.gather(*(client.command(*BUSY) for _ in range(100)), return_exceptions=True)
        assert isinstance(given_up[-1], Unavailable)
    # A moment later the server may have gone on: whether it counts as away depends on which comes first.
    assert set(changes) <= {"no answer within 100 ms", None}


async def test_our_own_mistake_is_no_reason_to_stop_asking(server: ValkeyServer) -> None:
    changes: list[str | None] = []
    async with counters(at(server), changes) as client:
        with server.client() as other:
            other.set(open_key("acme"), "not a set")
            with pytest.raises(Failed):
                await reserve(client, "a")
            other.delete(open_key("acme"))
        await reserve(client, "b")
    assert changes == []


async def test_text_that_is_none_costs_nobody_else_an_answer(server: ValkeyServer) -> None:
    async with counters(at(server)) as client:
        await reserve(client, "first")
        calls = [client.command("ECHO", text) for text in ("one", "\ud800", "two")]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(answers[1], UnicodeEncodeError)
        assert [answers[0], answers[2], await client.command("ECHO", "three")] == [b"one", b"two", b"three"]


async def test_a_node_that_may_not_say_where_the_others_are(tmp_path: Path) -> None:
    """It answers what is its own, so only a write to the tenant's slot proves that it is of use again."""
    changes: list[str | None] = []
    with cluster_node(tmp_path) as (node, address):
        slot = node.execute_command("CLUSTER", "KEYSLOT", "acme")
        node.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, slot - 1, slot + 1, 16383)
        node.acl_setuser("headgate", enabled=True, passwords=["+x"], keys=["hg:*"], commands=["+@all", "-cluster"])
        wait(lambda: node.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
        async with counters(address, changes) as client:
            await refused(client)
            await until_told(changes)
            assert changes == ["answers CLUSTERDOWN: a cluster whose nodes it does not name (CLUSTER SLOTS)"]
            await asyncio.sleep(0.5)
            assert await refused(client) < TIMEOUT_S / 2
            assert len(changes) == 1
            node.execute_command("CLUSTER", "ADDSLOTS", slot)
            await back(client)
    assert changes[1:] == [None]


async def test_a_server_that_becomes_a_clusters_node(tmp_path: Path) -> None:
    """It is asked again what it is, when it says that it has not got a key, without a new start of ours."""
    changes: list[str | None] = []
    with cluster_node(tmp_path) as (node, address):
        node.acl_setuser("headgate", enabled=True, passwords=["+x"], keys=["hg:*"], commands=["+@all", "-cluster"])
        async with counters(address, changes) as client:
            await refused(client)
            node.acl_setuser("headgate", enabled=True, commands=["+cluster"])
            node.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            await back(client)
            assert [type(one).__name__ for one in client.nodes] == ["Node"]
            assert client.place_of("hg:{acme}:open") == address.path
    assert changes[-1] is None


async def until_told(changes: list[str | None]) -> None:
    async with asyncio.timeout(60):
        while not changes:  # noqa: ASYNC110 - told by the client's own task
            await asyncio.sleep(0.01)


@contextmanager
def cluster_node(folder: Path) -> Iterator[tuple[Redis, CountersAddress]]:
    """A node without slots, and where a user of it finds it."""
    options = {"--port": free_port(), "--cluster-port": free_port(), "--cluster-require-full-coverage": "no"}
    words = ("--cluster-enabled", "yes", *(str(word) for option in options.items() for word in option))
    with valkey_server(folder, *words) as server, server.client() as client:
        yield client, parsed(f"unix://headgate:x@{server.socket}")


async def test_credentials(tmp_path: Path) -> None:
    with valkey_server(tmp_path) as server, server.client() as other:
        other.acl_setuser("headgate", enabled=True, passwords=["+s3cret"], keys=["hg:*"], commands=["+@all"])
        other.acl_setuser("default", enabled=True, reset_passwords=True, passwords=["+other"])
        address = parsed(f"unix://headgate:s3cret@{server.socket}?db=2")
        assert "s3cret" not in repr(address)
        async with counters(address) as client:
            assert await reserve(client, "a") == 999
        changes: list[str | None] = []
        async with counters(parsed(f"unix://headgate:wrong@{server.socket}"), changes) as client:
            await refused(client)
        assert changes == ["answers WRONGPASS"]


async def test_nobody_there(tmp_path: Path) -> None:
    changes: list[str | None] = []
    async with counters(CountersAddress(path=str(tmp_path / "none")), changes) as client:
        assert await refused(client) < TIMEOUT_S
    assert changes == ["FileNotFoundError"]


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://counters:7000/3", CountersAddress(host="counters", port=7000, database=3)),
        ("valkey://u:p%40@[::1]", CountersAddress(host="::1", user="u", password="p@")),
        ("rediss://:p@counters", CountersAddress(host="counters", tls=True, password="p")),
        (
            "redis://u:p,w@a:7000,b,[::1]:7001/1",
            CountersAddress(
                host="a", port=7000, user="u", password="p,w", database=1, others=(("b", 6379), ("::1", 7001))
            ),
        ),
        ("unix:///run/v.sock?db=1", CountersAddress(path="/run/v.sock", database=1)),
    ],
)
def test_urls(url: str, address: CountersAddress) -> None:
    assert parsed(url) == address

"""What workers know of engines' replicas, over a real server: of which gateway, for how long, in how many bytes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from redis import Redis

from headgate.counters.address import parsed
from headgate.feed.messages import decoded, gateway_channel, replicas_alone
from headgate.feed.replicas import MOST_ADAPTERS, MOST_REPLICAS, ByCluster, Replica, Replicas, ReplicaState
from headgate.feed.states import FORGET_S, TargetStates
from headgate.feed.subscriber import Subscriber
from tests.feed.ends import until

LLAMA, QWEN = "provider/llama@0123456789", "provider/qwen@0123456789"
ONE = Replica("127.0.0.1:8001", ReplicaState.READY, 3, 1, 32, 0.25, frozenset({"acme/bot@3-0a1b2c3d"}))
OTHER = Replica("127.0.0.1:8002", ReplicaState.STARTING, 0, 0, 32, 0.0)


@asynccontextmanager
async def replicas_of(url: str, gateway: str | None) -> AsyncIterator[Replicas]:
    """What a worker hears."""
    replicas = Replicas()
    subscriber = Subscriber(parsed(url), gateway, TargetStates(), replicas=replicas)
    subscriber.start()
    try:
        yield replicas
    finally:
        await subscriber.close()


async def say(valkey: Redis, gateway: str, replicas: ByCluster, to: int = 1) -> None:
    """Tell, once so many workers listen."""
    channel = gateway_channel(gateway)
    await until(lambda: valkey.pubsub_numsub(channel)[0][1] + valkey.pubsub_numpat() >= to)
    valkey.publish(channel, replicas_alone(gateway, replicas))


async def test_a_worker_hears_its_own_gateway_s_engines(url: str, valkey: Redis) -> None:
    async with replicas_of(url, "g1") as replicas, replicas_of(url, "g2") as others:
        assert replicas.of(LLAMA) is None
        await say(valkey, "g1", {LLAMA: [ONE, OTHER]})
        await until(lambda: replicas.of(LLAMA))
        assert replicas.of(LLAMA) == (ONE, OTHER)
        assert replicas.of(QWEN) is others.of(LLAMA) is None
        await say(valkey, "g1", {QWEN: [OTHER], LLAMA: []})
        await until(lambda: replicas.of(QWEN))
        assert replicas.of(LLAMA) is None  # as if nobody had spoken of it: Envoy picks


async def test_a_worker_of_no_gateway_hears_all(url: str, valkey: Redis) -> None:
    async with replicas_of(url, None) as replicas:
        await say(valkey, "g1", {LLAMA: [ONE]})
        await say(valkey, "g2", {QWEN: [OTHER]})
        await until(lambda: replicas.of(LLAMA) == (ONE,) and replicas.of(QWEN) == (OTHER,))


async def test_other_messages_take_nothing_back(url: str, valkey: Redis) -> None:
    async with replicas_of(url, "g1") as replicas:
        await say(valkey, "g1", {LLAMA: [ONE]})
        await until(lambda: replicas.of(LLAMA))
        valkey.publish(gateway_channel("g1"), '{"gateway": "g1", "health": {}}')
        await asyncio.sleep(0.1)
        assert replicas.of(LLAMA) == (ONE,)


def test_choices_count_until_the_next_message() -> None:
    replicas = Replicas()
    replicas.choose(LLAMA, ONE.address)  # nobody has said anything
    replicas.take("g1", {LLAMA: [ONE, OTHER]})
    assert replicas.of(LLAMA) == (ONE, OTHER)
    for _ in range(2):
        replicas.choose(LLAMA, ONE.address)
    replicas.choose(QWEN, ONE.address)
    assert [one.running for one in replicas.of(LLAMA) or ()] == [5, 0]
    replicas.take("g1", {LLAMA: [ONE, OTHER]})
    assert [one.running for one in replicas.of(LLAMA) or ()] == [3, 0]


def test_who_is_heard_no_more_is_forgotten() -> None:
    now = [0.0]
    replicas = Replicas(lambda: now[0])
    replicas.take("g1", {LLAMA: [ONE]})
    now[0] = FORGET_S - 1
    replicas.take("g2", {QWEN: [OTHER]})
    assert replicas.of(LLAMA) == (ONE,)
    now[0] = FORGET_S + 1
    replicas.take("g2", {QWEN: [OTHER]})
    assert (replicas.of(LLAMA), replicas.of(QWEN)) == (None, (OTHER,))
    now[0] = 2 * FORGET_S + 1
    assert replicas.of(QWEN) is None


def test_a_replica_in_a_state_of_a_later_version_takes_nothing() -> None:
    text = replicas_alone("g1", {LLAMA: [ONE]}).replace('"ready"', '"dreaming"')
    said = decoded(text.encode())
    assert said
    assert [one.state for one in said.all_replicas()[LLAMA]] == [ReplicaState.AWAY]


def test_a_message_is_bounded_and_says_nothing_of_health() -> None:
    adapters = frozenset(f"{'x' * 60}{number}" for number in range(2 * MOST_ADAPTERS))
    many = [Replica(f"10.0.0.1:{port}", ReplicaState.READY, 1, 0, 8, 1 / 3, adapters) for port in range(400)]
    text = replicas_alone("g1", {LLAMA: many, QWEN: many})
    said = decoded(text.encode())
    assert said
    assert said.health is None
    found = said.all_replicas()
    assert (len(found[LLAMA]), len(found[QWEN])) == (400, MOST_REPLICAS - 400)
    assert {len(one.adapters) for some in found.values() for one in some} == {MOST_ADAPTERS}
    assert found[LLAMA][0].kv_used == 0.333
    assert set(msgspec.json.decode(text)) == {"gateway", "replicas"}

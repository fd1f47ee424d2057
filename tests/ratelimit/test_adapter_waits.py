"""Requests for adapters that come and go while they wait, for those or for a slot of their engine."""

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import grpc
import pytest
from limiter_process import EPOCH, Answer, Worker, asked, limiting
from redis import Redis

from headgate.compile import compile_snapshot
from headgate.config.check import check
from headgate.config.engine_providers import with_engines
from headgate.contract import ADAPTER, ADAPTER_CLUSTER, LACKS_ADAPTER, LEADING_KEY, NO_KEY
from headgate.counters.queue import release_call
from headgate.counters.scripts import queue_keys
from headgate.feed.identity import GATEWAY_ID_ENV
from headgate.feed.messages import CALLS_CHANNEL, Called, decoded_calls, gateway_channel, replicas_alone
from headgate.feed.replicas import Replica, ReplicaState
from tests.counters.valkey_server import ValkeyServer

GATEWAY, POOL, BOT = "gateway", "llama", "acme/bot@1-aaaa"
ADDRESS = "127.0.0.1:9"
ENGINES = {
    POOL: {
        "kind": "simulator",
        "endpoints": [f"http://{ADDRESS}"],
        "served_name": "llama",
        "max_running": 1,
        "max_loras": 2,
    }
}
MODELS = {"queued": {"targets": [{"provider": POOL, "model": "llama"}], "queue": {"max_wait": "60s"}}}


class Setting:
    """A worker, and its engine's one replica, with one slot and whatever adapter it is said to have."""

    def __init__(self, worker: Worker, cluster: str, valkey: Redis) -> None:
        self.worker, self.cluster, self.valkey = worker, cluster, valkey
        self.adapters: frozenset[str] = frozenset()
        self.ends = Event()

    def tell(self) -> None:
        """What the part `engines` says, over and over."""
        while not self.ends.wait(0.02):
            replica = Replica(ADDRESS, ReplicaState.READY, 0, 0, 1, 0.0, self.adapters)
            self.valkey.publish(gateway_channel(GATEWAY), replicas_alone(GATEWAY, {self.cluster: (replica,)}))

    def starts(self, request_id: str, adapter: str = "", **entries: str) -> grpc.Future:
        known = {ADAPTER: adapter, ADAPTER_CLUSTER: self.cluster, "upstream_model": adapter, LEADING_KEY: NO_KEY}
        request = asked("free", request_id, model="queued", engine=POOL, **(known if adapter else {}), **entries)
        return self.worker.call.future(request, timeout=90)

    def end(self, *request_ids: str) -> None:
        """As the ledger does."""
        script, keys, arguments = release_call(POOL, [f"{EPOCH}/{one}" for one in request_ids])
        self.valkey.eval(script.text, len(keys), *keys, *arguments)

    def stand(self, *, slots: str, line: set[str]) -> None:
        """Until it is so."""
        until(lambda: (self.members(0), self.members(4)) == ({slots}, line))

    def have(self, *adapters: str) -> None:
        """Until the worker has heard that its engine has these and no others."""
        self.adapters = frozenset(adapters)
        wanted = "engine_queue_timeout" if adapters else "adapter_not_loaded"
        until(lambda: Answer(self.starts("probe", BOT, stainless_timeout="0.01").result()).error["code"] == wanted)

    def asks_again(self, request_id: str) -> None:
        """What is said of it in the counters is no older than this call."""
        for _ in range(2):
            before = self.valkey.zscore(queue_keys(POOL)[4], f"{EPOCH}/{request_id}")
            until(lambda before=before: self.valkey.zscore(queue_keys(POOL)[4], f"{EPOCH}/{request_id}") != before)  # type: ignore[misc]

    def members(self, part: int) -> set[str]:
        return {one.partition("/")[2] for one in self.valkey.zrange(queue_keys(POOL)[part], 0, -1)}  # type: ignore[union-attr]


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


@pytest.fixture(scope="module")
def worker(server: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Worker, str]]:
    """And the cluster of its engine."""
    folder: Path = tmp_path_factory.mktemp("adapter-waits")
    os.environ[GATEWAY_ID_ENV] = GATEWAY
    try:
        with limiting(folder, server, {}, engines=ENGINES, models=MODELS) as (running,):
            yield running, cluster_in(folder)
    finally:
        del os.environ[GATEWAY_ID_ENV]


def cluster_in(folder: Path) -> str:
    gateway = check(folder / "gateway.yaml", os.environ).gateway
    assert gateway
    return compile_snapshot(with_engines(gateway), 1).slots[POOL].cluster


@pytest.fixture
def setting(worker: tuple[Worker, str], valkey: Redis) -> Iterator[Setting]:
    made = Setting(*worker, valkey)
    teller = Thread(target=made.tell)
    teller.start()
    yield made
    made.ends.set()
    teller.join()


def test_who_waits_for_a_slot_keeps_its_adapter_in_use(setting: Setting) -> None:
    """Or it would be the one that was used longest ago, and gone when its turn comes."""
    assert Answer(setting.starts("running").result()).is_ok
    setting.have(BOT)
    with setting.valkey.pubsub(ignore_subscribe_messages=True) as listener:
        waits = setting.starts("waits", BOT)
        setting.stand(slots="running", line={"waits"})
        listener.subscribe(CALLS_CHANNEL)
        for _ in range(3):
            said = until(lambda: listener.get_message(timeout=1))
            assert decoded_calls(said["data"].encode()) == Called(GATEWAY, {setting.cluster: [BOT]})
    setting.end("running")
    assert Answer(waits.result()).is_ok


def test_whose_adapter_has_gone_leaves_its_slot_to_others_and_keeps_its_turn(setting: Setting) -> None:
    assert Answer(setting.starts("running").result()).is_ok
    setting.have(BOT)
    waits = setting.starts("waits", BOT)
    setting.stand(slots="running", line={"waits"})
    behind = setting.starts("behind")
    setting.stand(slots="running", line={"waits", "behind"})
    setting.have()
    setting.end("running")
    assert Answer(behind.result()).is_ok
    last = setting.starts("last")
    setting.stand(slots="behind", line={"waits", "last"})
    setting.have(BOT)
    setting.asks_again("waits")
    setting.end("behind")
    assert Answer(waits.result()).is_ok
    setting.stand(slots="waits", line={"last"})
    setting.end("waits")
    assert Answer(last.result()).is_ok


def test_a_client_waits_as_long_as_it_says_for_adapter_and_slot_together(setting: Setting) -> None:
    assert Answer(setting.starts("running").result()).is_ok
    setting.have()
    waits = setting.starts("waits", BOT, **{LACKS_ADAPTER: "true", "stainless_timeout": "4"})
    time.sleep(2)
    setting.have(BOT)
    refused = Answer(waits.result())
    assert refused.error["code"] == "engine_queue_timeout"
    waited = re.search(r"has waited for ([\d.]+) s", refused.error["message"])
    assert waited
    assert float(waited[1]) < 3

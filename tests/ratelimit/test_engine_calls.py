"""Calls that wait for a slot of an engine, and what becomes of them when another worker is asked, too."""

import signal
import time
from collections.abc import Callable, Iterator

import grpc
import pytest
from limiter_process import EPOCH, Answer, Worker, asked, limiting
from redis import Redis

from headgate.counters.queue import release_call
from headgate.counters.scripts import queue_keys
from tests.counters.valkey_server import ValkeyServer
from tests.stopped import stop

POOL = "llama"
ENGINES = {POOL: {"kind": "simulator", "endpoints": ["http://127.0.0.1:9"], "served_name": "llama", "max_running": 1}}
MODELS = {"queued": {"targets": [{"provider": POOL, "model": "llama"}], "queue": {"max_wait": "60s"}}}


@pytest.fixture(scope="module")
def workers(server: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Worker]]:
    folder = tmp_path_factory.mktemp("engine-calls")
    with limiting(folder, server, {}, number=2, engines=ENGINES, models=MODELS) as running:
        yield running


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def starts(worker: Worker, request_id: str) -> grpc.Future:
    return worker.call.future(asked("free", request_id, model="queued", engine=POOL), timeout=60)


def ends(valkey: Redis, request_id: str) -> None:
    """As its `end` line makes the ledger say."""
    script, keys, arguments = release_call(POOL, [f"{EPOCH}/{request_id}"])
    valkey.eval(script.text, len(keys), *keys, *arguments)


def members(valkey: Redis, part: int) -> set[str]:
    return {member.partition("/")[2] for member in valkey.zrange(queue_keys(POOL)[part], 0, -1)}  # type: ignore[union-attr]


def test_a_worker_that_hung_gives_back_nothing_of_a_request_that_another_one_has_since(
    workers: list[Worker], valkey: Redis
) -> None:
    """Or the engine would get more than it runs at once."""
    hangs, other = workers
    assert Answer(starts(other, "running").result()).is_ok
    first = starts(hangs, "asked-twice")
    until(lambda: members(valkey, 4) == {"asked-twice"})
    stop(hangs.process.pid)
    try:
        again = starts(other, "asked-twice")
        last = starts(other, "last")
        until(lambda: members(valkey, 4) == {"asked-twice", "last"})
        ends(valkey, "running")
        assert Answer(again.result()).is_ok
        first.cancel()
    finally:
        hangs.process.send_signal(signal.SIGCONT)
    for request_id in ("one", "two"):  # it has heard of that by now, and said what it had to say
        late = starts(hangs, request_id)
        until(lambda request_id=request_id: request_id in members(valkey, 4))  # type: ignore[misc]
        late.cancel()
        until(lambda request_id=request_id: request_id not in members(valkey, 4))  # type: ignore[misc]
    assert members(valkey, 0) == {"asked-twice"}
    assert not last.done()
    ends(valkey, "asked-twice")
    assert Answer(last.result()).is_ok


def test_a_worker_that_is_asked_again_for_a_request_answers_the_later_call(
    workers: list[Worker], valkey: Redis
) -> None:
    """As where Envoy's connection to it was broken."""
    worker, _ = workers
    assert Answer(starts(worker, "running").result()).is_ok
    first = starts(worker, "asked-twice")
    until(lambda: members(valkey, 4) == {"asked-twice"})
    again = starts(worker, "asked-twice")
    with pytest.raises(grpc.RpcError):  # which nobody waits for any more
        first.result()
    ends(valkey, "running")
    assert Answer(again.result()).is_ok
    assert members(valkey, 0) == {"asked-twice"}

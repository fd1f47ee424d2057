"""Engines behind a gateway: what it says of them, and what clients see while a replica dies and comes back."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any

import httpx2
import pytest
from running_gateway import RunningGateway, free_address, running_gateway
from tenants import CHAT, chat

WITHIN_S = 40.0
MODEL = "headgate-simulator"  # what the simulator serves unless it is told otherwise
STATE = re.compile(r'^headgate_engine_replica_state\{engine="sim",replica="(.+)",state="(.+)"\} 1\.0$', re.MULTILINE)
CLIENTS = 8


class Replica:
    """A simulator that may be killed and started again where it was."""

    def __init__(self) -> None:
        self.address = free_address()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        port = self.address.rpartition(":")[2]
        command = [sys.executable, "-m", "engines.simulator", "--port", port, "--ttft", "0.03", "--token", "0.005"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()


@dataclass(frozen=True)
class Watched:
    """A gateway with an engine of two replicas."""

    gateway: RunningGateway
    replicas: tuple[Replica, Replica]
    key: str

    def states(self) -> dict[str, str]:
        """Of the replicas, by address, as /metrics has them."""
        text = httpx2.get(f"http://{self.gateway.admin_address}/metrics").text
        return dict(STATE.findall(text))

    def said(self, part: str) -> Any:
        """What /readyz has of a part; None when there is none."""
        return self.gateway.readyz()["parts"].get(part)

    def edit(self, **sections: Any) -> None:
        """As an operator does, who saves the file."""
        path = self.gateway.folder / "gateway.yaml"
        path.write_text(json.dumps({**json.loads(path.read_text()), **sections}))


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    first, second = replicas = Replica(), Replica()
    key, endpoints = f"hg-{token_urlsafe(32)}", [f"http://{one.address}" for one in replicas]
    config = {
        "engines": {"sim": {"kind": "simulator", "endpoints": endpoints, "served_name": MODEL, "max_running": 8}},
        "models": {"chat": {"targets": [{"provider": "sim", "model": MODEL}]}},
        "tenants": {
            "t": {"models": ["chat"], "keys": [{"name": "k", "sha256": sha256(key.encode()).hexdigest()}]},
        },
    }
    first.start()
    second.start()
    try:
        with running_gateway(tmp_path_factory.mktemp("engines"), config, {}) as gateway:
            found = Watched(gateway, replicas, key)
            until(lambda: list(found.states().values()) == ["ready", "ready"])
            yield found
    finally:
        first.kill()
        second.kill()


class Load:
    """Clients that ask and ask, every other time for a stream; what became of each answer."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._over = threading.Event()
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []

    def client(self, number: int) -> None:
        with httpx2.Client(timeout=30, headers={"authorization": f"Bearer {self._watched.key}"}) as session:
            while not self._over.is_set():
                number += 1
                self._stream(session) if number % 2 else self._whole(session)

    def _whole(self, session: httpx2.Client) -> None:
        try:
            answer = session.post(self._watched.gateway.url + CHAT, json=chat(simulate={"tokens": 60}))
        except httpx2.TransportError as error:
            self.failures.append(repr(error))
            return
        self.answers["whole"] += 1
        if answer.status_code != 200:
            self.failures.append(answer.text)

    def _stream(self, session: httpx2.Client) -> None:
        seen = b""
        try:
            body = chat(stream=True, simulate={"tokens": 60})
            with session.stream("POST", self._watched.gateway.url + CHAT, json=body) as answer:
                if answer.status_code != 200:
                    self.failures.append(answer.read().decode())
                for piece in answer.iter_bytes():
                    seen += piece
        except httpx2.TransportError as error:
            if b"data: " not in seen:
                self.failures.append(f"before its first event: {error!r}")
            self.answers["cut"] += 1
            return
        self.answers["streamed" if seen.endswith(b"data: [DONE]\n\n") else "ended early"] += 1

    @contextmanager
    def going_on(self) -> Iterator[None]:
        threads = [threading.Thread(target=self.client, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join(WITHIN_S)

    def until_more(self, count: int) -> None:
        """Until there are so many more answers of both kinds."""
        before = self.answers.copy()
        until(lambda: all(self.answers[kind] >= before[kind] + count for kind in ("whole", "streamed")))


def test_no_client_notices_a_replica_that_is_killed_and_comes_back(
    watched: Watched, capsys: pytest.CaptureFixture[str]
) -> None:
    load, (one, other) = Load(watched), watched.replicas
    with load.going_on():
        for turn in range(3):
            killed, left = (one, other) if turn % 2 else (other, one)
            load.until_more(20)
            killed.kill()
            until(lambda: watched.states() == {killed.address: "away", left.address: "ready"})  # noqa: B023 - asked now
            until(lambda: watched.said("replicas")["detail"] == "sim: 1 of 2 ready (away: refuses connections)")
            assert not watched.said("replicas")["ready"]
            assert "replicas" in watched.gateway.readyz()["degraded"]
            assert watched.gateway.readyz()["ready"]
            load.until_more(20)
            killed.start()
            until(lambda: list(watched.states().values()) == ["ready", "ready"])
        load.until_more(20)
    with capsys.disabled():
        print(f"\n{dict(load.answers)}")  # noqa: T201
    assert load.failures == []
    assert watched.said("replicas")["ready"]


def test_without_any_replica_clients_get_our_errors(watched: Watched) -> None:
    for replica in watched.replicas:
        replica.kill()
    try:
        until(lambda: list(watched.states().values()) == ["away", "away"])
        for stream in (False, True):
            answer = watched.gateway.post(CHAT, chat(stream=stream), watched.key)
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "provider_unreachable"
            assert "Traceback" not in answer.text
    finally:
        for replica in watched.replicas:
            replica.start()
    until(lambda: list(watched.states().values()) == ["ready", "ready"])
    until(lambda: watched.gateway.post(CHAT, chat(), watched.key).status_code == 200)


def test_the_part_is_killed_and_nobody_notices(watched: Watched) -> None:
    load, before = Load(watched), watched.said("engines")
    with load.going_on():
        load.until_more(5)
        os.kill(before["pid"], signal.SIGKILL)
        until(lambda: (watched.said("engines")["restarts"], watched.said("engines")["ready"]) == (1, True))
        until(lambda: list(watched.states().values()) == ["ready", "ready"])
        load.until_more(5)
    assert load.failures == []
    assert load.answers["cut"] + load.answers["ended early"] == 0


def test_it_runs_while_there_are_engines_and_no_longer(watched: Watched) -> None:
    engines = json.loads((watched.gateway.folder / "gateway.yaml").read_text())["engines"]
    models = json.loads((watched.gateway.folder / "gateway.yaml").read_text())["models"]
    plain = {"api": "openai", "endpoints": engines["sim"]["endpoints"]}
    pid = watched.said("engines")["pid"]
    watched.edit(engines={}, providers={"sim": plain})
    until(lambda: watched.said("engines") is None)
    until(lambda: not os.path.exists(f"/proc/{pid}"))  # noqa: PTH110 - a process, no file
    assert watched.said("replicas") is None
    assert watched.states() == {}
    assert watched.gateway.post(CHAT, chat(), watched.key).status_code == 200
    watched.edit(engines=engines, providers={}, models=models)
    until(lambda: list(watched.states().values()) == ["ready", "ready"])
    assert watched.said("engines")["restarts"] == 0
    watched.edit(
        engines={"sim": {**engines["sim"], "served_name": "another"}},
        models={"chat": {"targets": [{"provider": "sim", "model": "another"}]}},
    )
    until(lambda: list(watched.states().values()) == ["away", "away"])
    detail = 'sim: 0 of 2 ready (away: does not serve "another")'
    until(lambda: watched.said("replicas")["detail"] == detail)

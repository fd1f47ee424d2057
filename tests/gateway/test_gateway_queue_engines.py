"""Requests that wait for engines with several replicas: in chains, while replicas die, over reloads, on any surface.

One gateway for all of it. The tests go from what leaves everything in place to what kills replicas.
"""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import httpx2
import pytest
from limited import counters_of, metric, until
from running_gateway import RunningGateway, free_address, running_gateway
from upstreams import Engine
from websocket_gateway import ask as ask_socket
from websockets.asyncio.client import connect

from headgate.counters.scripts import queue_keys
from tests.feed.replica_news import wait_for_states
from tests.stopped import stop

KEY = f"hg-{token_urlsafe(32)}"
LLAMA, QWEN = "llama", "qwen"
NAMES = ("one", "other", "third")  # replicas: two of llama's, and qwen's
TARGET = "x-headgate-target"
POSITION = "x-headgate-queue-position"
LONG_S = 60.0


class Replica:
    """A simulator that can be killed, and started again where it was."""

    def __init__(self, folder: Path, name: str, model: str) -> None:
        self.address, self._model, self._process = free_address(), model, None
        self.engine = Engine(self.address, folder / f"{name}.jsonl")

    def start(self) -> None:
        port = self.address.rpartition(":")[2]
        flags = ["--port", port, "--model", self._model, "--ttft", "0.01", "--token", "0.001"]
        command = [sys.executable, "-m", "engines.simulator", *flags, "--record", str(self.engine.record)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def hang(self) -> None:
        if self._process:
            stop(self._process.pid)

    def go_on(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


class Waits:
    """A running gateway, and clients of its one tenant."""

    def __init__(self, gateway: RunningGateway, replicas: dict[str, Replica]) -> None:
        self.gateway, self.replicas = gateway, replicas
        self._texts: dict[str, str] = {}

    async def ask(
        self,
        model: str = "chat",
        text: str = "Hi",
        *,
        stream: bool = False,
        patience_s: float | None = None,
        **more: Any,
    ) -> httpx2.Response:
        body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}
        simulate = {"tokens": 2, "token_s": 0, "ttft_s": 0.02, **more}
        headers = {"authorization": f"Bearer {KEY}"}
        headers |= {} if patience_s is None else {"x-stainless-timeout": str(patience_s)}
        async with httpx2.AsyncClient(timeout=LONG_S) as client:
            url = f"{self.gateway.url}/v1/chat/completions"
            return await client.post(url, json={**body, "simulate": simulate}, headers=headers)

    async def respond(self, text: str, **members: str) -> httpx2.Response:
        """A response that the replica keeps."""
        body = {"model": "chat", "input": text, "simulate": {"tokens": 2, "ttft_s": 0.02}, **members}
        async with httpx2.AsyncClient(timeout=LONG_S) as client:
            url, headers = f"{self.gateway.url}/v1/responses", {"authorization": f"Bearer {KEY}"}
            reply = await client.post(url, json=body, headers=headers)
        assert reply.status_code == 200, reply.text
        return reply

    def count(self, part: str, pool: str = LLAMA) -> int:
        keys = dict(zip(("slots", "beats"), (queue_keys(pool)[0], queue_keys(pool)[4]), strict=True))
        with counters_of(self.gateway) as valkey:
            return int(valkey.zcard(keys[part]))

    async def held(self, slots: int, waiting: int = 0, pool: str = LLAMA) -> None:
        await until(lambda: (self.count("slots", pool), self.count("beats", pool)) == (slots, waiting), within_s=30)

    @contextlib.asynccontextmanager
    async def holding(self, model: str = "chat", pool: str = LLAMA, **more: Any) -> AsyncIterator[asyncio.Task[Any]]:
        """A request that has a slot until the block ends."""
        before = self.count("slots", pool)
        task = asyncio.create_task(self.ask(model, ttft_s=LONG_S, **more))
        await until(lambda: self.count("slots", pool) == before + 1)
        try:
            yield task
        finally:
            task.cancel()

    @contextlib.asynccontextmanager
    async def full(self) -> AsyncIterator[list["asyncio.Task[Any]"]]:
        """Both of llama's slots are taken: one request at each replica, the first of them at `one`."""
        texts = [await self.text_of("one"), await self.text_of("other")]
        await self.held(0)
        async with self.holding(text=texts[0]) as first:
            is_at_one = self.only_place() == self.replicas["one"].address
            async with self.holding(text=texts[1]) as second:
                yield [first, second] if is_at_one else [second, first]

    def only_place(self) -> str:
        """The replica of the one slot that is taken: the one it begins like, unless that seemed busy just now."""
        with counters_of(self.gateway) as valkey:
            (said,) = valkey.hvals(queue_keys(LLAMA)[1])
        return str(said).split(":", 2)[2]

    async def waits(self, *asked: Any, **differs: Any) -> "asyncio.Task[httpx2.Response]":
        """One that waits: a worker that has not heard that there are fewer slots now may let some go on."""
        before = self.count("beats")
        async with asyncio.timeout(30):
            while True:
                task = asyncio.create_task(self.ask(*asked, **differs))
                await until(lambda task=task: self.count("beats") == before + 1 or task.done())  # type: ignore[misc]
                if not task.done():
                    return task
                assert task.result().status_code == 200, task.result().text

    async def text_of(self, name: str) -> str:
        """A beginning that belongs to this replica: found while nothing else goes on."""
        number = 0
        while name not in self._texts:
            text, number = f"Tell me of river {number}.", number + 1
            assert number < 100, self._texts
            await self.held(0)
            for seen in self.seen_by(await self.ask("idle", text)):
                self._texts.setdefault(seen, text)
        return self._texts[name]

    def seen_by(self, reply: httpx2.Response) -> list[str]:
        request_id = reply.headers["x-request-id"]
        return [name for name, replica in self.replicas.items() if replica.engine.has_seen(request_id)]

    async def until_states(self, **states: str) -> None:
        wanted = {self.replicas[name].address: state for name, state in states.items()}
        await asyncio.to_thread(wait_for_states, self.gateway.state, self.gateway.cluster(LLAMA), wanted)

    async def until_slots(self, slots: int) -> None:
        """Until it is known everywhere how many llama has; 0: that nobody waits for it any more."""
        await until(lambda: metric(self.gateway, f'headgate_engine_slots{{engine="{LLAMA}"') == slots)

    @contextlib.contextmanager
    def edited(self) -> Iterator[dict[str, Any]]:
        """The configuration, to be changed in the block."""
        path = self.gateway.folder / "gateway.yaml"
        document = json.loads(path.read_text())
        yield document
        path.write_text(json.dumps(document))


def configuration(replicas: dict[str, Replica]) -> dict[str, Any]:
    roots = {name: f"http://{replica.address}" for name, replica in replicas.items()}
    llama, qwen = ({"provider": name, "model": name} for name in (LLAMA, QWEN))
    models = {
        "chat": {"targets": [llama], "queue": {}},
        "idle": {"targets": [llama]},
        "pair": {"targets": [llama, qwen], "queue": {}},
        "swift": {"targets": [llama], "queue": {}, "hedge": "100ms"},
    }
    engine = {"kind": "simulator", "max_running": 1}
    return {
        "engines": {
            LLAMA: {**engine, "endpoints": [roots["one"], roots["other"]]},
            QWEN: {**engine, "endpoints": [roots["third"]]},
        },
        "models": models,
        "tenants": {
            "acme": {
                "models": list(models),
                "keys": [{"name": "ci", "sha256": sha256(KEY.encode()).hexdigest()}],
            }
        },
    }


@contextmanager
def running_replicas(folder: Path) -> Iterator[dict[str, Replica]]:
    replicas = {name: Replica(folder, name, QWEN if name == "third" else LLAMA) for name in NAMES}
    with ExitStack() as stack:
        for replica in replicas.values():
            replica.start()
            stack.callback(replica.kill)
        yield replicas


@pytest.fixture(scope="module")
def waits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Waits]:
    folder = tmp_path_factory.mktemp("waits")
    with running_replicas(folder) as replicas, running_gateway(folder, configuration(replicas), {}) as gateway:
        wait_for_states(
            gateway.state, gateway.cluster(LLAMA), {replicas[name].address: "ready" for name in ("one", "other")}
        )
        yield Waits(gateway, replicas)


async def test_of_two_engines_the_one_with_a_slot_is_asked_and_the_first_one_waited_for(waits: Waits) -> None:
    async with waits.full():
        async with asyncio.timeout(30):  # all workers are to have heard
            while (await waits.ask("pair", patience_s=0.2)).headers.get(TARGET) != QWEN:
                pass
        await waits.held(0, pool=QWEN)
        async with waits.holding("pair", pool=QWEN):
            waiting = await waits.waits("pair")
            await waits.held(2, waiting=1)
            await waits.held(1, pool=QWEN)
    reply = await waiting
    assert (reply.status_code, reply.headers[TARGET], reply.headers[POSITION]) == (200, LLAMA, "1")
    await waits.held(0)
    await waits.held(0, pool=QWEN)


async def test_a_hedged_stream_waits_as_one_and_both_its_attempts_have_one_slot(waits: Waits) -> None:
    async with waits.full() as held:
        waiting = await waits.waits("swift", stream=True, ttft_s=1.0)
        held[0].cancel()
        await waits.held(2)
    reply = await waiting
    assert reply.status_code == 200
    assert "[DONE]" in reply.text
    assert sorted(waits.seen_by(reply)) == ["one", "other"]
    await waits.held(0)


async def test_what_goes_on_from_a_response_waits_for_the_replica_that_keeps_it(waits: Waits) -> None:
    kept = await waits.respond("Hi")
    (keeper,) = waits.seen_by(kept)
    text = await waits.text_of("other" if keeper == "one" else "one")  # where it would go by how it begins
    async with waits.full():
        waiting = asyncio.create_task(waits.respond(text, previous_response_id=kept.json()["id"]))
        await waits.held(2, waiting=1)
    assert waits.seen_by(await waiting) == [keeper]
    await waits.held(0)


async def test_a_response_on_a_websocket_waits_and_one_whose_client_leaves_does_not(waits: Waits) -> None:
    url, headers = f"ws://{waits.gateway.http}/v1/responses", {"authorization": f"Bearer {KEY}"}
    async with waits.full(), connect(url, additional_headers=headers) as leaves:
        await leaves.send(json.dumps({"type": "response.create", "model": "chat", "input": "Hi"}))
        await waits.held(2, waiting=1)
        await leaves.close()
        await waits.held(2)
    async with connect(url, additional_headers=headers) as socket:
        async with waits.full():
            waiting = asyncio.create_task(ask_socket(socket))
            await waits.held(2, waiting=1)
        assert (await waiting)["type"] == "response.completed"
    await waits.held(0)


async def test_a_reload_lets_in_who_waits_and_those_that_hold_slots_go_on(waits: Waits) -> None:
    async with waits.full() as held:
        waiting = await waits.waits()
        with waits.edited() as document:
            document["engines"][LLAMA]["max_running"] = 2
        assert (await waiting).status_code == 200
        assert not any(task.done() for task in held)
        await waits.until_slots(4)
        with waits.edited() as document:
            document["engines"][LLAMA]["max_running"] = 1
        await waits.until_slots(2)
        await waits.held(2)
        waiting = await waits.waits()
        before = (waits.gateway.folder / "gateway.yaml").read_text()
        with waits.edited() as document:
            for model in document["models"].values():
                model.pop("queue", None)
        await waits.until_slots(0)
        assert not waiting.done()
    assert (await waiting).status_code == 200, "it waits as it began to"
    await waits.held(0)
    (waits.gateway.folder / "gateway.yaml").write_text(before)
    await waits.until_slots(2)


async def test_what_a_hung_replica_holds_is_in_nobodys_way(waits: Waits) -> None:
    async with waits.full() as held:
        waits.replicas["one"].hang()
        try:
            await waits.until_states(one="away", other="ready")
            waiting = await waits.waits()
            held[1].cancel()
            reply = await waiting
            again = await waits.ask()
        finally:
            waits.replicas["one"].go_on()
        assert [one.status_code for one in (reply, again)] == [200, 200], reply.text + again.text
        assert [waits.seen_by(one) for one in (reply, again)] == [["other"]] * 2
        await waits.held(1)
    await waits.until_states(one="ready", other="ready")
    await waits.held(0)


async def test_who_waits_while_replicas_die_goes_to_one_that_is_there(waits: Waits) -> None:
    """One, and then all of them; whoever would not wait for so long is told, and nobody sees how it went."""
    one, other = waits.replicas["one"], waits.replicas["other"]
    text = await waits.text_of("one")
    async with waits.full():
        waiting = await waits.waits(text=text)
        one.kill()
        await waits.until_states(one="away", other="ready")
    reply = await waiting
    assert (reply.status_code, reply.headers["x-headgate-attempts"]) == (200, "1")
    assert waits.seen_by(reply) == ["other"]
    await waits.held(0)

    async with waits.holding() as held:
        waiting = await waits.waits(text=text)
        other.kill()
        failed = await held
        assert failed.status_code in (502, 503)
        assert failed.json()["error"]["message"]
        await waits.until_states(one="away", other="away")
        impatient = await waits.ask(patience_s=0.5)
        assert (impatient.status_code, impatient.json()["error"]["code"]) == (503, "engine_unavailable")
        assert "not available" in impatient.json()["error"]["message"]
        assert int(impatient.headers["retry-after"]) >= 1
        assert not waiting.done()
        one.start()
        reply = await waiting
    assert (reply.status_code, waits.seen_by(reply)) == (200, ["one"])
    await waits.held(0)
    other.start()
    await waits.until_states(one="ready", other="ready")

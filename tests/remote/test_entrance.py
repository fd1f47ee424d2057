"""Who gets in, and for how long: by names that were given, until the certificate ends, heeded or not."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from headgate.clients import uri_name
from headgate.config.certificates import CertificateError
from headgate.grpc_server import Server
from headgate.remote import entrance
from headgate.remote.contexts import Renewed, client_context, server_context
from headgate.remote.entrance import Entrance
from headgate.remote.network import TlsFiles
from tests.certificates import Authority
from tests.grpc_server.raw_peer import METHODS, PREFACE, Peer, frame, settings
from tests.grpc_server.raw_peer import SETTINGS as SETTINGS_KIND

GATEWAY = "spiffe://example.test/gateway"
DEADLINE_S = 30.0


class Both:
    """Two sides' files, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.workers, self.gateways = folder, Authority("workers"), Authority("gateways")
        (folder / "workers-ca.pem").write_bytes(self.workers.pem)
        (folder / "gateways-ca.pem").write_bytes(self.gateways.pem)
        self.workers.issue("worker.test").write(folder, "worker")
        self.gateways.issue(GATEWAY).write(folder, "gateway")

    @property
    def worker(self) -> TlsFiles:
        return TlsFiles(*(self.folder / f"{name}.pem" for name in ("worker", "worker-key", "gateways-ca")))

    @property
    def gateway(self) -> TlsFiles:
        return TlsFiles(*(self.folder / f"{name}.pem" for name in ("gateway", "gateway-key", "workers-ca")))


@pytest.fixture
def both(tmp_path: Path) -> Both:
    return Both(tmp_path)


def greet(both: Both, name: str) -> None:
    """A handshake, as the gateway's with a worker that it calls by this name. Raises ssl.SSLError."""
    wires = [(ssl.MemoryBIO(), ssl.MemoryBIO()) for _ in range(2)]
    client = client_context(both.gateway, ["h2"]).wrap_bio(wires[0][0], wires[0][1], server_hostname=name)
    server = server_context(both.worker, ["h2"]).wrap_bio(wires[1][0], wires[1][1], server_side=True)
    for _ in range(4):
        for side, ours, theirs in ((client, wires[0], wires[1]), (server, wires[1], wires[0])):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
            theirs[0].write(ours[1].read())
    assert client.getpeercert()


def test_a_worker_is_known_by_its_alternative_names(both: Both) -> None:
    greet(both, "worker.test")


@pytest.mark.parametrize("names", [[], ["spiffe://example.test/worker"]])
def test_and_not_by_its_common_name(names: list[str], both: Both) -> None:
    issued = both.workers.issue(*names, common_name="worker.test")
    issued.write(both.folder, "worker")
    with pytest.raises(ssl.SSLCertVerificationError):
        greet(both, "worker.test")


def test_files_that_cannot_be_used_change_nothing_and_are_tried_again(both: Both) -> None:
    made: list[ssl.SSLContext] = []
    fails: list[Exception] = []

    def make() -> ssl.SSLContext:
        if fails:
            raise fails.pop()
        made.append(server_context(both.worker, ["h2"]))
        return made[-1]

    renewed = Renewed(both.worker, make)
    both.workers.issue("worker.test").write(both.folder, "worker")
    for failure in (CertificateError("not yet"), OSError(24, "Too many open files", "worker.pem"), ValueError("x")):
        fails.append(failure)
        assert not renewed.look()
        assert renewed.context is made[0]
    assert not renewed.look()  # the files have not changed since
    assert renewed.context is made[1]
    renewed.look()
    assert len(made) == 2


def test_others_that_are_trusted_are_told_of(both: Both) -> None:
    renewed = Renewed(both.worker, lambda: server_context(both.worker, ["h2"]))
    both.workers.issue("worker.test").write(both.folder, "worker")
    assert not renewed.look()
    (both.folder / "gateways-ca.pem").write_bytes(both.gateways.pem)  # says what it said
    assert not renewed.look()
    (both.folder / "gateways-ca.pem").write_bytes(Authority("others").pem)
    assert renewed.look()
    assert not renewed.look()


@asynccontextmanager
async def served(both: Both) -> AsyncIterator[int]:
    """The port of a server that looks at certificates."""
    server = Server(METHODS)
    door = Entrance(both.worker, [uri_name(GATEWAY)], {"h2": server.peer})
    address = await server.listen("127.0.0.1:0", door.context, door.arrival)
    watch = asyncio.create_task(door.watch())
    try:
        yield int(address.rpartition(":")[2])
    finally:
        watch.cancel()
        await asyncio.wait({watch})
        await server.close(0)


@asynccontextmanager
async def calling(both: Both, port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    context = client_context(both.gateway, ["h2"])
    async with asyncio.timeout(DEADLINE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="worker.test")
        writer.write(PREFACE + settings() + frame(SETTINGS_KIND, 1))
        yield reader, writer
        writer.transport.abort()


@pytest.mark.parametrize("why", ["expired", "another CA"])
async def test_a_caller_that_heeds_nothing_has_no_more_calls(
    why: str, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers to no PING, and goes on calling."""
    monkeypatch.setattr(entrance, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(entrance, "REFUSES_AFTER_S", 0.2)
    ends = timedelta(seconds=4) if why == "expired" else timedelta(days=1)
    both.gateways.issue(GATEWAY, ends=ends).write(both.folder, "gateway")
    ended_at = time.time() + 4
    async with served(both) as port, calling(both, port) as (reader, writer):
        sender = Peer(METHODS)  # of whose side only the requests' bytes are used
        calls = iter(range(1, 10**6, 2))
        writer.write(sender.call(next(calls), "/test.Service/Echo", b"first"))
        seen = b""
        while b"first" not in seen:
            piece = await reader.read(65_536)
            assert piece
            seen += piece
        if why == "another CA":
            (both.folder / "gateways-ca.pem").write_bytes(Authority("others").pem)
        while piece := await reader.read(65_536):  # until the server hangs up, or the deadline
            seen += piece
            await asyncio.sleep(0.02)  # faster ones are refused as a flood
            writer.write(sender.call(next(calls), "/test.Service/Echo", b"more"))
    if why == "expired":
        assert time.time() >= ended_at - 1


async def test_calls_that_run_may_end_and_are_cut_at_last(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrance, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(entrance, "REFUSES_AFTER_S", 0.1)
    monkeypatch.setattr(entrance, "CUT_AFTER_S", 2.0)
    async with served(both) as port, calling(both, port) as (reader, writer):
        sender = Peer(METHODS)
        writer.write(sender.open(1, "/test.Service/Talk"))
        (both.folder / "gateways-ca.pem").write_bytes(Authority("others").pem)
        began = time.monotonic()
        while await reader.read(65_536):
            pass
        assert time.monotonic() - began >= 1.9

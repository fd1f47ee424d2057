"""Bodies, headers, paths and bytes that nobody thought of: no 5xx of ours, no hang, no process restarted.

Seconds in the suite; `make fuzz` or HEADGATE_FUZZ_SECONDS for longer. The number of cases is printed.
"""

import asyncio
import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from fuzz_cases import REQUESTS, Request, raw_http1, raw_http2
from guarded import guarded_gateway
from hyperframe.frame import DataFrame, Frame, GoAwayFrame, HeadersFrame, RstStreamFrame
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from processes import MIB, assert_unharmed, identities, pss_bytes
from raw_http2 import http2_peer
from recorder import Recorder, recorder
from running_gateway import RunningGateway
from tenants import CHAT, Keys, chat
from wire import connection, read_body, read_head

SECONDS = float(os.environ.get("HEADGATE_FUZZ_SECONDS", "4"))  # for each kind of case
HANG_S = 20.0
AT_ONCE = 32
SILENCE_S = 0.4  # after which a client says that no more will come

pytestmark = pytest.mark.timeout(SECONDS * 3 + 240)


@pytest.fixture(scope="module")
def provider() -> Iterator[Recorder]:
    with recorder() as found:
        yield found


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, provider: Recorder, keys: Keys) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("fuzz")
    with guarded_gateway(folder, provider, keys, headers_timeout="2s", request_timeout="3s") as running:
        yield running


@pytest.fixture(autouse=True)
def unharmed(guarded: RunningGateway, provider: Recorder, keys: Keys) -> Iterator[None]:
    before, memory = identities(guarded), pss_bytes(guarded, "")
    yield
    assert_unharmed(guarded, before)
    assert guarded.post(CHAT, chat(), keys.acme).status_code == 200
    assert provider.broken == []
    assert pss_bytes(guarded, "") < memory + 200 * MIB
    log = "".join(path.read_text() for path in guarded.state.glob("log/*.log"))
    assert "Traceback" not in log
    assert "gateway_error" not in log
    provider.forget()


def run(cases: st.SearchStrategy[Any], send: Callable[[Any], Awaitable[None]]) -> int:
    """Draw cases and send them until the time is over; how many that were. The first case that fails is shown.

    Nothing is shrunk: every try costs a connection, and a case that fails is short enough.
    """
    sent = 0
    ends = time.monotonic() + SECONDS
    while time.monotonic() < ends:
        drawn = some(cases)
        asyncio.run(_all(drawn, send))
        sent += len(drawn)
    return sent


def some(cases: st.SearchStrategy[Any]) -> list[Any]:
    """A hundred cases or a few more."""
    drawn: list[Any] = []

    @settings(
        max_examples=100,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def collect(case: Any) -> None:
        drawn.append(case)

    collect()
    return drawn


def _shortened(case: Any) -> str:
    return re.sub(r"(.{1,3}?)\1{50,}", r"\1\1…", repr(case))[:3000]


async def _all(cases: list[Any], send: Callable[[Any], Awaitable[None]]) -> None:
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(case: Any) -> None:
        async with turn:
            try:
                async with asyncio.timeout(HANG_S):
                    await send(case)
            except Exception as error:
                error.add_note(f"case: {_shortened(case)}")
                raise

    await asyncio.gather(*(one(case) for case in cases))


def reported(name: str, cases: int) -> None:
    with contextlib.suppress(OSError):
        sys.stdout.write(f"\nfuzz: {name}: {cases} cases in {SECONDS:g} s\n")
    assert cases >= 50


def judge(status: int, body: bytes, content_type: str | None) -> None:
    """Never ours above 499; an error is an object that says who made it."""
    if status == 502 and b"is no list of completions" in body:
        return  # the recorder keeps none, and answers as if it had been asked for one
    assert status < 500, (status, body[:300])
    if status >= 400 and body and not str(content_type).startswith("application/grpc"):
        error = json.loads(body)["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert content_type == "application/json"


def test_requests_over_http1(guarded: RunningGateway, keys: Keys) -> None:
    """Well-formed as HTTP, whatever is in them."""

    async def send(case: Request) -> None:
        pairs = [("host", "gateway.test"), ("authorization", "Bearer KEY"), ("content-type", "application/json")]
        pairs += [("content-length", str(len(case.body))), ("connection", "close"), *case.headers]
        lines = "".join(f"{name}: {value}\r\n" for name, value in pairs).replace("KEY", keys.acme)
        raw = f"{case.method} {case.path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + case.body
        async with connection(guarded.http) as (reader, writer):
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                writer.write(raw)
                reply = await read_head(reader)
                while 100 <= reply.status < 200:
                    reply = await read_head(reader)
                if case.method != "HEAD":
                    await read_body(reader, reply)
                judge(reply.status, reply.body, reply.headers.get("content-type"))

    reported("requests over HTTP/1.1", run(REQUESTS, send))


def test_requests_over_http2(guarded: RunningGateway, keys: Keys) -> None:
    """The same, with the frames of a library that means well."""

    async def send(case: Request) -> None:
        pairs = [(":method", case.method), (":scheme", "http"), (":authority", "gateway.test"), (":path", case.path)]
        pairs += [("authorization", f"Bearer {keys.acme}"), ("content-type", "application/json")]
        pairs += [(name, value.replace("KEY", keys.acme)) for name, value in case.headers]
        async with http2_peer(guarded.http) as peer:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                block = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
                frames = [peer.headers(1, block, "END_HEADERS")] if len(str(block)) < 15_000 else []
                await peer.send(*frames, DataFrame(1, data=case.body[:16_000], flags=["END_STREAM"]))
                while not any(_ends(frame) for frame in peer.frames):
                    await peer.read_one()
            answers = [frame for frame in peer.frames if isinstance(frame, HeadersFrame)]
            body = b"".join(frame.data for frame in peer.frames if isinstance(frame, DataFrame))
            for block in (peer.decoder.decode(frame.data, raw=True) for frame in answers[:1]):
                headers = {name.decode(): value.decode("latin-1") for name, value in block}
                judge(int(headers[":status"]), body, headers.get("content-type"))

    reported("requests over HTTP/2", run(REQUESTS, send))


def _ends(frame: Frame) -> bool:
    return isinstance(frame, RstStreamFrame | GoAwayFrame) or "END_STREAM" in frame.flags


def test_bytes_over_http1(guarded: RunningGateway, keys: Keys) -> None:
    async def send(case: bytes) -> None:
        received = await exchange(guarded, case.replace(b"KEY", keys.acme.encode()))
        statuses = [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", received)]
        assert not [status for status in statuses if status >= 500], received[:500]

    reported("bytes over HTTP/1", run(raw_http1(), send))


def test_frames_over_http2(guarded: RunningGateway, keys: Keys) -> None:
    async def send(case: bytes) -> None:
        received = await exchange(guarded, case.replace(b"KEY", keys.acme.encode()))
        for answer in re.findall(rb'\{"error":.*?\}\}', received):
            error = json.loads(answer)["error"]
            assert error["type"] == "invalid_request_error", error

    reported("frames over HTTP/2", run(raw_http2(), send))


async def exchange(gateway: RunningGateway, data: bytes) -> bytes:
    """Everything that comes back; the end must come within `HANG_S` of ours."""
    host, port = gateway.http.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    received = b""
    try:
        with contextlib.suppress(ConnectionError):
            writer.write(data)
            await writer.drain()
            with contextlib.suppress(TimeoutError):
                while more := await asyncio.wait_for(reader.read(65_536), SILENCE_S):
                    received += more
            writer.write_eof()
            async with asyncio.timeout(HANG_S):
                while more := await reader.read(65_536):
                    received += more
    finally:
        writer.close()
    return received

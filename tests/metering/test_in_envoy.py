"""The module in the real Envoy, behind a scripted upstream: what only Envoy can say."""

import contextlib
import json
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import messages_streams
import pytest
from stand_in import COUNTED, MESSAGES, settings
from streams import DONE, FINAL, SMALL_USAGE, chunk, event, stream, words

from headgate.supervise.ports import free_port
from tests.edge.lone_envoy import MANAGER, MODULE, LoneEnvoy, address, named, resources, typed

MODULES = "filters.http.dynamic_modules.v3"
HIDE = settings(hide_chunk=True, hide_member=True)
TEXT = stream(*words("Hello", " you", usage=SMALL_USAGE), FINAL)
PLAIN = stream(*words("Hello", " you"))
NUMBERS = (*COUNTED, "events", "bytes")


def chunked(*frames: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(frame), frame) for frame in frames) + end


class Metering:
    """An Envoy with the metering filter alone; `ask` sends it what the upstream answers to requests like this one."""

    def __init__(self, folder: Path, request: dict[str, Any] = HIDE) -> None:
        self._request = request
        self._upstream = socket.create_server(("127.0.0.1", 0))
        self._port, self._admin, self._log = free_port(), free_port(), folder / "log"
        self._envoy = LoneEnvoy(folder, self._bootstrap(), [self._port], "--file-flush-interval-msec", "20")

    def ask(self, *writes: bytes, leave_after: int | None = None) -> bytes:
        """The client's bytes for an answer written in these pieces; the client leaves after so many."""
        thread = threading.Thread(target=self._serve, args=(writes,))
        thread.start()
        with socket.create_connection(("127.0.0.1", self._port), timeout=10) as client:
            client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nte: trailers\r\nconnection: close\r\n\r\n")
            received = b""
            while (leave_after is None or len(received) < leave_after) and (more := client.recv(65536)):
                received += more
        thread.join()
        return received

    def line(self) -> dict[str, Any]:
        """The next line of the access log."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self._log.exists() and (lines := self._log.read_text().splitlines()):
                self._log.write_text("")
                return dict(json.loads(lines[-1]))
            time.sleep(0.02)
        raise AssertionError("no line")

    def counters(self) -> dict[str, int]:
        """The module's own."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._admin}/stats?filter=metering&format=json") as reply:
            stats = json.load(reply)["stats"]
        return {stat["name"]: stat["value"] for stat in stats if "headgate" in stat.get("name", "")}

    def close(self) -> None:
        self._envoy.close()
        self._upstream.close()

    def _serve(self, writes: tuple[bytes, ...]) -> None:
        peer, _ = self._upstream.accept()
        with peer, contextlib.suppress(ConnectionError):  # a client that left takes the upstream's connection along
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer.recv(65536)
            for text in writes:
                peer.sendall(text)
                time.sleep(0.03)

    def _bootstrap(self) -> dict[str, Any]:
        request = [{"metadata_namespace": "hg.request", "value": self._request}]
        module = {
            "filter_name": "metering",
            "dynamic_module_config": {
                "module": {"local": {"filename": str(MODULE)}},
                "metrics_namespace": "headgate.metering",
            },
        }
        line = {name: f"%DYNAMIC_METADATA(hg.usage:{name})%" for name in NUMBERS} | {"flags": "%RESPONSE_FLAGS%"}
        log = {"path": str(self._log), "log_format": {"json_format": line}}
        host = {"name": "x", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "x"}}]}
        manager = typed(
            MANAGER,
            stat_prefix="x",
            http_protocol_options={"enable_trailers": True},
            access_log=[named("log", "access_loggers.file.v3.FileAccessLog", **log)],
            route_config={"virtual_hosts": [host]},
            http_filters=[
                named("a", "filters.http.set_metadata.v3.Config", metadata=request),
                named("b", f"{MODULES}.DynamicModuleFilter", **module),
                named("c", "filters.http.router.v3.Router"),
            ],
        )
        http = {"explicit_http_config": {"http_protocol_options": {"enable_trailers": True}}}
        static = resources({self._port: manager}, self._upstream.getsockname()[1], http)
        return {"admin": {"address": address(self._admin)}, "static_resources": static}


@pytest.fixture(scope="module")
def metering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Metering]:
    running = Metering(tmp_path_factory.mktemp("envoy"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def messages_metering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Metering]:
    running = Metering(tmp_path_factory.mktemp("messages"), MESSAGES)
    yield running
    running.close()


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
TOTALS = dict.fromkeys(NUMBERS) | {
    "prompt": 12,
    "completion": 7,
    "cached": 5,
    "reasoning": 3,
    "events": 2,
    "bytes": 9,
}
LINE = TOTALS | {"flags": "-"}


def body_of(answer: bytes) -> bytes:
    """The client's body, chunks put together, without trailers."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert b"content-length" not in head
    body = b""
    while (size := int(rest[: rest.index(b"\r\n")], 16)) > 0:
        start = rest.index(b"\r\n") + 2
        body, rest = body + rest[start : start + size], rest[start + size + 2 :]
    return body


@pytest.mark.parametrize(
    "writes",
    [
        [CHUNKED, *(chunked(TEXT[at : at + 90], end=b"") for at in range(0, len(TEXT), 90)), b"0\r\n\r\n"],
        [CHUNKED + chunked(TEXT)],
        [HEAD + b"content-length: %d\r\n\r\n" % len(TEXT), TEXT[:100], TEXT[100:]],
        [HEAD + b"connection: close\r\n\r\n", TEXT[:300], TEXT[300:]],
    ],
    ids=["in pieces", "at once", "with a length", "until the end of the connection"],
)
def test_streams_however_they_end(metering: Metering, writes: list[bytes]) -> None:
    assert body_of(metering.ask(*writes)) == PLAIN
    assert metering.line() == LINE


def test_what_is_held_back_goes_out_in_front_of_trailers(metering: Metering) -> None:
    unfinished = event(FINAL)[:-1]
    received = metering.ask(CHUNKED, chunked(event(chunk({"content": "a"})) + unfinished, end=b"0\r\nx-t: 1\r\n\r\n"))
    assert body_of(received) == event(chunk({"content": "a"})) + unfinished
    assert b"x-t: 1" in received
    assert metering.line()["events"] == 1


def test_a_client_that_leaves_has_paid_for_what_had_passed(metering: Metering) -> None:
    parts = [event(chunk({"content": "w"}, usage={"prompt_tokens": 5, "completion_tokens": n})) for n in range(1, 4)]
    first, rest = chunked(parts[0], end=b""), (chunked(part, end=b"") for part in parts[1:])
    metering.ask(CHUNKED, first, *rest, *[b""] * 3, leave_after=200)
    line = metering.line()
    assert line["flags"] == "DC"
    assert 1 <= line["completion"] == line["events"] == line["bytes"] <= 3
    assert line["cached"] is None


def test_a_number_that_became_unknown_is_null(metering: Metering) -> None:
    metering.ask(CHUNKED + chunked(event(FINAL), event(chunk(usage=SMALL_USAGE)), DONE))
    assert metering.line() == {**LINE, "completion": 1, "cached": None, "reasoning": None, "events": 0, "bytes": 0}


def test_large_numbers_are_written_in_full(metering: Metering) -> None:
    usage = {"prompt_tokens": 9_999_999_999_999, "completion_tokens": 1_000_000}
    metering.ask(CHUNKED + chunked(event(chunk(usage=usage)), DONE))
    line = metering.line()
    assert (line["prompt"], line["completion"]) == (9_999_999_999_999, 1_000_000)


def test_what_could_not_be_metered_is_counted(metering: Metering) -> None:
    before = metering.counters()
    assert sorted(name.rpartition(".")[2] for name in before) == ["unhidden", "unmetered", "unrecorded"]
    metering.ask(HEAD + b"content-encoding: gzip\r\ncontent-length: 2\r\n\r\n", b"xx")
    large = event(chunk({"content": "x" * 1_200_000}, usage=SMALL_USAGE))
    assert body_of(metering.ask(CHUNKED + chunked(large, DONE))) == large + DONE
    after = metering.counters()
    assert {name.rpartition(".")[2]: after[name] - before[name] for name in before} == {
        "unhidden": 1,
        "unmetered": 1,
        "unrecorded": 0,
    }


def test_messages_through_envoy(messages_metering: Metering) -> None:
    """Each event in two frames, cut in its middle."""
    events = messages_streams.STREAMS["thinking"].split(b"\n\n")
    halves = (half for text in events for half in (text[: len(text) // 2], text[len(text) // 2 :] + b"\n\n"))
    received = messages_metering.ask(CHUNKED, *(chunked(half, end=b"") for half in halves if half), b"0\r\n\r\n")
    assert body_of(received).rstrip() == messages_streams.STREAMS["thinking"].rstrip()
    assert messages_metering.line() == {
        "prompt": 1125,
        "completion": 89,
        "cached": 1000,
        "cache_write": 100,
        "reasoning": 30,
        "events": 3,
        "bytes": 12,
        "flags": "-",
    }


def test_a_client_of_messages_that_leaves_has_its_prompt_recorded(messages_metering: Metering) -> None:
    said = [messages_streams.event(data) for data in messages_streams.text("a", "b", "c")]
    head = messages_streams.event(messages_streams.start())
    frames = (chunked(frame, end=b"") for frame in (head, *said))
    messages_metering.ask(CHUNKED, *frames, *[b""] * 3, leave_after=len(head) + 200)
    line = messages_metering.line()
    assert line["flags"] == "DC"
    assert (line["prompt"], line["completion"], line["cached"], line["cache_write"]) == (1125, None, 1000, 100)
    assert line["events"] == line["bytes"] <= 3

"""Objects in S3, where something goes wrong: a server that dies, a wire that lies, no credentials, no bucket."""

import base64
import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from headgate.objects.failures import StoreAway, StoreFull, StoreRefuses
from headgate.objects.location import S3Place
from headgate.objects.s3 import S3Store
from headgate.objects.store import read_small
from tests.objects.moto import BUCKET, Moto, moto

pytestmark = pytest.mark.usefixtures("credentials")
NAME, MANY = "adapters/acme/bot/1/adapter.safetensors", 2**30


@pytest.fixture(scope="module")
def server() -> Iterator[Moto]:
    with moto() as server:
        yield server


class Relay:
    """In front of the server: each connection ends after so many bytes of requests, or of answers."""

    def __init__(self, server: Moto, *, asks: int = 2**60, answers: int = 2**60) -> None:
        self._to = ("127.0.0.1", int(server.endpoint.rpartition(":")[2]))
        self._asks, self._answers = asks, answers
        self.asked = bytearray()
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            upstream = socket.create_connection(self._to)
            for way in ((upstream, client, self._answers, bytearray()), (client, upstream, self._asks, self.asked)):
                threading.Thread(target=self._pass, args=way, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, most: int, seen: bytearray) -> None:
        passed = 0
        try:
            while piece := source.recv(65_536):
                seen += piece[: 2**16 - len(seen)] if len(seen) < 2**16 else b""
                passed += len(piece)
                if passed > most:
                    break
                target.sendall(piece)
        except OSError:
            pass
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextmanager
def relay(server: Moto, **how: int) -> Iterator[Relay]:
    found = Relay(server, **how)
    try:
        yield found
    finally:
        found.close()


def at(endpoint: str, spool: Path, bucket: str = BUCKET) -> S3Store:
    return S3Store(S3Place(bucket, "", endpoint, "us-east-1"), spool)


def test_a_server_that_dies_in_mid_upload_has_nothing_or_the_old_object(server: Moto, tmp_path: Path) -> None:
    server.store(tmp_path).put(NAME, [b"old"], MANY)
    with relay(server, asks=2**20) as dying:
        with pytest.raises(StoreAway, match="S3 cannot be reached"):
            at(dying.endpoint, tmp_path).put(NAME, [b"x" * 2**20] * 4, MANY)
        assert dying.connections == 4, "botocore has tried again"
    assert read_small(server.store(tmp_path), NAME, MANY) == b"old"
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_killed_in_mid_upload_is_said(tmp_path: Path) -> None:
    """The real one, as its last byte is awaited."""
    with moto() as dying:

        def chunks() -> Iterator[bytes]:
            yield b"x" * 2**22
            dying.kill()

        with pytest.raises(StoreAway, match="S3 cannot be reached"):
            dying.store(tmp_path).put(NAME, chunks(), MANY)
    assert list(tmp_path.iterdir()) == []


def test_each_upload_says_its_sha256_for_s3_to_compare(server: Moto, tmp_path: Path) -> None:
    """moto does not compare; S3 refuses what is something else when it arrives."""
    content = b"x" * 2**21
    with relay(server) as passing:
        at(passing.endpoint, tmp_path).put(NAME, [content], MANY)
        digest = base64.b64encode(hashlib.sha256(content).digest())
        assert b"x-amz-checksum-sha256: %s\r\n" % digest in bytes(passing.asked).lower().replace(
            digest.lower(), digest
        )


def test_a_download_that_breaks_off_is_said(server: Moto, tmp_path: Path) -> None:
    server.store(tmp_path).put(NAME, [b"x" * 2**23], MANY)
    with relay(server, answers=2**20) as dying, pytest.raises(StoreAway, match="S3 cannot be reached"):
        read_small(at(dying.endpoint, tmp_path), NAME, MANY)


def test_a_server_that_is_nowhere_is_away_for_every_call(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    store = at(f"http://127.0.0.1:{port}", tmp_path)
    for call in (
        lambda: store.put(NAME, [b"x"], MANY),
        lambda: store.head(NAME),
        lambda: list(store.listed("")),
        lambda: store.delete(NAME),
        lambda: read_small(store, NAME, MANY),
    ):
        with pytest.raises(StoreAway, match="S3 cannot be reached"):
            call()


def test_a_bucket_that_is_not_there_is_said(server: Moto, tmp_path: Path) -> None:
    store = server.store(tmp_path, bucket="no-such-bucket")
    for call in (
        lambda: store.put(NAME, [b"x"], MANY),
        lambda: list(store.listed("")),
        lambda: store.delete(NAME),
        lambda: read_small(store, NAME, MANY),
    ):
        with pytest.raises(StoreRefuses, match="there is no such bucket"):
            call()


@pytest.mark.usefixtures("no_credentials")
def test_without_credentials_it_is_said_where_to_put_them(server: Moto, tmp_path: Path) -> None:
    with pytest.raises(StoreRefuses, match="no AWS credentials are found"):
        server.store(tmp_path).head(NAME)


def test_what_fails_says_nothing_of_the_credentials(server: Moto, tmp_path: Path) -> None:
    store = server.store(tmp_path, bucket="no-such-bucket")
    with pytest.raises(StoreRefuses) as caught:
        store.put(NAME, [b"x"], MANY)
    assert "hunter2" not in str(caught.value)
    assert "AKIA" not in str(caught.value)
    assert "hunter2" not in repr(vars(store))


def test_a_state_directory_without_room_is_said(server: Moto, tmp_path: Path) -> None:
    """What is to be stored waits there."""
    with pytest.raises(StoreFull, match="in the state directory"):
        server.store(tmp_path / "not" / "there").put(NAME, [b"x" * 2**20, b"y"], MANY)

"""moto's S3 in a process of its own, on loopback, and stores in it."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import botocore.session  # type: ignore[import-untyped]

from headgate.objects.location import S3Place
from headgate.objects.s3 import S3Store
from tests.stopped import stop

BUCKET = "adapters"
PAGE = 10  # objects in an answer; AWS has 1,000
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIAMOTO", "AWS_SECRET_ACCESS_KEY": "hunter2", "AWS_REGION": "eu-central-1"}
NOWHERE = {
    "AWS_CONFIG_FILE": "/nowhere",
    "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Moto:
    """One server; `kill` ends it at once."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        environment = {**os.environ, **CREDENTIALS, **NOWHERE, "MOTO_S3_DEFAULT_MAX_KEYS": str(PAGE)}
        self._process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._await()

    def _await(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{self.endpoint}/moto-api/", timeout=5).close()  # noqa: S310 - loopback
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.1)
            else:
                return

    def client(self):  # type: ignore[no-untyped-def]  # noqa: ANN201 - botocore has no types
        session = botocore.session.Session()
        session.set_credentials("AKIAMOTO", "hunter2")
        return session.create_client("s3", endpoint_url=self.endpoint, region_name="us-east-1")

    def make_bucket(self, name: str = BUCKET) -> None:
        self.client().create_bucket(Bucket=name)

    def store(self, spool: Path, prefix: str = "", bucket: str = BUCKET) -> S3Store:
        return S3Store(S3Place(bucket, prefix, self.endpoint, "us-east-1"), spool)

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """It takes connections, and says nothing."""
        stop(self._process.pid)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def moto() -> Iterator[Moto]:
    """Running, with the bucket."""
    server = Moto()
    try:
        server.make_bucket()
        yield server
    finally:
        server.kill()

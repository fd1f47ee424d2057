"""A PostgreSQL server of the tests' own: a throw-away cluster on a Unix socket, gone with its folder.

PostgreSQL refuses to run as root, so root's tests run it as `nobody`; setpriv has the kernel stop it when they die.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

USER = "headgate"
PORT = 5432
DEADLINE_S = 60


def binaries() -> Path:
    """The newest version's that Debian has installed, or what is on the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    assert found or on_path, "PostgreSQL is missing: deploy/debian-packages test"
    return found[-1].parent if found else Path(str(on_path)).resolve().parent


class PostgresServer:
    """It may be killed and started again, stopped and let go on; its data stays in `folder`.

    With a `port` it listens on loopback too, where it wants a password.
    """

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder, self._port = folder, port
        self._log = (folder / "log").open("ab")
        self.process: subprocess.Popen[bytes] | None = None

    def initialise(self) -> None:
        # Another order of letters than that of code points: what relies on the order must say which.
        self._run(
            *("initdb", "-D", self.folder / "data", "-U", USER, "--auth-local=trust", "--no-sync", "--encoding=UTF8"),
            "--auth-host=scram-sha-256",
            *("--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"),
        )

    def start(self) -> None:
        command = self._as_nobody(
            *("postgres", "-D", self.folder / "data", "-k", self.folder),
            *("-c", f"listen_addresses={'127.0.0.1' if self._port else ''}", "-p", str(self._port or PORT)),
            *("-c", "fsync=off", "-c", "max_connections=60"),
        )
        self.process = subprocess.Popen(command, stdout=self._log, stderr=self._log, cwd=self.folder)
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                self.execute("SELECT 1")
            except psycopg.OperationalError:
                assert self.process.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < deadline, "PostgreSQL does not answer"
                time.sleep(0.05)
            else:
                return

    def execute(self, statement: str, database: str = "postgres") -> None:
        with self.connect(database) as connection:
            connection.execute(statement)

    def connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.folder),
            port=self._port or PORT,
            user=USER,
            dbname=database,
            autocommit=True,
            connect_timeout=10,
        )

    def url(self, database: str) -> str:
        return f"postgresql:///{database}?host={self.folder}&port={self._port or PORT}&user={USER}"

    def dump(self, database: str, *options: str) -> str:
        """What pg_dump says of it."""
        return self._run("pg_dump", "-h", self.folder, "-p", str(self._port or PORT), "-U", USER, *options, database)

    def stop(self, number: signal.Signals = signal.SIGQUIT) -> None:
        """At once, with all that it has started; SIGINT lets it finish its files."""
        if self.process:
            self.process.send_signal(number)
            self.process.wait(DEADLINE_S)
            self.process = None

    def close(self) -> None:
        self.stop()
        self._log.close()

    def _run(self, *command: str | Path) -> str:
        asked = self._as_nobody(*command)
        done = subprocess.run(asked, capture_output=True, text=True, cwd=self.folder, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _as_nobody(self, program: str, *arguments: str | Path) -> list[str]:
        other = ("--reuid=nobody", "--regid=nogroup", "--clear-groups") if os.getuid() == 0 else ()
        return [*("setpriv", *other, "--pdeathsig=QUIT"), str(binaries() / program), *map(str, arguments)]


@contextmanager
def postgres_server(port: int | None = None) -> Iterator[PostgresServer]:
    """In a temporary folder of its own: pytest's are root's alone, and their names too long for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="hg-pg-"))
    if os.getuid() == 0:
        shutil.chown(folder, "nobody")
    server = PostgresServer(folder, port)
    try:
        server.initialise()
        server.start()
        yield server
    finally:
        server.close()
        shutil.rmtree(folder)

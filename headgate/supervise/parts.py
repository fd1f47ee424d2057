"""What `headgate up` runs: one function per part, in the order of starting.

A part that outlives its supervisor (`outlives`) writes to a log file and reads nothing; a filter worker
does not: its lifeline ends it.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from headgate import contract
from headgate.supervise import binaries, probes
from headgate.supervise.envoy_admin import EnvoyAdmin
from headgate.supervise.part import PartSpec
from headgate.supervise.parts_file import digest_of

ENVOY = "envoy"
SIMULATOR = "simulator"
VALKEY = "valkey"


def valkey(env: Mapping[str, str]) -> PartSpec:
    """The embedded counters: only on a Unix socket, on disk within a second."""
    command = (
        binaries.valkey_server(),
        *("--port", "0"),
        *("--unixsocket", str(".." / contract.COUNTERS_SOCKET)),  # it changes into --dir first
        *("--unixsocketperm", "700"),
        *("--dir", "valkey"),
        *("--appendonly", "yes"),
        *("--appendfsync", "everysec"),
        *("--save", ""),  # the append-only file is the copy on disk
        *("--maxmemory-policy", "noeviction"),  # a counter that went away would be a limit that went away
        *("--daemonize", "no"),
    )
    return PartSpec(
        name=VALKEY,
        command=command,
        env=env,
        probe=probes.counters_ping(None),
        digest=digest_of(command),
        outlives=True,
        sockets=(contract.COUNTERS_SOCKET,),
    )


def simulator(env: Mapping[str, str], port: int) -> PartSpec:
    """The quickstart's engine, on loopback."""
    command = (*binaries.headgate(), "serve", "simulator", "--port", str(port))
    return PartSpec(
        name=SIMULATOR,
        command=command,
        env=env,
        probe=probes.http_ok(f"http://127.0.0.1:{port}/health"),
        digest=digest_of(command),
        outlives=True,
        port=port,
    )


def worker(env: Mapping[str, str], index: int) -> PartSpec:
    """Filter worker `index`: authorization and planning for Envoy."""
    socket = contract.worker_socket(index)
    command = (*binaries.headgate(), "serve", "filters", "--worker", str(index), "--state", ".", "--lifeline")
    return PartSpec(
        name=f"filters-{index}",
        command=command,
        env=env,
        probe=probes.worker_answers(socket),
        digest=digest_of(command),
        outlives=False,
        sockets=(socket,),
    )


def envoy(
    program: str, env: Mapping[str, str], threads: int, listener_text: str, before_start: Callable[[], None]
) -> PartSpec:
    """The edge. `before_start` gives each of its lives a spool file."""
    command = (
        *(program, "-c", str(contract.BOOTSTRAP)),
        # We never hot-restart. With it on, even under a dynamic base id, every start leaves a file in
        # /dev/shm for good and opens abstract sockets that any local user can connect to.
        "--disable-hot-restart",
        *("--concurrency", str(threads)),
        *("--drain-time-s", "600"),
        *("--file-flush-interval-msec", "50"),  # how much of the spool a killed Envoy can lose
        *("--log-level", "warning"),
    )
    return PartSpec(
        name=ENVOY,
        command=command,
        env=env,
        probe=probes.envoy_live(EnvoyAdmin(contract.ENVOY_ADMIN_SOCKET)),
        digest=digest_of(command, listener_text),
        outlives=True,
        sockets=(contract.ENVOY_ADMIN_SOCKET,),
        before_start=before_start,
    )


def sockets(specs: Sequence[PartSpec]) -> list[Path]:
    """Every Unix socket that these parts open."""
    return [socket for spec in specs for socket in spec.sockets]

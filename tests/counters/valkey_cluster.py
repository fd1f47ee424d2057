"""A cluster of the test's own: three primaries, the first of which has a replica, and what may be done to it."""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import hiredis

from headgate.counters.slots import SLOTS, slot_of
from tests.counters.valkey_server import ValkeyServer, valkey_server

PRIMARIES = 3
NODE_TIMEOUT_MS = 1500  # then a node that says nothing counts as dead, and its replica takes over
OPTIONS = (
    *("--cluster-enabled", "yes", "--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0"),
    *("--cluster-node-timeout", str(NODE_TIMEOUT_MS), "--cluster-replica-validity-factor", "0"),
)


class ClusterNode:
    """One of its servers."""

    def __init__(self, server: ValkeyServer, port: int, bus: int) -> None:
        self.server, self.port, self.bus = server, port, bus
        self.name = f"127.0.0.1:{port}"

    @property
    def id(self) -> str:
        return str(self.ask("CLUSTER", "MYID"))

    def ask(self, *words: str | int) -> Any:
        """By its Unix socket, whatever the cluster thinks of it; the reply as it is. Raises hiredis.ReplyError."""
        reader = hiredis.Reader(encoding="utf-8")
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(str(self.server.socket))
            client.sendall(hiredis.pack_command(words))  # type: ignore[arg-type] # its stub means tuples of one
            while (reply := reader.gets()) is False:
                reader.feed(client.recv(65536))
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        return reply

    def owns(self, slot: int) -> bool:
        """By its own map."""
        ranges = [one for one in self.ask("CLUSTER", "SLOTS") if one[0] <= slot <= one[1]]
        return bool(ranges) and int(ranges[0][2][1]) == self.port


class ValkeyCluster:
    """`nodes` are the primaries as they were at first, then the replica of the first one."""

    def __init__(self, nodes: Sequence[ClusterNode]) -> None:
        self.nodes = nodes
        self._share = SLOTS // PRIMARIES + 1

    @property
    def url(self) -> str:
        """As `services.counters` says it."""
        return "redis://" + ",".join(node.name for node in self.nodes[:PRIMARIES])

    @property
    def replica(self) -> ClusterNode:
        return self.nodes[PRIMARIES]

    def tenant(self, node: int, name: str = "t") -> str:
        """A tenant that this primary has."""
        names = (f"{name}{number}" for number in range(SLOTS))
        return next(one for one in names if slot_of(f"{{{one}}}") // self._share == node)

    def make(self) -> None:
        """Have them find each other, and share out the slots."""
        for number, node in enumerate(self.nodes):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            if number < PRIMARIES:
                last = min((number + 1) * self._share, SLOTS) - 1
                node.ask("CLUSTER", "ADDSLOTSRANGE", number * self._share, last)
        for node in self.nodes[1:]:
            node.ask("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port, self.nodes[0].bus)
        wait(lambda: all(len(self._known(node)) == len(self.nodes) for node in self.nodes))
        self.replica.ask("CLUSTER", "REPLICATE", self.nodes[0].id)
        wait(self.is_well)

    def is_well(self) -> bool:
        """Every node says so, and the first one's replica has all that it has."""
        is_linked = "master_link_status:up" in self.replica.ask("INFO", "replication")
        replicas = [one for one in self.nodes[1].ask("CLUSTER", "SLOTS") if len(one) > 3]
        return is_linked and len(replicas) == 1 and all(self._is_in_touch(node) for node in self.nodes)

    def _known(self, node: ClusterNode) -> list[str]:
        return [line for line in node.ask("CLUSTER", "NODES").splitlines() if "handshake" not in line]

    def _is_in_touch(self, node: ClusterNode) -> bool:
        return "cluster_state:ok" in node.ask("CLUSTER", "INFO") and "fail" not in node.ask("CLUSTER", "NODES")


def wait(condition: Callable[[], object], within_s: float = 40) -> None:
    deadline = time.monotonic() + within_s
    while True:
        try:
            if condition():
                return
        except (OSError, hiredis.ReplyError):
            pass
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def valkey_cluster(folder: Path, *options: str) -> Iterator[ValkeyCluster]:
    with ExitStack() as stack:
        nodes = []
        for number in range(PRIMARIES + 1):
            path = folder / f"node{number}"
            path.mkdir()
            port, bus = free_port(), free_port()
            ports = ("--port", str(port), "--cluster-port", str(bus), "--bind", "127.0.0.1")
            server = stack.enter_context(valkey_server(path, *ports, *OPTIONS, *options))
            nodes.append(ClusterNode(server, port, bus))
        cluster = ValkeyCluster(nodes)
        cluster.make()
        yield cluster


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

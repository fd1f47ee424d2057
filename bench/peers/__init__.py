"""Other gateways, as their makers say to run them in production; each where `make setup-peers` has put it."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from bench.child import Child
from bench.peers.installed import litellm_command, litellm_version, portkey_script, portkey_version
from bench.peers.litellm import running_litellm
from bench.peers.portkey import running_portkey
from bench.subject import Subject

PEERS: Mapping[str, Callable[[Path, int, Child], AbstractContextManager[Subject]]] = {
    "litellm": running_litellm,
    "portkey": running_portkey,
}


def installed() -> tuple[str, ...]:
    """Those that are here, by name."""
    there = {"litellm": litellm_command(), "portkey": portkey_script()}
    return tuple(name for name in PEERS if there[name])


def versions(names: Iterable[str]) -> dict[str, str]:
    """Of those."""
    found = {"litellm": litellm_version, "portkey": portkey_version}
    return {name: found[name]() for name in names}

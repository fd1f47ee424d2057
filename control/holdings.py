"""Which stores hold data of tenants, and how a deletion gets at them: the registry that new stores have to join.

    database   what is administered, in one place for all hosts; control/deletion.py has it
    host       what each host has of its own: spool, usage, alerts, and the counters that it uses. Its ledger erases
               them (ledger/erasing/erasure.py), then the usage store's part what is there (ledger/store/erasing.py),
               both asked by a file and answering by another (headgate/erasures.py)
    adapters   the store of objects, and each host's disk, with the folders that engines elsewhere see
               (`adapters_dir`); control/adapter_holding.py erases them

PLACES says of each place where this product keeps something in which of them it is, or why nothing of a tenant's is
there. A test holds it to headgate/contract.py and to the database's tables.
"""

import os
import socket
from collections.abc import Mapping
from pathlib import Path

from control.store.hosts import list_hosts, note_host
from control.store.ids import new_id
from control.store.store import Store
from control.store.unit import Reader
from control.store.values import Host
from headgate.contract import ERASURES, IDENTITY
from headgate.erasures import Erasure, ask, forget, reported, reported_stored

HOST_ID = IDENTITY / "host"  # what this state directory is called among hosts, for good
_LONGEST_NAME = 64

# By their names in headgate/contract.py.
PLACES: Mapping[str, str] = {
    "SPOOL": "host",
    "LEDGER": "host",
    "USAGE_STORE": "host",
    "KEY_USES": "host",
    "ERASURES": "host",  # with the tenant's name, until the deletion has finished
    "WEBHOOKS": "host",  # what the ledger has not taken over yet
    "DATABASE": "database",  # but for invoices and credits booked, which are kept: docs/control.md
    "OBJECTS": "adapters",
    "UPLOADS": "gone with the request that brings it; a killed process's within a minute of the next one",
    "ADAPTER_CACHE": "adapters",
    "ADAPTER_KEY": "of this host",
    "ENGINES_FOLDER": "what engines write for themselves; their prompts and adapters are not in it",
    "ENGINES_KEY": "of this host",
    "DIRECTORY": "database",  # follows it: what is erased there goes from here
    "SNAPSHOT": "of gateway.yaml",
    "DECLARED": "of gateway.yaml",
    "PRICES": "of gateway.yaml",
    "BOOTSTRAP": "of gateway.yaml",
    "CLUSTERS": "of gateway.yaml",
    "ROUTES": "of gateway.yaml",
    "SECRETS": "of gateway.yaml, and of providers",
    "SEALING": "of gateway.yaml",
    "ISSUER_KEYS": "of tokens' issuers, public",
    "DEMO_KEY": "of the quickstart's own tenant",
    "LOGS": "names of tenants, as docs/control.md says; no people, no prompts",
    "METRICS": "names of tenants, while the processes run; likewise",
    "IDENTITY": "of this host",
    "LAST_INVOICE": "its number and digest",
    "PEPPER": "of this host",
    "SERVICE_KEY": "of this host",
    "LOCAL_KEY": "of this host",
    "LOCK": "of this host",
    "PARTS": "of this host",
    "RUN": "of this host",
    "ADMIN_ADDRESS": "of this host",
    "ENVOY_ADMIN_SOCKET": "a socket",
    "COUNTERS_SOCKET": "a socket; what is behind it is with the host's ledger",
    "CONTROL_SOCKET": "a socket",
    "CONTROL_API_SOCKET": "a socket",
    "BRIDGE_SOCKET": "a socket",
    "INNER_SOCKET": "a socket",
    "LEDGER_SOCKET": "a socket",
    "LEDGER_QUESTIONS": "a socket",
    "ENGINES_SOCKET": "a socket",
    "EVENTS_SOCKET": "a socket",
    "USAGE_SOCKET": "a socket",
}


class HostHolding:
    """What one host has of its own; only its own process can ask for it."""

    def __init__(self, host_id: str, folder: Path = ERASURES) -> None:
        self._name, self._folder = holding_of(host_id), folder

    @property
    def name(self) -> str:
        """With the host's id."""
        return self._name

    def erase(self, deletion_id: str, tenant: str) -> bool:
        """Raises OSError."""
        reports = reported(deletion_id, self._folder), reported_stored(deletion_id, self._folder)
        if all(reports):
            return not any(sum(report.left.values()) for report in reports if report)
        ask(Erasure(deletion_id, tenant), self._folder)
        return False

    def traces(self, deletion_id: str, tenant: str) -> int:  # noqa: ARG002 - the ledger was told
        """As the ledger and the usage store have found after erasing; nothing where they were never asked."""
        reports = reported(deletion_id, self._folder), reported_stored(deletion_id, self._folder)
        return sum(sum(report.left.values()) for report in reports if report)

    def finished(self, deletion_id: str) -> None:
        """The tenant's name goes from the files, too."""
        forget(deletion_id, self._folder)


def holding_of(host_id: str) -> str:
    """What a host's holding is called."""
    return f"host/{host_id}"


def adapters_of(host_id: str) -> str:
    """What a host's holding of adapters is called."""
    return f"adapters/{host_id}"


def wanted(reader: Reader) -> frozenset[str]:
    """All that has to be done before a deletion has finished: the database, and each host that there is."""
    hosts = [host.id for host in list_hosts(reader)]
    return frozenset({"database", *map(holding_of, hosts), *map(adapters_of, hosts)})


def note_this_host(store: Store, state: Path = Path()) -> Host:
    """Says in the database that this host is there, under an id that it keeps. Raises StoreError, OSError."""
    with store.write_aside() as writer:
        return note_host(writer, this_host(state))


def this_host(state: Path = Path()) -> Host:
    """As it says itself who it is. Raises OSError."""
    return Host(id=host_id(state), name=socket.gethostname()[:_LONGEST_NAME])


def host_id(state: Path = Path()) -> str:
    """What this host is called, for good. Raises OSError."""
    path = state / HOST_ID
    if path.exists():
        return path.read_text().strip()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made, draft = new_id("host"), path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(f"{made}\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return made

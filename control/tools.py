"""What the admin API needs beside the store, given to it by whoever starts the process."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from control.audit_chain import Actor
from control.deletion import Holding
from control.invoices.seen import SeenInvoices
from control.store.unit import Reader, Unit
from control.store.values import Credential
from headgate.identity import Identity
from headgate.usage_questions import Marks, MarksAnswer, Sums, SumsAnswer


class LedgerAway(Exception):  # noqa: N818 - a state of another process
    """The ledger does not answer; the text says why."""


class Vault(Protocol):
    """Stores providers' credentials, encrypted, and records in the audit log what it does. All raise KeyAway."""

    def put(self, unit: Unit, provider: str, field: str, secret: str, created_by: str) -> Credential:
        """In place of what is there. Raises BadValue."""

    def delete(self, unit: Unit, provider: str, field: str) -> None:
        """Raises Missing."""

    def rotate_data_key(self, actor: Actor) -> int:
        """Encrypt all of them anew under a new key; how many. In units of its own."""


@dataclass(frozen=True, slots=True)
class Tools:
    """`make_digest`: of a new key, its digest and the id of the pepper. `ask_ledger`: a question on the ledger's
    socket (ledger/showing/queries.py); raises LedgerAway. `holdings` and `wanted` are for control/deletion.py, which
    has the database by itself. `vault` None: this gateway stores no credentials. `note_use` is told who asks.
    `ask_usage`: a question to the usage store; raises UsageError. `host` is what this one is called among hosts.
    `ask_marks`: how far gateways have stored; likewise. `seen_invoices` is this host's file of the last one.
    `hand_over` has the ledger take what a receiver of webhooks is to be told, and raises nothing. `state` is the
    state directory.
    """

    make_digest: Callable[[str], tuple[bytes, str]]
    ask_ledger: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    ask_usage: Callable[[Sums], SumsAnswer]
    ask_marks: Callable[[Marks], MarksAnswer]
    seen_invoices: SeenInvoices
    host: str
    hand_over: Callable[[], None]
    holdings: Sequence[Holding] = ()
    wanted: Callable[[Reader], Iterable[str]] | None = None
    vault: Vault | None = None
    note_use: Callable[[Identity], None] = lambda _: None
    state: Path = Path()

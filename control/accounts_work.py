"""What control does for invoices and credits beside requests. What that needs is imported when it is needed."""

import datetime as dt
import importlib
import threading
from collections.abc import Callable
from typing import Any

from control.hand_over import hand_over
from control.holdings import host_id, note_this_host
from control.store.credits import accounts_that_end
from control.store.hosts import list_hosts
from control.store.store import Store
from headgate import contract
from headgate.declared import Declared


class AccountsWork:
    """All of it blocks, and raises StoreError."""

    def __init__(self, store: Store, declared: Callable[[], Declared]) -> None:
        self._store, self._declared = store, declared
        self._making = threading.Lock()
        self._seen: Any = None
        self._endings: Any = None

    def note_host(self) -> None:
        """That it is there, the mark of its usage, and the last invoice; where there are several, also how far its
        usage is stored, which they wait for.
        """
        note_this_host(self._store)
        with self._store.read() as reader:
            several = len(list_hosts(reader)) > 1
        standing = importlib.import_module("control.invoices.standing")
        standing.note_standing(self._store, self._declared().usage, several=several)
        self.seen_invoices().note(self._store)

    def seen_invoices(self) -> Any:
        """This host's file of the last one."""
        with self._making:
            if self._seen is None:
                self._seen = importlib.import_module("control.invoices.seen").SeenInvoices()
        return self._seen

    def end_credits(self) -> None:
        """From the first time on that there are some which end."""
        if self._endings is None:
            with self._store.read() as reader:
                if not accounts_that_end(reader):
                    return
            self._endings = importlib.import_module("control.credits.ending").Endings(self._store, self._usage_here)
        self._endings.work(dt.datetime.now(dt.UTC))

    def hand_over(self) -> None:
        """What a receiver of webhooks is to be told. Raises nothing."""
        hand_over(self._store, has_receiver=self._declared().has_receiver)

    def _usage_here(self) -> Any:
        usage = importlib.import_module("control.invoices.usage")
        make = importlib.import_module("control.invoices.checked").UsageHere
        place = importlib.import_module("control.invoices.standing").usage_place(self._declared().usage, host_id())
        socket = contract.USAGE_SOCKET
        return make(usage.asking(socket), usage.asking_marks(socket), host_id(), place)

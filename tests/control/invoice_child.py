"""Issues an invoice with its event, and dies by SIGKILL before each statement in turn: `python invoice_child.py URL`.

After each death another one is issued by a process that lives. Says how many have died.
"""

import os
import signal
import sys
from typing import Any

from rows import ADMIN
from sqlalchemy import event
from sqlalchemy.engine import Engine

from control.store.events import add_event
from control.store.invoices import Issued, Texts, insert_issued, next_seq
from control.store.store import Store


def issue(url: str, customer: str) -> None:
    store = Store.at(url)
    with store.write(ADMIN) as unit:
        seq = next_seq(unit)
        said = {"kind": "invoice", "month": "2026-10", "revision": 1, "issued_at": unit.now, "total_cents": 1}
        issued = Issued(seq=seq, number=f"INV-{seq:06}", customer=customer, **said)  # type: ignore[arg-type]
        insert_issued(unit, issued, Texts(b"{}", b"<p></p>"))
        add_event(unit, f"msg_{customer}", customer, "{}")
    store.close()


def in_a_child(url: str, customer: str, dies_before: int | None) -> int:
    pid = os.fork()
    if pid == 0:
        if dies_before is not None:
            _die_before(dies_before)
        issue(url, customer)
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def _die_before(number: int) -> None:
    seen = 0

    def count(*_: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", count)


def main() -> None:
    url, died = sys.argv[1], 0
    while True:
        status = in_a_child(url, f"dead-{died}", died + 1)
        if status == 0:
            break
        assert status == signal.SIGKILL, status
        died += 1
        assert in_a_child(url, f"living-{died}", None) == 0
    print(died)  # noqa: T201 - for the test


if __name__ == "__main__":
    main()

"""What another process does with a database: `python child.py DOING URL`. It may be killed, or kills itself."""

import os
import signal
import sys
import time
from typing import Any

from rows import write_tenant
from sqlalchemy import event
from sqlalchemy.engine import Engine

from control.store.engine import open_engine
from control.store.migrate import migrate
from control.store.store import Store


def migrate_and_die(url: str) -> None:
    """Once for every statement of the migration: die by SIGKILL right before it; last right before the commit."""
    number = 0
    while True:
        number += 1
        pid = os.fork()
        if pid == 0:
            _die_before(number)
            migrate(open_engine(url))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        if status == 0:
            break
        assert os.WTERMSIG(status) == signal.SIGKILL, status
    print(number - 1, flush=True)  # noqa: T201 - for the test


def _die_before(number: int) -> None:
    seen = 0

    def count(*_: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", count)


def write(url: str) -> None:
    """One tenant after the other, each named when it is written."""
    store = Store.open(url)
    for number in range(100_000):
        name = f"{os.getpid()}-{number}"
        write_tenant(store, name)
        print(name, flush=True)  # noqa: T201 - for the test
        time.sleep(0.005)  # whoever writes without a pause lets nobody else have SQLite's lock


def main() -> None:
    doing, url = sys.argv[1:]
    {"migrate": lambda at: migrate(open_engine(at)), "migrate-and-die": migrate_and_die, "write": write}[doing](url)


if __name__ == "__main__":
    main()

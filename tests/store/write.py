"""A process that works off a journal: `python -m tests.store.write STATE BLOCK_ROWS [URL]`, until it is killed."""

import sys
from pathlib import Path

from headgate.store_url import parse
from ledger.journal.reader import JournalReader
from ledger.store import writer
from ledger.store.client import Store
from ledger.store.migrations import bring_up, migrations


def main() -> None:
    state, url = Path(sys.argv[1]), sys.argv[3] if len(sys.argv) > 3 else None
    writer.BLOCK_ROWS = int(sys.argv[2])
    writer.LINGER_S = writer.GATHER_S = 0.0
    writer.LOOK_EVERY_S = 0.05
    store = Store(parse(url) if url else None, state / "usage", lambda client: bring_up(client, migrations()))
    journal = JournalReader(state / "ledger" / "usage.db")
    writer.Writer(store, journal, "gateway-1", state / "ledger").run()


if __name__ == "__main__":
    main()

"""A control process that writes keys and publishes: `python publishing.py URL FOLDER`; it names each."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from rows import ADMIN, write_key

from control.publisher import Publisher
from control.store.keys import revoke_key
from control.store.store import Store


def main() -> None:
    url, folder = sys.argv[1:]
    store = Store.open(url)
    publisher = Publisher(store, Path(folder))
    publisher.start()
    while True:
        made = write_key(store, limits={"rpm": 5})
        with store.write(ADMIN) as unit:
            revoke_key(unit, made)
            unit.record("key.revoke", "key", made.id)
        print(write_key(store).id, flush=True)  # noqa: T201 - for the test


if __name__ == "__main__":
    main()

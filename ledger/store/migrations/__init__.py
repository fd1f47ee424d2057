"""Brings the store's tables up to this version: numbered files of statements, each run to its end and then noted.

There are no transactions: a statement has to do no harm when it comes again, or from two gateways at once, and to
keep what is there (IF NOT EXISTS, ADD COLUMN IF NOT EXISTS). A file that was released never changes.
"""

from collections.abc import Mapping
from importlib.resources import files
from typing import TYPE_CHECKING

import structlog

from ledger.store.client import StoreTooNew

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_VERSIONS = """
CREATE TABLE IF NOT EXISTS schema_versions (version UInt32, since DateTime('UTC') DEFAULT now())
ENGINE = MergeTree ORDER BY version SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
"""

log = structlog.get_logger()


def migrations() -> dict[int, list[str]]:
    """All there are: statements by version."""
    found = (file for file in files(__name__).iterdir() if file.name.endswith(".sql"))
    return {int(file.name[:4]): _statements(file.read_text()) for file in found}


def bring_up(client: "Client", steps: Mapping[int, list[str]]) -> bool:
    """Whether there were no tables. Raises StoreTooNew, and what the client raises: then it goes on next time."""
    client.command(_VERSIONS)
    ((version,),) = client.query("SELECT max(version) FROM schema_versions").result_rows
    if version > max(steps):
        raise StoreTooNew(f"its tables are of version {version}; this Headgate knows up to {max(steps)}")
    for number in sorted(number for number in steps if number > version):
        for statement in steps[number]:
            client.command(statement)
        client.command(f"INSERT INTO schema_versions (version) VALUES ({number})")
        log.info("usage store's tables are brought up", version=number)
    return bool(version == 0)


def _statements(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    return [statement for part in "\n".join(lines).split(";\n") if (statement := part.strip().rstrip(";"))]

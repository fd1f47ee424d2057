"""The ledger's tables without a state folder."""

from headgate.directory.directory import Directory
from headgate.snapshot import Snapshot
from ledger.tables import Tables
from tests.tenants.still import Still


def tables_of(snapshot: Snapshot | None, directory: Directory | None = None) -> Tables:
    """As if they had been looked at."""
    tables = Tables(Still(directory))
    tables.take(snapshot)
    return tables

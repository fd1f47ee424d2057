"""Where Envoy writes of attempts that failed: beside its spool file, under the same name with another ending.

One home for the name: Envoy's configuration and the ledger agree on it here.
"""

from pathlib import PurePath

from headgate.contract import epoch_of

ATTEMPTS_ENDING = ".attempts"


def attempts_file(spool: str) -> str:
    """The file that belongs to a spool file of the usual name."""
    path = PurePath(spool)
    return str(path.with_name(epoch_of(path.name) + ATTEMPTS_ENDING))

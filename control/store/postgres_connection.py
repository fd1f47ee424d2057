"""Connections to PostgreSQL that never wait for ever, not even for a server that hangs or a network that is gone.

The server's own limits (statement_timeout and the like) need a server that works.
"""

from typing import Any

import psycopg
from psycopg.abc import PQGen

_INTERVAL_S = 0.1  # psycopg's own, for signals


class BoundedConnection(psycopg.Connection[Any]):
    """Raises OperationalError, and is closed, when an answer takes longer than `longest_s`."""

    longest_s: float | None = None

    def wait(self, gen: PQGen[Any], interval: float = _INTERVAL_S, timeout: float | None = None) -> Any:
        """psycopg asks this for every answer."""
        try:
            return super().wait(gen, interval, self.longest_s if timeout is None else timeout)
        except psycopg.OperationalError as error:
            if error.sqlstate is None:  # the server has not said it: nobody knows what it is doing
                self.pgconn.finish()
            raise

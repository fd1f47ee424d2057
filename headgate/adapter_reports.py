"""What the part `engines` tells control of adapters: that all of its replicas have a version, or can't have it.

On control's socket, where Envoy leads nobody. A report may be repeated, and is, until the directory says what it came
to: control forgets nothing, but waits for other hosts' engines, and for the database.
"""

import http.client
import socket
from pathlib import Path

import msgspec

from headgate.contract import CONTROL_API_SOCKET

REPORTS = "/adapter-reports"
ANSWER_WITHIN_S = 30.0
LONGEST_REASON = 1000  # characters


class AdapterReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`sha256` is that of the weights that were loaded. `reason` None: all ready replicas have it, and it answers."""

    tenant: str
    adapter: str
    version: int
    sha256: str
    reason: str | None = None


class ReportRefused(Exception):  # noqa: N818 - an answer
    """Control did not take it: the version is gone, or other weights than these; the text says so."""


def report(said: AdapterReport, path: Path = CONTROL_API_SOCKET) -> None:
    """Blocks. Raises OSError while control, or its database, is away, and ReportRefused."""
    connection = _OnSocket(path)
    try:
        connection.request("POST", REPORTS, msgspec.json.encode(said), {"content-type": "application/json"})
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()
    if answer.status >= 500:
        raise ConnectionError(text)
    if answer.status >= 400:
        raise ReportRefused(text)


class _OnSocket(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("control", timeout=ANSWER_WITHIN_S)
        self._path = path

    def connect(self) -> None:
        """Instead of a network's."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))

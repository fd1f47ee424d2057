"""What the part `engines` tells control of adapters: which of its engines load any, and what has become of versions.

On control's socket, where Envoy leads nobody. All of it is said again now and then: control forgets nothing, but it
may have been away, and it waits for hosts that it has heard of lately alone.
"""

import http.client
import socket
from pathlib import Path

import msgspec

from headgate.contract import CONTROL_API_SOCKET

REPORTS = "/adapter-reports"
ANSWER_WITHIN_S = 30.0
LONGEST_REASON = 1000  # characters
MOST_REPORTS = 100  # at once
REPEATED_AFTER_S = 30.0


class AdapterReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`sha256` is that of the weights that were loaded. `reason` None: all ready replicas have it, and it answers."""

    tenant: str
    adapter: str
    version: int
    sha256: str
    reason: str | None = None


class Serves(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What this host's engines load adapters of: the names of base models. `elsewhere`: versions that are waited for
    and that none of these engines is to have, as where their tenant is led to others; by their manifests' SHA-256.
    `unserved`: of the live ones that they are to have those that no replica has had for a while, and why.
    """

    bases: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    unserved: dict[str, str] = {}


class HostReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that is to be said at one time."""

    serves: Serves
    reports: tuple[AdapterReport, ...] = ()


class Taken(msgspec.Struct, frozen=True):
    """Control's answer: for each report None, or why it was not taken: the version is gone, or has other weights."""

    refused: tuple[str | None, ...] = ()


class ReportRefused(Exception):  # noqa: N818 - an answer
    """Control took none of it: it knows no such report; the text says why."""


def report(said: HostReport, path: Path = CONTROL_API_SOCKET) -> Taken:
    """Blocks. Raises OSError while control, or its database, is away, and ReportRefused."""
    connection = _OnSocket(path)
    try:
        connection.request("POST", REPORTS, msgspec.json.encode(said), {"content-type": "application/json"})
        answer = connection.getresponse()
        body = answer.read()
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()
    if answer.status >= 500:
        raise ConnectionError(body.decode(errors="replace"))
    if answer.status >= 400:
        raise ReportRefused(body.decode(errors="replace"))
    try:
        return msgspec.json.decode(body, type=Taken)
    except msgspec.DecodeError as error:
        raise ReportRefused(str(error)) from error


class _OnSocket(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("control", timeout=ANSWER_WITHIN_S)
        self._path = path

    def connect(self) -> None:
        """Instead of a network's."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))

"""Which replicas are processes of this gateway, by the supervisor's record of them.

A replica's process is the one whose record has its port. Nothing here starts or ends one.
"""

import time

from engines.watch.place import Place
from headgate.supervise import parts_file
from headgate.supervise.parts_file import PartRecord
from headgate.supervise.process import Identity, start_ticks_of

READ_EVERY_S = 0.5


class Processes:
    """Asked by each replica's watch; reads the record now and then."""

    def __init__(self) -> None:
        self._by_port: dict[int, PartRecord] = {}
        self._read_at = -READ_EVERY_S

    def life(self, place: Place) -> Identity | None:
        """The process of ours that runs at this port of loopback; None: there is none."""
        record = self._record_of(place)
        return record.identity if record else None

    def drains(self, place: Place) -> bool:
        """Whether it is to get no more requests."""
        record = self._record_of(place)
        return record is not None and record.draining

    def _record_of(self, place: Place) -> PartRecord | None:
        now = time.monotonic()
        if now - self._read_at >= READ_EVERY_S:
            self._read_at = now
            self._by_port = {record.port: record for record in parts_file.load().values() if record.port}
        record = self._by_port.get(place.port) if place.host == "127.0.0.1" else None
        runs = record is not None and start_ticks_of(record.pid) == record.start_ticks
        return record if runs else None

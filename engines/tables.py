"""The engines of the accepted configuration, as the part follows them: read when the file was replaced."""

from collections.abc import Mapping

import msgspec
import structlog

from headgate.contract import SNAPSHOT
from headgate.engine_rows import EngineRow
from headgate.snapshot import Snapshot, read_snapshot

log = structlog.get_logger()


class Tables:
    """Call `look` now and then; `snapshot` is what it found last, None while there is none."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self._time: int | None = None

    @property
    def engines(self) -> Mapping[str, EngineRow]:
        """By name."""
        return self.snapshot.engines if self.snapshot else {}

    def look(self) -> None:
        """Read what is new. A file that can't be read changes nothing."""
        try:
            changed = SNAPSHOT.stat().st_mtime_ns
            if changed == self._time:
                return
            self.snapshot = read_snapshot(SNAPSHOT)
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError) as error:
            log.warning("snapshot can't be read", error=str(error))
            return
        self._time = changed

"""The engines of the accepted configuration, as the part follows them: read when the file was replaced."""

from collections.abc import Mapping

import msgspec
import structlog

from headgate.contract import SNAPSHOT
from headgate.engine_rows import EngineRow
from headgate.snapshot import read_snapshot

log = structlog.get_logger()


class Tables:
    """Call `look` now and then; `engines` is what it found last, by name."""

    def __init__(self) -> None:
        self.engines: Mapping[str, EngineRow] = {}
        self._time: int | None = None

    def look(self) -> None:
        """Read what is new. A file that can't be read changes nothing."""
        try:
            changed = SNAPSHOT.stat().st_mtime_ns
            if changed == self._time:
                return
            self.engines = read_snapshot(SNAPSHOT).engines
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError) as error:
            log.warning("snapshot can't be read", error=str(error))
            return
        self._time = changed

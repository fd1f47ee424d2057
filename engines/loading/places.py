"""Where adapters' files lie for each engine, and what they are fetched with: as the accepted gateway.yaml says."""

import threading
from pathlib import Path

import msgspec
import structlog

from engines.loading.files import AdapterFiles
from headgate.adapter_row import AdapterRow
from headgate.adapters.opening import AdapterAccess
from headgate.contract import ADAPTER_CACHE, DECLARED
from headgate.engine_rows import EngineRow

log = structlog.get_logger()


class _Declared(msgspec.Struct, frozen=True):
    """All that is read of it here."""

    adapters: AdapterRow = AdapterRow()


class Accepted:
    """The store and the keys; asked in several threads, it reads the file when it was replaced."""

    def __init__(self, path: Path = DECLARED) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._time: int | None = None
        self._access = AdapterAccess(AdapterRow())

    def access(self) -> AdapterAccess:
        """Those of the last file that could be read."""
        with self._lock:
            try:
                changed = self._path.stat().st_mtime_ns
                if changed != self._time:
                    row = msgspec.json.decode(self._path.read_bytes(), type=_Declared).adapters
                    self._access = AdapterAccess(row) if row != self._access.row else self._access
                    self._time = changed
            except FileNotFoundError:
                pass
            except (OSError, msgspec.DecodeError) as error:
                log.warning("what gateway.yaml says of adapters can't be read", error=str(error))
            return self._access


class Places:
    """A cache for all engines of this host, and one for each folder that others see."""

    def __init__(self, accepted: Accepted) -> None:
        self._accepted = accepted
        self._files: dict[tuple[str | None, str | None], AdapterFiles] = {}

    def files_of(self, row: EngineRow) -> AdapterFiles:
        """The same for the same place."""
        place = row.adapters_dir, row.adapters_path
        if place not in self._files:
            root = Path(row.adapters_dir) if row.adapters_dir else ADAPTER_CACHE
            self._files[place] = AdapterFiles(root, self._accepted.access, row.adapters_path)
        return self._files[place]

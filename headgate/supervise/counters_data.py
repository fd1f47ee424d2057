"""What the embedded counters keep on the disk: set aside when Valkey can't load it, so that it starts with nothing.

Days and months come back from the ledger's database, as after a FLUSHALL. Only what Valkey itself called damaged
while it loaded counts: a full disk or a wrong permission is mended by the operator, and nothing is moved for it.
"""

import shutil
import time
from pathlib import Path

import structlog

log = structlog.get_logger()

FOLDER = Path("valkey")
MOST_KEPT = 2

_DAMAGED = f"{FOLDER.name}.damaged-"
_READY = "Ready to accept connections"
_LOGGED_BYTES = 65_536
# As Valkey 7 to 9 and Redis 7 write them; each is followed by the server's end.
_SIGNS = (
    "Bad file format reading the append only file",
    "Error reading the append only file",  # a command that is none
    "FATAL AOF MANIFEST FILE ERROR",
    "the truncated file is not the last file",
    "Internal error in RDB reading",
    "Short read or OOM loading DB",
    "Wrong RDB checksum",
)
_MISSING = ("Unable to obtain the AOF file", "No such file or directory")  # the manifest names a file that is gone


class CountersData:
    """`before_start` is called before each start of the server; it looks at what the last one wrote to its log."""

    def __init__(self, server_log: Path) -> None:
        self._log = server_log
        self._from: int | None = None  # where the last start began in the log

    def before_start(self) -> None:
        """Set the folder aside if the start before this one ended over it. Raises OSError."""
        sign = self._sign()
        if sign:
            aside = set_aside(FOLDER)
            log.error(
                "the counters' files are damaged: they are set aside, and counting begins anew",
                reason=sign,
                aside=str(aside),
            )
        FOLDER.mkdir(mode=0o700, exist_ok=True)
        self._from = _size(self._log)

    def _sign(self) -> str | None:
        if self._from is None:
            return None
        try:
            with self._log.open("rb") as file:
                file.seek(self._from)
                return damage_in(file.read(_LOGGED_BYTES).decode(errors="replace"))
        except FileNotFoundError:
            return None


def damage_in(text: str) -> str | None:
    """What a server that never was ready said of damage, of all that it logged since its start; None for none."""
    if _READY in text:
        return None
    for line in text.splitlines():
        if all(part in line for part in _MISSING):
            return "a file is missing"
        for sign in _SIGNS:
            if sign in line:
                return sign
    return None


def set_aside(folder: Path) -> Path:
    """Rename the folder by the time; the oldest of those set aside before may go. Raises OSError."""
    aside = folder.with_name(f"{_DAMAGED}{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    for number in range(2, 100):
        if not aside.exists():
            break
        aside = aside.with_name(f"{aside.name.partition('Z')[0]}Z-{number}")
    folder.rename(aside)
    kept = damaged(folder.parent)
    for old in kept[:-MOST_KEPT]:
        log.warning("damaged files of the counters are removed: newer ones are kept", path=str(old))
        shutil.rmtree(old, ignore_errors=True)
    return aside


def damaged(state: Path = Path()) -> list[Path]:
    """The folders that were set aside and are still there, the oldest first."""
    return sorted(state.glob(f"{_DAMAGED}*"), key=lambda path: path.lstat().st_ctime_ns)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0

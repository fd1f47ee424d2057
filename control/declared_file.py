"""What gateway.yaml declares, as the file that the supervisor writes says now: read again when it is another one."""

from pathlib import Path

import msgspec
import structlog

from headgate.declared import Declared, read_declared

log = structlog.get_logger()


class DeclaredFile:
    """Called for each request: one look at the file's entry. What can't be read leaves what was read before."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._declared = Declared(generation=0)

    def __call__(self) -> Declared:
        """The accepted generation."""
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_ino)
            if stamp != self._stamp:
                self._declared, self._stamp = read_declared(self._path), stamp
        except FileNotFoundError:
            return self._declared
        except (OSError, msgspec.DecodeError) as error:
            log.warning("what gateway.yaml declares can't be read", error=str(error))
        return self._declared

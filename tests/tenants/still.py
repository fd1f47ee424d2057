"""A directory that only the test changes."""

from headgate.directory.directory import Directory
from headgate.directory.following import Following
from headgate.directory.rows import Row, change_to


class Still(Following):
    """Follows no file."""

    def __init__(self, directory: Directory | None = None) -> None:
        super().__init__()
        self.directory = directory or Directory()


def directory_of(*rows: Row, version: int = 1) -> Directory:
    """A directory with these rows."""
    return Directory(version, [[change_to(row) for row in rows]])


class Late(Following):
    """A directory that has more once somebody asks for it."""

    def __init__(self, *rows: Row) -> None:
        super().__init__()
        self._rows = rows
        self.asked = 0

    def catch_up(self, version: int | None = None) -> bool:
        """Has the rows, as that version."""
        if version is None:
            return False
        self.asked += 1
        self.directory.take(version, [change_to(row) for row in self._rows])
        return True

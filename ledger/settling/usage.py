"""What was used, in the words of the ledger's database. Pure."""

from dataclasses import dataclass
from typing import NamedTuple

from headgate.limits import Dimension
from ledger.journal.entries import Draft

NOT_KEPT_APART = "-"  # a `user`: the tenant had no limit by user


class Where(NamedTuple):
    """What usage is kept apart by. `day` is in days since 1970, UTC."""

    tenant: str
    day: int
    key: str
    model: str
    user: str


class Amounts(NamedTuple):
    """Of one day, one window or one request."""

    requests: int = 0
    input: int = 0
    output: int = 0
    nano_usd: int = 0

    def of(self, dimension: Dimension) -> int:
        """What a limit that counts this sees; slots are no amount."""
        match dimension:
            case "requests":
                return self.requests
            case "input":
                return self.input
            case "output":
                return self.output
            case "tokens":
                return self.input + self.output
            case "usd":
                return self.nano_usd
        return 0

    def negative(self) -> "Amounts":
        """What takes them back."""
        return Amounts(*(-amount for amount in self))


class FileId(NamedTuple):
    """A spool file, whatever its name and inode are by now: its Envoy and a digest of its first line."""

    epoch: str
    head: str


class Entry(NamedTuple):
    """One request to be counted; its line ends `at` that byte of its file, where it has one."""

    request_id: str
    where: Where
    amounts: Amounts
    file: FileId | None = None
    at: int = 0


class EndLine(NamedTuple):
    """An `end` line, whoever it is of: it ends `at` that byte of its file; its request is known by `key`."""

    key: bytes
    at: int
    row: Draft | None = None


class Estimate(NamedTuple):
    """A request that is charged without its line, which would be known by `key`."""

    entry: Entry
    key: bytes
    row: Draft | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """One transaction: what it added where. `sequence` grows with each, over restarts too; `before` is the last's."""

    before: int
    sequence: int
    added: tuple[tuple[Where, Amounts], ...]
    requests: int = 0  # of tenants that were new
    replaced: int = 0  # estimates whose requests' own lines came after all
    others: frozenset[Where] = frozenset()  # where nothing was added, as their users are beyond the bound
    repeated: frozenset[tuple[FileId | None, int]] = frozenset()  # lines whose requests were counted by others


@dataclass(frozen=True, slots=True)
class SumWish:
    """Which rows a limit counts: None is all. `first` and `end` are days.

    `ever`: what was charged on days that are not kept one by one counts too.
    """

    tenant: str
    first: int
    end: int
    dimension: Dimension
    key: str | None = None
    models: tuple[str, ...] | None = None
    user: str | None = None
    ever: bool = False


@dataclass(frozen=True, slots=True)
class Used:
    """What one key, model and user have used in the window that a tenant's months are, and of it on one day."""

    key: str
    model: str
    user: str
    month: Amounts
    day: Amounts

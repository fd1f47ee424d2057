"""How much of adapters may come: of a tenant, of all, and as the disks have room for."""

from collections.abc import Mapping
from dataclasses import dataclass

from control.problems import Problem, conflict
from control.store.adapters import stored_bytes
from control.store.unit import Reader
from headgate.adapter_row import AdapterRow
from headgate.objects.failures import ObjectsError, StoreFull

RETRY: Mapping[str, str] = {"retry-after": "5"}


@dataclass(frozen=True, slots=True)
class Allowed:
    """What an upload may be: weights of `most_bytes`, within `within_s`, with `min_free_bytes` left of the disk."""

    most_bytes: int
    within_s: float
    min_free_bytes: int


def allowed(row: AdapterRow) -> Allowed:
    """What gateway.yaml says of each."""
    return Allowed(row.max_size_bytes, row.upload_timeout_s, row.min_free_bytes)


def check_bytes(reader: Reader, row: AdapterRow, owner: str, size_bytes: int) -> None:
    """Whether so many more may be stored. Raises Problem (409)."""
    of_owner, of_all = stored_bytes(reader, owner), stored_bytes(reader)
    if of_owner + size_bytes > row.max_per_tenant_bytes:
        text = (
            f"{owner} has {of_owner} bytes of adapters and may have {row.max_per_tenant_bytes}: delete some versions"
        )
        raise conflict("too_many_bytes", text)
    if of_all + size_bytes > row.max_total_bytes:
        raise conflict("too_many_bytes", f"all adapters together may have {row.max_total_bytes} bytes")


def check_free(free_bytes: int, size_bytes: int, min_free_bytes: int) -> None:
    """Whether a disk takes so many more. Raises Problem (507)."""
    if free_bytes - size_bytes < min_free_bytes:
        raise disk_full()


def disk_full() -> Problem:
    """Of the state directory, or of the store of objects."""
    return Problem(
        507, "disk_full", "the gateway's disk for adapters has no room for this: an operator has to see to it"
    )


def objects_problem(error: Exception) -> Problem:
    """What the store of objects, or a call of it that takes too long, is answered with."""
    if isinstance(error, StoreFull):
        return disk_full()
    said = str(error) if isinstance(error, ObjectsError) else "it does not answer in time"
    text = f"the store of objects can't take or give this now: {said}"
    return Problem(503, "objects_away", text, headers=RETRY)

"""A version's way into the registry, and out of it: its row, its files, and what both say of each other.

The row is there before the files are stored, and goes after them, so that no file is ever nobody's. What is long is
done between units of work, and what the store of objects is asked for in threads of its own.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool

from control.adapters.arriving import Arrived
from control.adapters.checking import checked, discard, failed, failure_of, id_of
from control.adapters.found import MOST_VERSIONS, adapter_of, check_base, check_owner
from control.adapters.objects import Objects
from control.adapters.recorded import record_version
from control.adapters.room import check_bytes, check_free, objects_problem
from control.adapters.states import check_deletable, retire, version_of
from control.adapters.told import Told
from control.call import Call
from control.problems import Finding, Problem, conflict, invalid, secret_away
from control.store.adapters import (
    delete_version,
    insert_version,
    take_number,
    touch_adapter,
    update_versions,
    versions_of,
)
from control.store.failures import Missing, Stale
from control.store.values import AdapterVersion
from headgate.adapters.failures import AdapterError
from headgate.adapters.layout import AdapterId
from headgate.declared import DeclaredTarget
from headgate.objects.failures import ObjectsError
from headgate.objects.store import free_bytes_of

REMOVED_WITHIN_S = 15.0  # an answer takes no longer than 25 (control/gate.py)
T = TypeVar("T")


async def check_before(call: Call, owner: str, name: str, announced_bytes: int) -> None:
    """Before anything of a body is taken. Raises Problem."""
    await _in_database(call, lambda: _check_before(call, owner, name, announced_bytes))


async def register(call: Call, owner: str, name: str, files: Arrived, told: Told) -> AdapterVersion:
    """Checks, stores and signs what has arrived. Raises Problem; what was not accepted stays, and says why."""
    version, engines = await _in_database(call, lambda: _begun(call, owner, name, files, told))
    upload, objects, refused = files.upload, call.service.objects, None
    try:
        work = lambda: checked(objects, call.declared.adapters, version, engines, upload)  # noqa: E731
        after = await objects.threads.run(work)
    except Problem as problem:
        after, refused = failed(version, problem.detail), problem
    except AdapterError as error:
        after, refused = failed(version, failure_of(error)), secret_away()
    except ObjectsError as error:
        after, refused = failed(version, failure_of(error)), objects_problem(error)
    try:
        written = await _in_database(call, lambda: _written(call, version, after))
    except (Missing, Stale):
        await _discarded(objects, id_of(version))
        refused = conflict("wrong_state", f"version {version.number} was retired or deleted meanwhile")
    upload.id = None  # nobody has to go on with it
    if refused:
        raise refused
    if written.failure:
        raise Problem(422, "adapter_not_acceptable", written.failure)
    return written


async def unregister(call: Call, owner: str, name: str, number: int) -> None:
    """Removes a version and its files. Raises Problem; where the store is away, the version stays, retired."""
    await _in_database(call, lambda: _retired(call, owner, name, number))
    objects, version = call.service.objects, AdapterId(owner, name, number)  # there is one: the names are good
    try:
        async with asyncio.timeout(REMOVED_WITHIN_S):
            await objects.threads.run(lambda: discard(objects, version))
    except (ObjectsError, TimeoutError) as error:
        raise objects_problem(error) from None
    await _in_database(call, lambda: _deleted(call, owner, name, number))


async def _in_database(call: Call, work: Callable[[], T]) -> T:
    """Holds a thread and a connection no longer than that."""
    async with call.service.traffic.working(call.asker):
        return await run_in_threadpool(work)


async def _discarded(objects: Objects, version: AdapterId) -> None:
    try:
        await objects.threads.run(lambda: discard(objects, version))
    except ObjectsError:
        return  # they are found as nobody's (control/adapters/leftovers.py)


def _check_before(call: Call, owner: str, name: str, announced_bytes: int) -> None:
    row = call.declared.adapters
    if announced_bytes > row.max_size_bytes:
        raise Problem(413, "body_too_large", f"expected weights of at most {row.max_size_bytes} bytes")
    with call.read() as reader:
        check_owner(call, reader, changes=True)
        adapter_of(call, reader, name)
        check_bytes(reader, row, owner, announced_bytes)
    check_free(free_bytes_of(call.tools.state), announced_bytes, row.min_free_bytes)


def _begun(
    call: Call, owner: str, name: str, files: Arrived, told: Told
) -> tuple[AdapterVersion, list[DeclaredTarget]]:
    with call.change() as unit:
        check_owner(call, unit, changes=True)
        adapter = adapter_of(call, unit, name)
        engines = check_base(call, unit, owner, name, adapter.base_model)
        if len(versions_of(unit, owner, name)) >= MOST_VERSIONS:
            raise conflict("too_many", f"an adapter has at most {MOST_VERSIONS} versions: delete some")
        check_bytes(unit, call.declared.adapters, owner, files.size_bytes)
        if (parent := told.lineage.parent) and parent > adapter.last_number:  # one that was deleted is one, too
            at = "query.parent"
            raise invalid(Finding(at=at, expected="an earlier version of this adapter", found=str(parent)))
        number = take_number(unit, adapter).last_number
        said: dict[str, Any] = {"sha256": files.sha256, "size_bytes": files.size_bytes, "facts": {}}
        named: dict[str, Any] = {"tenant_id": owner, "name": name, "number": number, "created_by": call.creator}
        made = insert_version(unit, AdapterVersion(**named, **said))
        record_version(unit, None, made)
        files.upload.note(id_of(made), told)  # before anybody can see the row
    return made, engines


def _written(call: Call, before: AdapterVersion, after: AdapterVersion) -> AdapterVersion:
    with call.change() as unit:
        (written,) = update_versions(unit, (after,))
        record_version(unit, before, written)
    return written


def _retired(call: Call, owner: str, name: str, number: int) -> None:
    """Or it could be promoted while its files go."""
    with call.change() as unit:
        check_owner(call, unit, changes=True)
        adapter_of(call, unit, name)
        versions = versions_of(unit, owner, name)
        version = version_of(versions, number)
        check_deletable(version)
        if version.state != "retired":
            for after in update_versions(unit, retire(versions, number, unit.now)):
                record_version(unit, version_of(versions, after.number), after)


def _deleted(call: Call, owner: str, name: str, number: int) -> None:
    with call.change() as unit:
        version = version_of(versions_of(unit, owner, name), number)
        delete_version(unit, version)
        touch_adapter(unit, adapter_of(call, unit, name))
        record_version(unit, version, None)

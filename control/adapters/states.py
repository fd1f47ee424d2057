"""The states of an adapter's versions, and what moves them. Pure.

    uploaded   it is in the object store; `failure` says why it was not validated
    validated  its files are as they have to be; with a `wanted_weight` engines are to load it
    staged     engines have it, and may go on having it: it can be live at once
    live       requests go to it: one version, or two that share them
    retired    nothing goes to it any more, and nothing will

Each function takes all versions of an adapter and gives those that it has changed. It raises Problem (409) for what
a version's state does not allow. A promotion has two phases: `promote` marks what is wanted, `stage`, when engines
have it, makes it live. Of several promotions the last one counts. One that engines have not come to the end of within
`PROMOTED_WITHIN` has failed.

`alone_at` is the history that a rollback goes back in: when a version came to have all requests last. One that only
shared them has none, and one that was rolled back from has none any more, so that no rollback comes back to it. A
rollback that waits for engines (`wanted_back`) has taken nothing off yet: if it fails, nothing has changed.
"""

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from control.problems import Problem, conflict, not_found
from control.store.values import NEVER, AdapterVersion
from headgate.directory.rows import AdapterState

ALONE = 100  # percent
PROMOTED_WITHIN = dt.timedelta(minutes=15)  # tens of GB over a slow network, on engines that start meanwhile
_UNWANTED: dict[str, Any] = {"wanted_weight": None, "wanted_at": None, "wanted_back": False}
Versions = tuple[AdapterVersion, ...]

LEGAL: Mapping[AdapterState, frozenset[AdapterState]] = {
    "uploaded": frozenset({"validated", "retired"}),
    "validated": frozenset({"staged", "retired"}),
    "staged": frozenset({"live", "validated", "retired"}),
    "live": frozenset({"staged", "retired"}),
    "retired": frozenset(),
}


def version_of(versions: Versions, number: int) -> AdapterVersion:
    """Raises Problem (404)."""
    for version in versions:
        if version.number == number:
            return version
    raise not_found("version of this adapter")


def promote(versions: Versions, number: int, weight: int, now: dt.datetime) -> Versions:
    """It gets so many percent of the requests, the live one the others; at once if engines have it already."""
    version = version_of(versions, number)
    if version.state not in ("validated", "staged", "live"):
        raise _wrong(version, "promoted")
    _check_share(versions, version, weight)
    return _bring(versions, version, weight, now)


def _bring(
    versions: Versions, version: AdapterVersion, weight: int, now: dt.datetime, *, back: bool = False
) -> Versions:
    """Live at once, or wanted until engines have it; `back`: by a rollback."""
    if version.state != "validated":
        return _go_live(versions, version, weight, now, back=back)
    said: dict[str, Any] = {"wanted_weight": weight, "wanted_at": now, "wanted_back": back}
    wanted = replace(version, **said, failure=None, staged_on=())
    return _changed(versions, {**_unwanted(versions), version.number: wanted})


def stage(versions: Versions, number: int, host: str, hosts: Collection[str], now: dt.datetime) -> Versions:
    """A host's engines have it; of validated ones those of all `hosts` have to. Nothing new where that was known."""
    version = version_of(versions, number)
    version = replace(version, staged_on=tuple(sorted({*version.staged_on, host})))
    if version.state != "validated" or missing_of(version, hosts):
        return _changed(versions, {number: version})
    return _staged(versions, version, now)


def settle(versions: Versions, hosts: Collection[str], now: dt.datetime) -> Versions:
    """What has come of a promotion without a further word from engines: a host that it waited for is gone, or its
    time is over. `hosts`: those that have to have it.
    """
    wanted = next((one for one in versions if one.wanted_weight is not None), None)
    if wanted is None or wanted.state != "validated":
        return ()
    missing = missing_of(wanted, hosts)
    if hosts and not missing:
        return _staged(versions, wanted, now)
    if wanted.wanted_at is not None and now < wanted.wanted_at + PROMOTED_WITHIN:
        return ()
    minutes = round(PROMOTED_WITHIN.total_seconds() / 60)
    where = (
        f" of {len(missing)} of {len(hosts)} hosts" if len(hosts) > 1 else ""
    )  # who they are: their operators' alone
    why = f"engines{where} did not have it within {minutes} minutes"
    if not hosts:
        why = f"no engine that loads adapters of its base model was there within {minutes} minutes"
    return fail(versions, wanted.number, why)


def missing_of(version: AdapterVersion, hosts: Collection[str]) -> list[str]:
    """Those whose engines are not known to have it."""
    return sorted(set(hosts) - set(version.staged_on))


def _staged(versions: Versions, version: AdapterVersion, now: dt.datetime) -> Versions:
    number = version.number
    staged = _moved(version, "staged", staged_at=now, failure=None, **_UNWANTED)
    if version.wanted_weight is None:
        return (staged,)
    others = [one for one in _live(versions) if one.number != number]
    share = version.wanted_weight if len(others) == 1 else ALONE  # the other one was taken off meanwhile
    found = tuple(staged if one.number == number else one for one in versions)
    live = _go_live(found, staged, share, now, back=version.wanted_back)
    return _changed(versions, {one.number: one for one in (staged, *live)})


def fail(versions: Versions, number: int, reason: str) -> Versions:
    """Engines can't have it. What is live stays so, and so does whatever was live before a promotion."""
    version = version_of(versions, number)
    if version.state == "staged":
        return (_moved(version, "validated", failure=reason, **_UNWANTED, staged_on=()),)
    if version.state in ("validated", "live"):
        return _changed(versions, {number: replace(version, failure=reason, **_UNWANTED, staged_on=())})
    raise _wrong(version, "loaded")


def roll_back(versions: Versions, now: dt.datetime) -> Versions:
    """What is live gives way to `rolled_back_to`, and no later rollback comes back to it.

    At once, unless engines had no place left for that one: then they load it first, and what is live gives way then.
    """
    to = rolled_back_to(versions)
    if to is None:
        raise conflict("nothing_to_roll_back", _why_no_further(versions))
    return _bring(versions, to, ALONE, now, back=True)


def rolled_back_to(versions: Versions) -> AdapterVersion | None:
    """Of two that share the requests the one that was live first; else the last one that had all of them before."""
    live = _live(versions)
    if len(live) == 2:
        return live[0]
    before = [one for one in versions if one.state in ("staged", "validated") and one.alone_at is not None]
    return max(before, key=_alone_since, default=None)


def _why_no_further(versions: Versions) -> str:
    live, retired = _live(versions), [one for one in versions if one.state == "retired" and one.alone_at is not None]
    text = "no version was live before" if live else "no version is live, and none was"
    text = f"{text} version {live[0].number}" if live else text
    if retired:
        number = max(retired, key=_alone_since).number
        text = f"version {number} was live and is retired, which is for good"
    others = [str(one.number) for one in versions if one.state in ("staged", "validated")]
    return f"{text}: promote {'version ' + ' or '.join(others[-3:]) if others else 'another version'}"


def retire(versions: Versions, number: int, now: dt.datetime) -> Versions:
    """For good. A live one leaves its requests to the one it shares with; without one, the alias is no model's."""
    version = version_of(versions, number)
    retired = _moved(version, "retired", weight=None, **_UNWANTED, retired_at=now)
    heirs = _live(versions) if version.state == "live" else []
    left = {one.number: replace(one, weight=ALONE, alone_at=now) for one in heirs}
    return _changed(versions, {**left, number: retired})


def check_deletable(version: AdapterVersion) -> None:
    """Raises Problem (409)."""
    if version.state == "live":
        raise conflict("version_live", f"version {version.number} is live: promote another one or retire it first")


def validate(version: AdapterVersion, failure: str | None = None) -> AdapterVersion:
    """Its files were looked at. With a `failure` it stays as it was uploaded."""
    return replace(version, failure=failure) if failure else _moved(version, "validated", failure=None)


def _check_share(versions: Versions, version: AdapterVersion, weight: int) -> None:
    others = [one for one in _live(versions) if one.number != version.number]
    if weight == ALONE:
        return
    if not others:
        text = "no other version of this adapter is live: promote it without a weight"
        raise conflict("nothing_to_share_with", text)
    if len(others) > 1:
        text = "two versions share the requests already: promote one of them without a weight first"
        raise conflict("two_versions_live", text)


def _go_live(versions: Versions, version: AdapterVersion, weight: int, now: dt.datetime, *, back: bool) -> Versions:
    fresh: dict[int, AdapterVersion] = _unwanted(versions)
    for other in _live(versions):
        kept = fresh.get(other.number, other)
        if weight == ALONE:
            fresh[other.number] = _moved(kept, "staged", weight=None, alone_at=None if back else kept.alone_at)
        else:
            fresh[other.number] = replace(kept, weight=ALONE - weight)
    said = {"weight": weight, "alone_at": now if weight == ALONE else version.alone_at, **_UNWANTED}
    if version.state == "live":
        fresh[version.number] = replace(version, **said)
    else:
        fresh[version.number] = _moved(version, "live", **said, live_at=now)
    return _changed(versions, fresh)


def _live(versions: Versions) -> list[AdapterVersion]:
    """What has been live for longest comes first."""
    return sorted((one for one in versions if one.state == "live"), key=_since)


def _since(version: AdapterVersion) -> tuple[dt.datetime, int]:
    return version.live_at or NEVER, version.number


def _alone_since(version: AdapterVersion) -> tuple[dt.datetime, int]:
    return version.alone_at or NEVER, version.number


def _unwanted(versions: Versions) -> dict[int, AdapterVersion]:
    wanted = [one for one in versions if one.wanted_weight is not None]
    return {one.number: replace(one, **_UNWANTED, staged_on=()) for one in wanted}


def _changed(versions: Versions, fresh: Mapping[int, AdapterVersion]) -> Versions:
    return tuple(fresh[one.number] for one in versions if fresh.get(one.number, one) != one)


def _moved(version: AdapterVersion, state: AdapterState, **more: Any) -> AdapterVersion:
    if state not in LEGAL[version.state]:
        raise _wrong(version, state)
    return replace(version, state=state, **more)


def _wrong(version: AdapterVersion, wish: str) -> Problem:
    why = f" ({version.failure})" if version.failure else ""
    return conflict("wrong_state", f"version {version.number} is {version.state}{why}: it can't be {wish}")

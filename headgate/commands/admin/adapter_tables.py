"""Adapters and their versions as tables that 80 columns have room for; `--json` has all that there is."""

from collections.abc import Mapping, Sequence
from typing import Any

from headgate.commands.admin.promotion import waits_for
from headgate.commands.admin.session import note
from headgate.commands.admin.shown import Shown

_COLUMNS = ("model", "base_model", "live", "newest", "note")
_VERSIONS = ("version", "state", "weight", "size", "created", "note")
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_OF_THEIR_OWN = ("versions", "manifest", "waits_for")


def show_adapters(shown: Shown, adapters: Sequence[Mapping[str, Any]], cursor: str | None) -> None:
    """A line for each, with what is to be known of its live, wanted and newest versions."""
    shown.many(adapters if shown.as_json else [_row(one) for one in adapters], cursor, _COLUMNS)


def show_adapter(shown: Shown, adapter: Mapping[str, Any]) -> None:
    """What it is, and a line for each of its versions."""
    shown.one(adapter if shown.as_json else _without_parts(adapter))
    if adapter["versions"] and not shown.as_json:
        note("")
        shown.many([_version_row(one) for one in adapter["versions"]], None, _VERSIONS)


def show_version(shown: Shown, version: Mapping[str, Any]) -> None:
    """All of one."""
    shown.one(version if shown.as_json else {**_without_parts(version), "waits_for": waits_for(version)})


def _row(adapter: Mapping[str, Any]) -> dict[str, Any]:
    versions = adapter["versions"]
    live = [f"{one['version']} ({one['weight']}%)" for one in versions if one["state"] == "live"]
    of_note = [one for one in versions if one["state"] == "live" or waits_for(one) or one is versions[-1]]
    return {
        **adapter,
        "live": ", ".join(live) or None,
        "newest": versions[-1]["version"] if versions else None,
        "note": "; ".join(f"version {one['version']}: {text}" for one in of_note if (text := _note(one))),
    }


def _version_row(version: Mapping[str, Any]) -> dict[str, Any]:
    weight, created = version["weight"], str(version["created_at"])
    return {
        "version": version["version"],
        "state": version["state"],
        "weight": None if weight is None else f"{weight}%",
        "size": _size(version["size_bytes"]),
        "created": created[:16].replace("T", " "),
        "note": _note(version),
    }


def _note(version: Mapping[str, Any]) -> str:
    """What it waits for, why its last step failed, and whether nobody serves it."""
    waits = waits_for(version)
    until = str(version["wanted_until"])[11:16]
    wanted = f"goes live ({version['wanted_weight']}%), waits for {waits} until {until} UTC" if waits else None
    failed = f"failed: {version['failure']}" if version["failure"] and version["state"] != "retired" else None
    return "; ".join(filter(None, (wanted, failed, version["unserved"])))


def _size(size_bytes: int) -> str:
    size, unit = float(size_bytes), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.3g} {_UNITS[unit]}"


def _without_parts(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if name not in _OF_THEIR_OWN}

"""The query of a request for buckets, as OpenAI's API has it: read, and checked to the last value. Pure.

Lists come as `name=a&name=b` or, as the openai SDK writes them, `name[]=a&name[]=b`. Raises Refused, which names the
parameter; a name that nobody knows is refused, too: a misspelt filter would show everything.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from control.usage_api.kinds import SOURCES, TENANT_GROUP, Kind
from control.usage_api.refusal import Refused, invalid
from headgate.config.wording import nearest, quoted
from headgate.usage_questions import MOST_VALUES, Dimension, Width

TENANT_FILTER = "tenant_ids"  # ours, like TENANT_GROUP
LONGEST_NAME = 1_024  # longer ones are nobody's
MOST_SECONDS = 253_402_300_799  # the end of the year 9999


@dataclass(frozen=True, slots=True)
class BucketWidth:
    """How long a bucket is, in seconds and to the store, and how many come on a page."""

    seconds: int
    width: Width
    usual: int
    most: int


WIDTHS: Mapping[str, BucketWidth] = {
    "1m": BucketWidth(60, "minute", 60, 1440),
    "1h": BucketWidth(3600, "hour", 24, 168),
    "1d": BucketWidth(86_400, "day", 7, 31),
}
OF_COSTS: Mapping[str, BucketWidth] = {"1d": BucketWidth(86_400, "day", 7, 180)}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request for buckets. `groups` are the API's names; `where` is the store's. `until_s` None: up to now.

    `tenants` None: all that the caller may see. `is_empty`: no request can be meant.
    """

    since_s: int
    until_s: int | None
    bucket: BucketWidth
    groups: tuple[str, ...]
    where: Mapping[Dimension, tuple[str, ...]]
    tenants: tuple[str, ...] | None
    limit: int
    page: str | None
    is_empty: bool = False


def wanted_of(kind: Kind, query: Sequence[tuple[str, str]]) -> Wanted:
    """Of the query's names and values in their order."""
    given = _Given(kind, query)
    widths = OF_COSTS if kind.is_costs else WIDTHS
    bucket = widths[given.choice("bucket_width", tuple(widths), "1d")]
    since_s, until_s = given.number("start_time", 0, MOST_SECONDS), given.number("end_time", 0, MOST_SECONDS)
    if since_s is None:
        raise Refused(400, "missing_required_parameter", "start_time is missing: Unix seconds", "start_time")
    if until_s is not None and until_s <= since_s:
        raise invalid("end_time", f"end_time: expected more than start_time, {since_s}")
    limit = given.number("limit", 1, bucket.most)
    where, is_empty = _where(kind, given)
    return Wanted(
        since_s,
        until_s,
        bucket,
        given.groups(),
        where,
        given.names(TENANT_FILTER),
        bucket.usual if limit is None else limit,
        given.scalar("page"),
        is_empty,
    )


def _where(kind: Kind, given: "_Given") -> tuple[dict[Dimension, tuple[str, ...]], bool]:
    where: dict[Dimension, tuple[str, ...]] = {}
    for name, dimension in kind.filters.items():
        if (values := given.names(name)) is not None:
            where[dimension] = values
    surfaces = kind.surfaces
    if (sources := given.names("sources", tuple(SOURCES))) is not None:
        surfaces = tuple(SOURCES[source] for source in sources)
    if surfaces is not None:
        where["surface"] = surfaces
    return where, given.choice("batch", ("true", "false"), "false") == "true"


class _Given:
    """The values of each parameter, by the name without brackets."""

    def __init__(self, kind: Kind, query: Sequence[tuple[str, str]]) -> None:
        self._kind = kind
        lists = ["group_by", TENANT_FILTER, *kind.filters]
        scalars = ["start_time", "end_time", "bucket_width", "limit", "page"]
        lists += ["sources"] if "source" in kind.groups else []
        scalars += ["batch"] if "batch" in kind.groups else []
        known = [*scalars, *lists]
        self._values: dict[str, list[str]] = {}
        for raw, value in query:
            name = raw.removesuffix("[]") if raw.removesuffix("[]") in lists else raw
            if name.removesuffix("[]") in kind.unrecorded_filters:
                raise _unrecorded(raw, name.removesuffix("[]"))
            if name not in known:
                message = f"unknown parameter {quoted(raw)}{nearest(name, known)}"
                raise Refused(400, "unknown_parameter", message, raw[:100])
            if name in scalars and name in self._values:
                raise invalid(name, f"{name}: expected once")
            self._values.setdefault(name, []).append(value)

    def scalar(self, name: str) -> str | None:
        """The one value; None where it is not given."""
        return self._values[name][0] if name in self._values else None

    def number(self, name: str, least: int, most: int) -> int | None:
        text = self.scalar(name)
        if text is None:
            return None
        if not re.fullmatch(r"[0-9]{1,15}", text, re.ASCII) or not least <= int(text) <= most:
            raise invalid(name, f"{name}: expected a whole number from {least} to {most}, found {quoted(text)}")
        return int(text)

    def choice(self, name: str, allowed: tuple[str, ...], usual: str) -> str:
        text = self.scalar(name)
        return usual if text is None else _one_of(name, text, allowed)

    def names(self, name: str, allowed: tuple[str, ...] | None = None) -> tuple[str, ...] | None:
        """The values of a list, each once; None where it is not given."""
        values = tuple(dict.fromkeys(self._values.get(name, ())))
        if not values:
            return None
        if len(values) > MOST_VALUES:
            raise invalid(name, f"{name}: expected at most {MOST_VALUES} values")
        for value in values:
            check_name(name, value)
        if allowed is not None:
            values = tuple(_one_of(name, value, allowed) for value in values)
        return values

    def groups(self) -> tuple[str, ...]:
        for value in self._values.get("group_by", ()):
            if value in self._kind.unrecorded_groups:
                raise _unrecorded("group_by", value)
        return self.names("group_by", (*self._kind.groups, TENANT_GROUP)) or ()


def check_name(param: str, value: str) -> None:
    """Raises Refused for what can be the name of nothing."""
    if not 1 <= len(value) <= LONGEST_NAME:
        raise invalid(param, f"{param}: expected a name of 1 to {LONGEST_NAME} characters, found {len(value)}")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise invalid(name, f"{name}: expected one of {', '.join(allowed)}, found {quoted(value)}")
    return value


def _unrecorded(param: str, what: str) -> Refused:
    return Refused(400, "not_recorded", f"{what}: this gateway does not record it", param)

"""What is given on the command line, in the form that the API takes: names and values, moments, secrets."""

import contextlib
import datetime as dt
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_MOMENT = "expected 2027-01-31, 2027-01-31T12:00:00Z, or how long"
_LONGEST_SECRET = 2**20


class Moment(click.ParamType[str]):
    """A date, an RFC 3339 time, or a time from now (`90d`, `12h`), ahead or ago; RFC 3339 in UTC."""

    name = "when"

    def __init__(self, *, ahead: bool) -> None:
        self._sign = 1 if ahead else -1

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Parses."""
        if found := re.fullmatch(r"([1-9]\d{0,8})([smhdw])", value):
            distance = int(found[1]) * _UNITS[found[2]]
            try:
                moment = dt.datetime.now(dt.UTC) + self._sign * dt.timedelta(seconds=distance)
            except OverflowError:
                self.fail(f"{value} is too far away", param, ctx)
        else:
            try:
                moment = dt.datetime.fromisoformat(value)
            except ValueError:
                self.fail(
                    f"{_MOMENT} {'from now' if self._sign > 0 else 'ago'} (90d, 12h), found {value!r}", param, ctx
                )
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=dt.UTC)
        return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Day(click.ParamType[str]):
    """A date, or days or weeks from now (`90d`, `4w`); a date, of UTC."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Parses."""
        if not re.fullmatch(r"[1-9]\d{0,8}[dw]|\d{4}-\d\d-\d\d", value, re.ASCII):
            self.fail(f"expected a day such as 2027-01-31, or days from now (90d), found {value!r}", param, ctx)
        return Moment(ahead=True).convert(value, param, ctx).partition("T")[0]


class Duration(click.ParamType[str]):
    """`90s`, `24h`, as it is."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Looks whether it is one."""
        if not re.fullmatch(r"\d{1,9}[smh]", value, re.ASCII):
            self.fail(f"expected a duration such as 90s, 30m or 24h, found {value!r}", param, ctx)
        return str(value)


class Pricing(click.ParamType[dict[str, Any]]):
    """`{discount: 10%, models: {big: {markup: 5%}}}`, as gateway.yaml has it."""

    name = "terms"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        """Reads it; what is in it is for the API to judge."""
        import yaml

        found = None
        with contextlib.suppress(yaml.YAMLError):
            found = yaml.load(value, Loader=yaml.BaseLoader)  # noqa: S506 - texts alone
        if not isinstance(found, dict):
            self.fail(f"expected terms as in gateway.yaml, such as '{{discount: 10%}}', found {value!r}", param, ctx)
        return found


def pairs_of(texts: Sequence[str], what: str = "NAME=VALUE") -> dict[str, str]:
    """`a=1` of each. Raises UsageError."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or name in found:
            raise click.UsageError(f"expected {what}{', each name once' if name in found else ''}, found {text!r}")
        found[name] = value
    return found


def limits_of(texts: Sequence[str]) -> dict[str, Any]:
    """`rpm=60`, `tpm='{limit: 40000, burst: 10000}'`: values as gateway.yaml has them. Raises UsageError."""
    import yaml

    found = {}
    for name, value in pairs_of(texts, "LIMIT=VALUE, such as rpm=60").items():
        try:
            found[name] = _with_exact_amounts(yaml.load(value, Loader=yaml.BaseLoader))  # noqa: S506 - texts alone
        except yaml.YAMLError:
            raise click.UsageError(f"{name}: expected a value as in gateway.yaml, found {value!r}") from None
    return found


def _with_exact_amounts(value: Any) -> Any:
    """Whole numbers as numbers; amounts of money stay text, as the API takes them."""
    match value:
        case dict():
            return {name: _with_exact_amounts(item) for name, item in value.items()}
        case list():
            return [_with_exact_amounts(item) for item in value]
        case str() if re.fullmatch(r"-?\d{1,18}", value):
            return int(value)
    return value


def secret(what: str) -> str:
    """From standard input, or asked for without an echo."""
    if sys.stdin.isatty():
        text: str = click.prompt(what, hide_input=True, confirmation_prompt=True, err=True)
    else:
        text = sys.stdin.read(_LONGEST_SECRET + 1)
        text = text.removesuffix("\n").removesuffix("\r")
    if not text or len(text) > _LONGEST_SECRET:
        raise click.UsageError(f"{what}: expected it on standard input, found {'too much' if text else 'nothing'}")
    return text


class _Cleared:
    """Of `--no-…` options: the member is to be nothing."""


CLEARED = _Cleared()


def given(**values: Any) -> dict[str, Any]:
    """The members whose option was given."""
    return {name: None if value is CLEARED else value for name, value in values.items() if value is not None}


def changes(**values: Any) -> dict[str, Any]:
    """The same of an update, which has to say something. Raises UsageError."""
    found = given(**values)
    if not found:
        raise click.UsageError("nothing to change: give an option that says what")
    return found


def listed(values: Sequence[str], cleared: bool = False) -> Any:
    """Of an option that may be given several times: None when it was not."""
    return CLEARED if cleared else list(values) or None


def metadata(values: Sequence[str]) -> Mapping[str, str] | None:
    """The same of `--metadata NAME=VALUE`."""
    return pairs_of(values) if values else None

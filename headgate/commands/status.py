"""`headgate status`."""

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

import click

from headgate import contract
from headgate.commands.options import state_option

_COLUMNS = ("part", "ready", "pid", "restarts", "uptime", "detail")
_NUMBERS = ("pid", "restarts", "uptime")


@click.command("status")
@state_option
@click.option("--admin", envvar="HEADGATE_ADMIN", help="Ask this listen.admin address, of a gateway elsewhere.")
@click.option("--json", "as_json", is_flag=True, help="The answer of /readyz as it is.")
def command(state: Path, admin: str | None, as_json: bool) -> None:
    """Show what runs, part by part; exit 1 while something is not ready."""
    admin = admin or _recorded(state)
    try:
        report = _readyz(f"http://{admin}/readyz")
    except OSError as error:
        reason = getattr(error, "reason", error)
        click.echo(f"no gateway answers at {admin}: {getattr(reason, 'strerror', None) or reason}", err=True)
        sys.exit(1)
    if as_json:
        click.echo(json.dumps(report))
    else:
        _print_table(report)
    sys.exit(0 if report["ready"] else 1)


def _recorded(state: Path) -> str:
    """The admin address of the gateway that runs on this state folder."""
    try:
        return (state / contract.ADMIN_ADDRESS).read_text().strip()
    except OSError:
        click.echo(f"no gateway runs on {state}: give its --state, or --admin", err=True)
        sys.exit(1)


def _readyz(url: str) -> dict[str, object]:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - http:// by construction
            answer: dict[str, object] = json.load(response)
    except urllib.error.HTTPError as error:
        answer = json.load(error)  # 503: not ready, and the body says why
    return answer


def _print_table(report: dict[str, object]) -> None:
    from headgate.commands.table import print_table

    click.echo(f"{_configuration(report)}, {'ready' if report['ready'] else 'not ready'}")
    parts = report["parts"]
    rows = [_row(name, part) for name, part in parts.items()] if isinstance(parts, dict) else []
    print_table(rows, _COLUMNS, _NUMBERS)
    config = report.get("config")
    if isinstance(config, dict) and config.get("error"):
        click.echo(f"last edit not loaded:\n{config['error']}")


def _row(name: str, part: dict[str, object]) -> tuple[str, ...]:
    uptime = part.get("uptime_s")
    return (
        name,
        "yes" if part["ready"] else "no",
        str(part.get("pid") or ""),
        str(part.get("restarts", "")),
        f"{uptime:.0f} s" if isinstance(uptime, int | float) else "",
        str(part.get("detail") or ""),
    )


def _configuration(report: dict[str, object]) -> str:
    config = report.get("config")
    loaded = f" (loaded {config['loaded']}, {config['age_s']:.0f} s ago)" if isinstance(config, dict) else ""
    return f"generation {report['generation']}{loaded}"

"""`headgate audit`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from headgate.admin_client.failures import NoAnswer, Refused
from headgate.admin_client.paths import path_of
from headgate.admin_client.words import plain
from headgate.commands.admin.audit_files import Head, HeadType, verdict_of, write_lines
from headgate.commands.admin.given import Moment
from headgate.commands.admin.listing import list_options, show_list
from headgate.commands.admin.progress import spinner
from headgate.commands.admin.session import Wish, api_options, fail, note, over_the_api
from headgate.commands.admin.shown import Shown

if TYPE_CHECKING:
    from headgate.admin_client.client import AdminClient

_FILTERS = (
    click.option("--tenant", help="Only what was done to this tenant."),
    click.option("--actor", help="Only what this key, user or client did, by its id."),
    click.option("--action", help="Only this action, such as key.create."),
    click.option("--object", "object_", metavar="ID", help="Only what was done to this."),
    click.option("--since", type=Moment(ahead=False), help="From then on: 2027-01-31, or 7d for 7 days ago."),
    click.option("--until", type=Moment(ahead=False), help="Before then."),
)


@click.group("audit")
def command() -> None:
    """Read, verify and export the record of what was administered."""


def _filtered(run: Any) -> Any:
    for option in reversed(_FILTERS):
        run = option(run)
    return run


@command.command("list")
@_filtered
@list_options
@over_the_api
def list_(client: "AdminClient", shown: Shown, tenant: str | None, object_: str | None, **asked: Any) -> None:
    """List entries, the newest first. A tenant's own people see what was done to it."""
    columns = ("seq", "at", "actor_kind", "actor_id", "action", "tenant_id", "object_id", "source", "request_id")
    me = client.get("me").body
    tenant = tenant or me.get("tenant")
    if me.get("role") == "admin" and me.get("tenant") is None:
        show_list(client, shown, "audit", columns, tenant=tenant, object=object_, **asked)
    elif tenant is None:
        raise click.UsageError("give --tenant")
    else:
        show_list(client, shown, path_of("tenants", tenant, "audit"), columns, object=object_, **asked)


@command.command("export")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file.  [default: stdout]"
)
@over_the_api
def export(client: "AdminClient", shown: Shown, output: Path | None) -> None:
    """Export all entries, the oldest first: a line of JSON for each, which `headgate audit verify --file` takes."""
    lines = client.lines("audit/export")
    if output is None:
        for line in lines:
            click.echo(line)
        return
    newest = client.listed("audit", 1).data
    try:
        written = write_lines(lines, output, newest[0]["seq"] if newest else None)
    except OSError as error:
        fail(f"{output}: {error.strerror}")
    shown.said(f"{written} entries in {output}", {"entries": written, "file": str(output)})


@command.command("verify")
@click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Look at this export, offline, instead of asking the gateway.",
)
@click.option(
    "--head",
    type=HeadType(),
    metavar="SEQ:HASH",
    help="What an earlier look said: finds what was cut off or rewritten.",
)
@api_options
def verify(wish: Wish, shown: Shown, file: Path | None, head: Head | None) -> None:
    """Look at every entry: is each as it was written, and none missing? Exit 1 names the first one that is not.

    Prints the log's head, to be noted elsewhere and given as --head the next time.
    """
    if file is None:
        with wish.connected() as client, spinner("the gateway looks at every entry"):
            said = _asked(client, head)
    else:
        try:
            said = verdict_of(file, head)
        except ValueError as error:
            fail(f"{file}: {error}")
        except OSError as error:
            fail(f"{file}: {error.strerror}")
    if shown.as_json:
        click.echo(json.dumps(said))
    bad = said["bad"]
    if bad:
        fail(f"entry {bad['seq']} {plain(bad['problem'])}; the {said['entries']} before it are as they were written")
    note(f"all {said['entries']} entries are as they were written; the head, to be noted elsewhere:")
    if not shown.as_json:
        click.echo(f"{said['head']['seq']}:{said['head']['hash']}")


def _asked(client: "AdminClient", head: Head | None) -> dict[str, Any]:
    try:
        return client.get("audit/verify", head=str(head) if head else None).body
    except Refused as refused:
        if refused.status != 504:
            raise
        advice = "`headgate audit export -o FILE`, then `headgate audit verify --file FILE`"
        raise NoAnswer(f"{refused}; a log as long as this is verified by {advice}") from None

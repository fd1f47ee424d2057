"""docs/control.md and docs/admin-api.md say what control/roles.py and the API's answers are."""

import re
from pathlib import Path

from control import problems
from control.roles import ACTIONS
from headgate.roles import ROLES

ROOT = Path(__file__).parents[2]


def table() -> list[str]:
    """What docs/control.md has to have."""
    lines = ["| action | | " + " | ".join(ROLES) + " |", "|---" * (2 + len(ROLES)) + "|"]
    for name, action in ACTIONS.items():
        cells = [f"`{name}`", action.text, *(action.reach.get(role, "") for role in ROLES)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


# Who answers in place of the app.
BEFORE_THE_APP = ("authz/refusal.py", "authz/token_refusals.py", "control/gate.py", "headgate/edge/replies.py")


def test_the_page_has_the_table_of_roles() -> None:
    assert "\n".join(table()) in (ROOT / "docs/control.md").read_text(), "\n".join(table())


def test_the_page_has_every_code_and_no_other() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "control").rglob("*.py") if "store" not in path.parts)
    made = set(re.findall(r"(?:Problem\(\s*\d{3},\s*|conflict\()\"(\w+)\"", source))
    made |= {code for _, code in problems._OF_STORE.values()}
    page = (ROOT / "docs/admin-api.md").read_text()
    rows = [line for line in page.splitlines() if re.match(r"\| \d{3}", line)]
    told = set(re.findall(r"`([a-z]+(?:_[a-z]+)+|exists|stale|unauthenticated)`", "\n".join(rows)))
    others = "\n".join((ROOT / path).read_text() for path in BEFORE_THE_APP)
    before = {code for code in told if f'"{code}"' in others}
    assert {"bad_request", "control_unavailable", "invalid_api_key", "invalid_token", "store_lost"} <= before
    assert told - before == made - before

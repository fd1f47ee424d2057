"""`headgate credits` against the API itself, over usage of the test's."""

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from admin_api import Served, served

from tests.control.rows import write_tenant
from tests.control.usage_of_rows import asked_of, row

NOW = dt.datetime.now(dt.UTC)


@pytest.fixture
def admin(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, ask_usage=asked_of([row("acme", NOW.isoformat(), price_nano=1_500_000_000)])) as running:
        for name in ("acme", "other"):
            write_tenant(running.store, name)
        yield running


def test_credits_are_booked_listed_and_shown(admin: Served) -> None:
    booked = admin.run("credits", "book", "acme", "--kind", "prepaid", "--amount", "100", "--note", "order 7")
    assert booked.exit_code == 0, booked.output
    assert "100.00" in booked.stdout
    granted = admin.run("credits", "book", "acme", "--kind", "granted", "--amount", "5", "--expires", "30d", "--json")
    ends = json.loads(granted.stdout)["expires_on"]
    assert ends in {(NOW + dt.timedelta(days=days)).date().isoformat() for days in (30, 31)}  # midnight may pass
    taken = ("credits", "book", "acme", "--kind", "adjustment", "--amount", "-0.25", "--note", "a mistake")
    assert admin.run(*taken).exit_code == 0
    listed = admin.run("credits", "list", "--tenant", "acme").stdout.splitlines()
    assert [line.split()[3] for line in listed[1:]] == ["-0.25", "5.00", "100.00"]
    account = json.loads(admin.run("credits", "show", "acme", "--json").stdout)
    assert (account["booked"], account["used"], account["left"]) == ("104.75", "1.50", "103.25")
    shown = admin.run("credits", "show", "acme").stdout
    assert "103.25" in shown
    assert ends in shown
    assert json.loads(admin.run("credits", "list", "--tenant", "other", "--json").stdout)["data"] == []


def test_an_owner_sees_its_own_tenants(admin: Served) -> None:
    for tenant, amount in (("acme", "1"), ("other", "2")):
        admin.run("credits", "book", tenant, "--kind", "prepaid", "--amount", amount)
    owner = admin.member("owner", "other")
    listed = json.loads(admin.run("credits", "list", "--json", key=owner).stdout)
    assert [one["amount"] for one in listed["data"]] == ["2.00"]
    assert json.loads(admin.run("credits", "show", "other", "--json", key=owner).stdout)["left"] == "2.00"
    for refused in (("show", "acme"), ("book", "other", "--kind", "granted", "--amount", "9")):
        result = admin.run("credits", *refused, key=owner)
        assert (result.exit_code, result.stdout) == (1, "")


def test_what_is_wrong_is_said(admin: Served) -> None:
    late = admin.run("credits", "book", "acme", "--kind", "granted", "--amount", "5", "--expires", "2020-01-01")
    assert late.exit_code == 1
    assert "expires_on" in late.stderr
    for wrong in (("--amount", "5"), ("--kind", "granted"), ("--kind", "gift", "--amount", "5")):
        assert admin.run("credits", "book", "acme", *wrong).exit_code == 2
    assert admin.run("credits", "show", "nobody").exit_code == 1

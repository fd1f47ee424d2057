"""`headgate invoices` against the API itself, over usage of the test's."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from admin_api import Served, served

from headgate.usage_questions import Mark
from tests.control.rows import write_tenant
from tests.control.usage_of_rows import asked_of, marks_of, row

ROWS = [row("acme", price_nano=1_250_000_000), row("other", price_nano=10_000_000), row("free")]
MONTH = ("--month", "2026-10")


@pytest.fixture
def admin(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, ask_usage=asked_of(ROWS)) as running:
        for name in ("acme", "other"):
            write_tenant(running.store, name)
        yield running


def test_a_month_is_billed_listed_and_shown(admin: Served, tmp_path: Path) -> None:
    made = admin.run("invoices", "create", *MONTH)
    assert made.exit_code == 0, made.output
    lines = [line.split() for line in made.stdout.splitlines()[1:]]
    assert lines == [
        ["acme", "issued", "INV-000001", "1.25"],
        ["free", "nothing_to_charge"],
        ["other", "issued", "INV-000002", "0.01"],
    ]
    again = json.loads(admin.run("invoices", "create", *MONTH, "--tenant", "acme", "--json").stdout)
    assert [one["status"] for one in again["data"]] == ["already_issued"]
    listed = admin.run("invoices", "list", *MONTH).stdout
    assert [line.split()[0] for line in listed.splitlines()[1:]] == ["INV-000002", "INV-000001"]
    shown = admin.run("invoices", "show", "INV-000001")
    assert "1.25" in shown.stdout
    assert json.loads(admin.run("invoices", "show", "INV-000001", "--json").stdout)["subtotal"] == "1.25"
    page = tmp_path / "page.html"
    assert admin.run("invoices", "show", "INV-000001", "--html", str(page)).exit_code == 0
    assert page.read_text().startswith("<!doctype html>")


def test_a_credit_note_is_asked_for_twice(admin: Served) -> None:
    admin.run("invoices", "create", *MONTH)
    command = ("invoices", "credit", "INV-000001", "--reason", "a mistake")
    assert admin.run(*command).exit_code == 2
    done = admin.run(*command, "--yes", "--json")
    assert json.loads(done.stdout)["total"] == "-1.25"


def test_an_analyst_sees_its_own_tenants(admin: Served) -> None:
    admin.run("invoices", "create", *MONTH)
    analyst = admin.member("analyst", "other")
    listed = json.loads(admin.run("invoices", "list", "--json", key=analyst).stdout)
    assert [one["number"] for one in listed["data"]] == ["INV-000002"]
    assert json.loads(admin.run("invoices", "show", "INV-000002", "--json", key=analyst).stdout)["total"] == "0.01"
    assert admin.run("invoices", "show", "INV-000001", key=analyst).exit_code == 1
    refused = admin.run("invoices", "create", *MONTH, key=analyst)
    assert (refused.exit_code, refused.stdout) == (1, "")


def test_usage_of_an_unknown_gateway_is_accepted(tmp_path: Path) -> None:
    stored = [Mark(gateway="other", run=1, month=202610, batch=2)]
    with served(tmp_path, ask_usage=asked_of(ROWS), ask_marks=marks_of(stored)) as admin:
        refused = admin.run("invoices", "create", *MONTH)
        assert refused.exit_code == 1
        assert "no host of this database: other" in refused.stderr
        listed = admin.run("invoices", "gateways").stdout
        assert listed.splitlines()[1].split() == ["other", "unknown", "2026-10"]
        accept = ("invoices", "accept", "other", "--reason", "ours")
        assert admin.run(*accept).exit_code == 2
        assert json.loads(admin.run(*accept, "--yes", "--json").stdout)["state"] == "known"
        assert admin.run("invoices", "create", *MONTH).exit_code == 0


def test_a_loss_is_only_accepted_where_there_is_one(admin: Served) -> None:
    result = admin.run("invoices", "lost", "--reason", "none", "--yes")
    assert result.exit_code == 1
    assert "has the last invoice" in result.stderr


def test_what_could_not_be_billed_is_said(admin: Served) -> None:
    result = admin.run("invoices", "create", *MONTH, "--tenant", "acmee")
    assert result.exit_code == 1
    assert result.stderr.endswith("not billed: acmee\n")
    early = admin.run("invoices", "create", "--month", "2126-10")
    assert early.exit_code == 1

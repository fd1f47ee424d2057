"""`headgate usage` against a store: a table, CSV, JSON, FOCUS, and what is said when there is no answer."""

import asyncio
import csv
import datetime as dt
import io
import json
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from headgate.commands.usage_focus import COLUMNS
from headgate.contract import USAGE_SOCKET
from headgate.usage_client import UsageClient, UsageRefused
from headgate.usage_questions import Export, ExportedRow, Sums
from tests.ledger.ledger_process import HEADGATE
from tests.ledger.stored_rows import DAY_S, MONTH_S, put, row
from tests.ledger.usage_part import usage_part

HOUR_MS = 3_600_000
STORED_UNTIL_MS = (MONTH_S + 5 * DAY_S) * 1000
LEAST_COST = Decimal("0.000000000000000001")
CHAT: dict[str, Any] = {"model": "gpt", "provider": "openai", "surface": "chat", "key_id": "key_1", "project": "web"}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What acme and beta have used on the first days of this month."""
    state = tmp_path_factory.mktemp("state")
    day_ms = 24 * HOUR_MS
    with usage_part(state, STORED_UNTIL_MS) as store:
        put(
            store,
            [
                row(
                    "r1",
                    **CHAT,
                    prompt_tokens=1_000,
                    completion_tokens=20,
                    price_nano=1,
                    cost=Decimal("0.000000000000000001"),
                ),
                row(
                    "r2", **CHAT, began_ms=MONTH_S * 1000 + day_ms, prompt_tokens=5, price_nano=9_007_199_254_740_993
                ),
                row("r3", model="=SUM(A1)", user="+49 30", began_ms=MONTH_S * 1000 + HOUR_MS, estimated=True),
                row("r4", model="painter", unit="image", units=3, price_nano=120_000_000),
                row("r5", tenant="beta", model="gpt", prompt_tokens=7, user="\x1b[31mred"),
                row("r6", tenant="beta", requests=0, status=429),
            ],
        )
        yield state


def run(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    since, until = (f"{day}" for day in _days())
    period = [] if {"--month", "--since"} & set(arguments) else ["--since", since, "--until", until]
    command = [HEADGATE, "usage", "--state", str(state), *period, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def _days() -> Iterator[str]:
    for at in (MONTH_S, MONTH_S + 3 * DAY_S):
        yield dt.datetime.fromtimestamp(at, dt.UTC).date().isoformat()


def printed(state: Path, *arguments: str) -> str:
    result = run(state, *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_table_for_people(state: Path) -> None:
    lines = printed(state, "--tenant", "acme", "--by", "model,day").splitlines()
    assert lines[0].split()[:3] == ["from", "model", "requests"]
    assert len(lines) == 6
    assert lines[-1].split()[:2] == ["all", "4"]
    assert "9007199.374740994" in lines[-1]
    assert "beta" not in printed(state, "--tenant", "acme", "--by", "tenant,model,key,user,project,unit,surface")
    since, until = (f"{day}T00:00:00Z" for day in _days())
    assert printed(state, "--tenant", "nobody") == f'no usage of "nobody" from {since} to {until}\n'
    assert "\x1b" not in printed(state, "--by", "user")


def test_csv_has_every_digit_and_no_formula(state: Path) -> None:
    found = rows_of(printed(state, "--tenant", "acme", "--by", "model,user,unit", "--csv"))
    assert [one["model"] for one in found] == ["'=SUM(A1)", "gpt", "painter"]
    assert found[0]["user"] == "'+49 30"
    assert (found[0]["estimated_requests"], found[0]["cost_usd"]) == ("1", "")
    assert (found[1]["prompt_tokens"], found[1]["price_usd"]) == ("1005", "9007199.254740994")
    assert found[1]["cost_usd"] == "0.000000000000000001"
    assert (found[2]["units"], found[2]["price_usd"]) == ("3", "0.12")


def test_json_is_one_document(state: Path) -> None:
    answer = json.loads(printed(state, "--by", "tenant,model", "--json"))
    assert answer["tenant"] is None
    assert answer["stored_until"] is not None
    assert [(one["tenant"], one["model"]) for one in answer["rows"]] == [
        ("acme", "=SUM(A1)"),
        ("acme", "gpt"),
        ("acme", "painter"),
        ("beta", "gpt"),
    ]
    assert answer["rows"][1]["price_usd"] == "9007199.254740994"
    assert answer["rows"][0]["cost_usd"] is None
    assert json.loads(printed(state, "--tenant", "nobody", "--json"))["rows"] == []


def test_requests_are_lines(state: Path) -> None:
    lines = [json.loads(line) for line in printed(state, "--tenant", "acme", "--requests", "--json").splitlines()]
    assert [line["request_id"] for line in lines] == ["r1", "r4", "r3", "r2"]
    assert lines[0]["cost"] == "0.000000000000000001"
    assert {line["tenant"] for line in lines} == {"acme"}
    assert [one["request_id"] for one in rows_of(printed(state, "--requests", "--csv"))][-2:] == ["r5", "r6"]


def test_focus_has_a_row_for_each_day_and_price(state: Path) -> None:
    found = rows_of(printed(state, "--tenant", "acme", "--focus", "--issuer", "Example Ltd"))
    assert tuple(found[0]) == COLUMNS
    assert sum(Decimal(one["BilledCost"]) for one in found) == Decimal("9007199.374740994")
    by_model = {(one["SkuId"], one["ChargePeriodStart"][8:10]): one for one in found}
    chat = by_model["gpt", "01"]
    assert (chat["ConsumedQuantity"], chat["ConsumedUnit"]) == ("1020.0", "Tokens")
    assert (chat["BillingAccountId"], chat["SubAccountId"], chat["ResourceId"]) == ("acme", "web", "key_1")
    assert (chat["PublisherName"], chat["ProviderName"]) == ("openai", "Example Ltd")
    assert chat["x_ProviderCost"] == "0.000000000000000001"
    assert by_model["gpt", "02"]["EffectiveCost"] == "9007199.254740993"
    assert (by_model["painter", "01"]["ConsumedQuantity"], by_model["painter", "01"]["ConsumedUnit"]) == (
        "3.0",
        "Images",
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--by", "modle"), '--by: unknown "modle" (did you mean "model"?): may be tenant, model'),
        (("--by", "day,hour"), "--by: one of minute, hour, day, month, found day and hour"),
        (("--by", "key,key"), "--by: names something twice"),
        (("--month", "2026-13"), "--month: expected one such as 2026-11"),
        (("--since", "1900-01-01"), "--since: expected a time from 1970 to 2100-01-01T00:00:00Z"),
        (("--since", "1970-01-01", "--until", "2101-01-01"), "--until: expected a time from 1970"),
        (("--month", "2026-11", "--since", "2026-11-01"), "either --month, or --since and --until"),
        (("--since", "2026-11-02", "--until", "2026-11-01"), "--since: needs to be before --until"),
        (("--focus", "--by", "model"), "--requests and --focus have rows of their own"),
        (("--requests",), "--requests: give --csv or --json"),
        (("--requests", "--focus"), "--requests: give --csv or --json"),
    ],
)
def test_a_wrong_command_line_says_what_is_allowed(state: Path, arguments: tuple[str, ...], says: str) -> None:
    result = run(state, *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert says in " ".join(result.stderr.split())


def test_without_a_gateway_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for folder in (tmp_path, tmp_path / "nowhere"):
        result = run(folder, "--month", "2026-11", "--json")
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr == f"no gateway runs on {folder}: give its --state\n"


def test_the_client_pages_and_exports(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(state)
    client = UsageClient(USAGE_SOCKET)
    asked = Sums(tenant=None, since_s=MONTH_S, until_s=MONTH_S + DAY_S * 3, by=("tenant", "model"), limit=1)

    async def pages() -> list[str]:
        return [one.group["model"] async for answer in client.every_sum(asked) for one in answer.rows]

    async def exported() -> list[str]:
        question = Export(tenant="beta", since_s=MONTH_S, until_s=MONTH_S + 1)
        return [one.request_id async for one in client.export(question) if isinstance(one, ExportedRow)]

    assert asyncio.run(pages()) == ["=SUM(A1)", "gpt", "painter", "gpt"]
    assert asyncio.run(exported()) == ["r5", "r6"]
    with pytest.raises(UsageRefused, match="limit") as refused:
        asyncio.run(client.ask(Sums(tenant=None, since_s=0, until_s=1, limit=0)))
    assert refused.value.kind == "invalid"

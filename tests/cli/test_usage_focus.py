"""What `headgate usage --focus` writes, by focus-validator's rules and by those of FOCUS 1.2 that it does not have.

focus-validator 1.0, the last for Python 3.11, has rules up to FOCUS 1.0, and calls five columns by other names than
FOCUS does. Its engine runs its own rules of 1.0 under FOCUS' names, and ours of the columns that 1.1 and 1.2 added.
It reads a file of currencies that is not part of it from the working directory.
"""

import csv
import datetime as dt
import io
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from headgate.commands import usage_focus, usage_written
from headgate.usage_questions import SumRow, Sums

MONTH_S = int(dt.datetime(2026, 11, 1, tzinfo=dt.UTC).timestamp())
DAY_S = 86_400
QUESTION = Sums(tenant=None, since_s=MONTH_S, until_s=MONTH_S + 40 * DAY_S, by=usage_focus.BY, width="day")

RENAMED = {
    "InvoiceIssuer": "InvoiceIssuerName",
    "Provider": "ProviderName",
    "Publisher": "PublisherName",
    "ResourceID": "ResourceId",
}
# Columns that are there since FOCUS 1.1 and 1.2: their type, and whether they may be null.
# https://focus.finops.org/focus-specification/v1-2/
ADDED = {
    "BillingAccountType": ("string", True),
    "CapacityReservationId": ("string", True),
    "CapacityReservationStatus": ("string", True),
    "CommitmentDiscountQuantity": ("decimal", True),
    "CommitmentDiscountUnit": ("string", True),
    "InvoiceId": ("string", True),
    "PricingCurrency": ("string", False),
    "PricingCurrencyContractedUnitPrice": ("decimal", True),
    "PricingCurrencyEffectiveCost": ("decimal", False),
    "PricingCurrencyListUnitPrice": ("decimal", True),
    "ServiceSubcategory": ("string", False),
    "SkuMeter": ("string", True),
    "SkuPriceDetails": ("stringified-json-object", True),
    "SubAccountType": ("string", True),
}


def summed(**known: Any) -> SumRow:
    group = {"tenant": "acme", "project": "", "key_id": "", "provider": "", "model": "", "surface": "", "unit": ""}
    counts = dict.fromkeys(("cached_tokens", "cache_write_tokens", "reasoning_tokens", "estimated_requests"), 0)
    amounts = {"requests": 1, "prompt_tokens": 10, "completion_tokens": 2, "units": 0, "price_nano": 0, "cost": None}
    more = {name: known.pop(name) for name in [*known] if name in amounts or name == "start_s"}
    return SumRow(**{"start_s": MONTH_S, "group": group | known} | counts | amounts | more)


ROWS = [
    summed(),
    summed(model="gpt", provider="openai", surface="chat", project="web", key_id="key_1", price_nano=12_345),
    summed(model="gpt", start_s=MONTH_S + 30 * DAY_S, price_nano=10**18, cost=Decimal("0.1")),
    summed(model="painter", unit="image", units=4, price_nano=2 * 10**9),
    summed(model="finder", unit="search", units=1, tenant=""),
    summed(model='a "quoted", name', start_s=MONTH_S + 2 * DAY_S, completion_tokens=0),
]


def written(rows: list[SumRow]) -> str:
    text = io.StringIO()
    out = usage_written.CsvOut(text, usage_focus.COLUMNS)
    for row in rows:
        out.write(usage_focus.focus_values(QUESTION, row, "Example Ltd"))
    return text.getvalue()


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rule set "1.2": a file for each rule."""
    from focus_validator.validator import DEFAULT_VERSION_SETS_PATH

    sets = tmp_path_factory.mktemp("rules")
    shutil.copytree(Path(DEFAULT_VERSION_SETS_PATH) / "1.0", sets / "1.2", symlinks=False)
    for path in (sets / "1.2").iterdir():
        rule = yaml.safe_load(path.read_text().replace("ChargeType", "ChargeCategory"))
        rule["column_id"] = RENAMED.get(rule["column_id"], rule["column_id"])
        path.write_text(yaml.safe_dump(rule))
    for column, (kind, may_be_null) in ADDED.items():
        checks = {"Required": "column_required", "Type": {"data_type": kind}, "Null": {"allow_nulls": may_be_null}}
        for name, check in checks.items():
            (sets / "1.2" / f"{column}_{name}.yaml").write_text(yaml.safe_dump({"column_id": column, "check": check}))
    return sets


@pytest.fixture
def in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where focus-validator looks for its currencies."""
    codes = tmp_path / "focus_validator" / "utils" / "currency_codes.csv"
    codes.parent.mkdir(parents=True)
    codes.write_text(",currency_codes\n0,USD\n1,EUR\n")
    monkeypatch.chdir(tmp_path)


def failures(text: str, rules: Path) -> set[str]:
    """Names of rules that are broken; columns are read by their type, as pandas cannot tell it where all is null."""
    import pandas as pd
    from focus_validator.rules.spec_rules import SpecRules

    validator = SpecRules(
        override_filename=None, rule_set_path=str(rules), rules_version="1.2", column_namespace=None
    )
    validator.load()
    decimals = {
        rule.column_id
        for rule in validator.rules
        if getattr(getattr(rule.check, "data_type", 0), "value", 0) == "decimal"
    }
    head = next(csv.reader(io.StringIO(text)))
    frame = pd.read_csv(io.StringIO(text), dtype={name: float if name in decimals else str for name in head})
    result = validator.validate(frame)
    broken = {name for name, check in result.checklist.items() if check.status.value not in ("passed", "skipped")}
    assert len(result.checklist) > 150
    return broken


def _type_of(rule: Any) -> Any:
    return getattr(getattr(rule.check, "data_type", None), "value", None)


@pytest.mark.usefixtures("in_place")
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning")
def test_focus_validator_accepts_it(rules: Path) -> None:
    assert failures(written(ROWS), rules) == set()


@pytest.mark.usefixtures("in_place")
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("right", "wrong", "rule"),
    [
        ("Usage-Based", "Sometimes", "ChargeFrequency_Enum"),
        ("AI and Machine Learning", "Talking", "ServiceCategory_Enum"),
        (",USD,", ",US$,", "BillingCurrency_IsCurrencyCode"),
        ("SubAccountType", "SubAccountKind", "SubAccountType_Required"),
        ("Generative AI", "", "ServiceSubcategory_Null"),
    ],
)
def test_focus_validator_can_refuse(rules: Path, right: str, wrong: str, rule: str) -> None:
    assert rule in failures(written(ROWS).replace(right, wrong), rules)


def test_every_column_of_focus_1_2_is_there_in_order() -> None:
    own = [name for name in usage_focus.COLUMNS if name.startswith("x_")]
    columns = usage_focus.COLUMNS[: -len(own)]
    assert (len(columns), list(columns)) == (57, sorted(columns))
    assert own == ["x_ProviderCost", "x_Requests", "x_EstimatedRequests"]


def test_periods_are_days_of_their_month() -> None:
    late = usage_focus.focus_values(QUESTION, ROWS[2], "Example Ltd")
    assert (late["BillingPeriodStart"], late["BillingPeriodEnd"]) == ("2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z")
    assert (late["ChargePeriodStart"], late["ChargePeriodEnd"]) == ("2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z")
    cut = Sums(tenant=None, since_s=MONTH_S + 60, until_s=MONTH_S + 120, by=usage_focus.BY, width="day")
    first = usage_focus.focus_values(cut, ROWS[1], "Example Ltd")
    assert (first["ChargePeriodStart"], first["ChargePeriodEnd"]) == ("2026-11-01T00:01:00Z", "2026-11-01T00:02:00Z")
    assert first["BilledCost"] == "0.000012345"

"""Metrics, their documentation, alerts and dashboard say the same; every refusal has its count."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from authz import refusal
from headgate.refusals import AUTHZ_REASONS, EXTPROC_REASONS
from headgate.supervise.families import definitions
from tests.observe.promtool import promtool

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "metrics.md").read_text()
PROMETHEUS = ROOT / "deploy" / "prometheus"
ALERTS = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())
ALERT_TESTS = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "headgate.json").read_text())
DEFINED = {one.name: one for one in definitions()}
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
NAME = re.compile(r"\bheadgate_[a-z0-9_]+")


def documented() -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    for name, kind, labels, text in re.findall(
        r"^\| `(headgate_\w+)` \| (\w+) \| (.+?) \| (.+) \|$", PAGE, re.MULTILINE
    ):
        yield name, kind, tuple(re.findall(r"`([^`]+)`", labels)), text


def scraped_names() -> set[str]:
    """Every name that a sample can have."""
    histograms = {one.name for one in DEFINED.values() if one.kind == "histogram"}
    parts = {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}
    return DEFINED.keys() - histograms | parts


def queries() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))
    for variable in DASHBOARD["templating"]["list"]:
        yield str(variable["query"])


def test_every_metric_is_documented_and_no_other() -> None:
    rows = list(documented())
    assert {name for name, *_ in rows} == set(DEFINED)
    assert len(rows) == len(DEFINED)
    for name, kind, labels, text in rows:
        assert (kind, labels) == (DEFINED[name].kind, DEFINED[name].labels), name
        assert text


def test_names_follow_prometheus() -> None:
    for one in DEFINED.values():
        assert (one.kind == "counter") == one.name.endswith("_total"), one.name
        assert one.help.endswith("."), one.name
    assert len({name.removesuffix("_total") for name in DEFINED}) == len(DEFINED)


def test_no_label_can_carry_a_key_or_an_id() -> None:
    labels = {label for one in DEFINED.values() for label in one.labels}
    assert not labels & {"key", "key_id", "user", "request_id", "trace_id", "path", "address"}


def test_prometheus_accepts_the_files() -> None:
    promtool("check", "rules", "alerts.yml", folder=PROMETHEUS)
    promtool("check", "config", "prometheus.yml", folder=PROMETHEUS)


def test_every_alert_fires_and_stays_calm_as_its_tests_say() -> None:
    promtool("test", "rules", "alerts_test.yml", folder=PROMETHEUS)
    expected: dict[str, set[bool]] = {}
    for case in ALERT_TESTS["tests"]:
        for one in case["alert_rule_test"]:
            expected.setdefault(one["alertname"], set()).add(bool(one.get("exp_alerts")))
    assert expected == {rule["alert"]: {True, False} for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_alerts_ask_for_metrics_that_exist(rule: dict[str, Any]) -> None:
    used = set(NAME.findall(rule["expr"]))
    assert used or rule["expr"] == 'up{job="headgate"} == 0'
    assert used <= scraped_names()
    assert rule["labels"]["severity"] in ("page", "ticket")
    mentioned = {name for text in rule["annotations"].values() for name in NAME.findall(text)}
    assert mentioned <= scraped_names()


def test_the_dashboard_asks_for_metrics_that_exist() -> None:
    used = {name for query in queries() for name in NAME.findall(query)}
    assert used <= scraped_names()
    assert len(used) > 50


def test_the_dashboard_can_be_imported() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert DASHBOARD["templating"]["list"][0]["type"] == "datasource"
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert panel["targets"]
    cells = [(x, y) for panel in panels for x, y in _cells(panel["gridPos"])]
    assert len(set(cells)) == len(cells), "panels overlap"
    rows = {panel["title"] for panel in panels if panel["type"] == "row"}
    assert len(rows) >= 8


def _cells(place: dict[str, int]) -> Iterator[tuple[int, int]]:
    for x in range(place["x"], place["x"] + place["w"]):
        for y in range(place["y"], place["y"] + place["h"]):
            yield x, y


def _words(package: str, keyword: str) -> set[str]:
    """The texts that calls in a package give for this keyword."""
    return {
        node.value.value
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.keyword) and node.arg == keyword
        and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }  # fmt: skip


def test_every_refusal_of_extproc_is_counted_by_its_code() -> None:
    assert _words("extproc", "code") - {"gateway_error"} == set(EXTPROC_REASONS)


def test_every_refusal_of_authz_is_counted_by_its_reason() -> None:
    given = {one.reason for one in vars(refusal).values() if isinstance(one, refusal.Refusal)}
    text = "".join(path.read_text() for path in (ROOT / "authz").glob("*.py"))
    assert given <= set(AUTHZ_REASONS)
    assert all(f'"{reason}"' in text for reason in AUTHZ_REASONS)

"""The examples of docs/limits.md: every limit that the page shows, as it stands there."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from headgate.limits import KINDS_OF_PARTS, SCOPES

PAGE = Path(__file__).parents[2] / "docs/limits.md"
# What a test cannot reach is replaced by what it can, and all else of the example stays: the name of the example, and
# number by number.
SMALLER: Mapping[str, Mapping[int, int]] = {
    "small-daily-requests": {2000: 4},
    "small-daily-tokens": {500_000: 150},
    "large-input-tpm": {400_000: 70},
    "large-output-tpm": {100_000: 70},
    "large-tpm": {450_000: 130},
    "large-monthly-requests": {1_000_000: 3},
    "large-monthly-tokens": {50_000_000: 140},
    "more-tpm": {40_000: 100, 10_000: 80},
    "more-daily-tokens": {500_000: 90},
    "more-monthly-tokens": {50_000_000: 150, 40_000_000: 70},
    "parts-rpm": {600: 30},
    "parts-per-0-rpm": {60: 12},
    "parts-per-1-daily-tokens": {100_000: 120},
    "acme-rpm": {600: 3, 1200: 7},
    "acme-tpm": {600: 50, 80_000: 120},
}
# USD per million tokens: a token of an answer costs 0.002 dollars, of `big` 0.05, so that a hundred are soon spent.
PRICES = {"chat": {"input": "1000", "output": "2000"}, "big": {"input": "10000", "output": "50000"}}
# Which model is asked for how many tokens, so that it takes several requests to use a limit up.
ANSWER = {
    "small-daily-usd": ("chat", 400),
    "large-monthly-usd": ("big", 700),
    "more-monthly-usd": ("big", 700),
    "parts-per-2-monthly-usd": ("big", 150),
}
SMALL_ANSWER = ("chat", 20)


@dataclass(frozen=True)
class Example:
    """One limit of the page. `where` is plan, per, tenant or key; `limit` its value there, with SMALLER's numbers."""

    name: str
    where: str
    plan: str
    kind: str
    limit: Any
    by: tuple[str, ...] = ()
    models: tuple[str, ...] | None = None
    anniversary: int = 1

    @property
    def said(self) -> dict[str, Any]:
        return self.limit if isinstance(self.limit, dict) else {"limit": self.limit}

    @property
    def cap(self) -> Decimal | None:
        """None where the limit only warns."""
        return Decimal(str(self.said["limit"])) if "limit" in self.said else None

    @property
    def most(self) -> Decimal | None:
        """With what may be used on top."""
        if self.cap is None:
            return None
        ceiling = self.said.get("overage", {}).get("ceiling")
        return Decimal(str(ceiling)) if ceiling else self.cap + self.said.get("burst", 0)

    @property
    def dimension(self) -> str:
        return KINDS_OF_PARTS[self.kind].dimension

    @property
    def model(self) -> str:
        return ANSWER.get(self.name, SMALL_ANSWER)[0]

    @property
    def features(self) -> set[str]:
        more = {name for name in ("burst", "soft", "overage") if name in self.said}
        return more | {f"by {self.by}" if self.by else ""} | {"models" if self.models else ""} | {f"of {self.where}"}


def smaller(name: str, value: Any) -> Any:
    """The value with the numbers of SMALLER in place of the page's."""
    if isinstance(value, dict):
        return {key: smaller(name, one) for key, one in value.items()}
    return value if isinstance(value, bool | str) else SMALLER.get(name, {}).get(value, value)


def of_the_page() -> dict[str, Any]:
    """What plans and tenants all blocks have, as one document."""
    document: dict[str, Any] = {"plans": {}, "tenants": {}}
    for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL):
        for section, entries in yaml.safe_load(block).items():
            if section in document:
                document[section].update(entries)
    return document


def examples(document: Mapping[str, Any]) -> Iterator[Example]:
    """Every limit that the page shows; credits, which need an account, have tests of their own."""

    def example(name: str, where: str, plan: str, kind: str, value: Any, **more: Any) -> Example:
        name = f"{name}-{kind}".replace("_", "-")
        return Example(name, where, plan, kind, smaller(name, value), **more)

    for plan, entries in document["plans"].items():
        kept = {"anniversary": entries.get("anniversary", 1)}
        for kind in sorted(entries.keys() & KINDS_OF_PARTS.keys()):
            yield example(plan, "plan", plan, kind, entries[kind], **kept)
        for number, rule in enumerate(entries.get("per", ())):
            by = tuple(scope for scope in SCOPES if scope in rule.get("by", ()))
            scope = {"by": by, "models": tuple(rule["models"]) if "models" in rule else None}
            for kind in sorted(rule.keys() & KINDS_OF_PARTS.keys()):
                yield example(f"{plan}-per-{number}", "per", plan, kind, rule[kind], **kept, **scope)
    for tenant, entries in document["tenants"].items():
        for kind, value in entries["limits"].items():
            yield example(tenant, "tenant", entries["plan"], kind, value)
        for key in entries["keys"]:
            for kind, value in key["limits"].items():
                name = f"{tenant}-key-{key['name']}"
                yield example(name, "key", entries["plan"], kind, value, by=("key",))


DOCUMENT = of_the_page()
EXAMPLES = {example.name: example for example in examples(DOCUMENT)}


def configured(example: Example) -> tuple[dict[str, Any], dict[str, Any]]:
    """The plan and the tenant of an example: what the page says, less what other examples are for."""
    page = DOCUMENT["plans"][example.plan]
    plan: dict[str, Any] = {"anniversary": page["anniversary"]} if "anniversary" in page else {}
    tenant: dict[str, Any] = {}
    if example.where == "plan":
        plan[example.kind] = example.limit
    elif example.where == "per":
        rule = {name: value for name, value in page["per"][_place(example)].items() if name not in KINDS_OF_PARTS}
        plan["per"] = [{**rule, example.kind: example.limit}]
    else:  # what it takes the place of, and what it comes beside
        plan |= {kind: smaller(example.name, value) for kind, value in page.items() if kind in KINDS_OF_PARTS}
        plan["per"] = page["per"]
    if example.where == "tenant":
        tenant["limits"] = {example.kind: example.limit}
    return plan, tenant


def _place(example: Example) -> int:
    return int(re.findall(r"-per-(\d)-", example.name)[0])

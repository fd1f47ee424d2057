"""Reads a gateway.yaml and reports everything that is wrong with it in one run.

`check` never raises for what a file says or that there is none: all of that is problems. It changes nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from headgate.config.adapter_rules import unshared_signing
from headgate.config.auth_rules import unshared_auth, unusable_auth
from headgate.config.budget_rules import unusable_budgets
from headgate.config.engine_providers import place_in_file, tree_with_engines
from headgate.config.engine_rules import unusable_engines
from headgate.config.engine_warnings import odd_engines
from headgate.config.filter_rules import unusable_filters
from headgate.config.gpus_here import gpus_here
from headgate.config.hedge_rules import unusable_hedges
from headgate.config.issuer_rules import unusable_clients, unusable_issuers
from headgate.config.key_rules import unusable_keys
from headgate.config.kms_rules import kms_in_the_clear, unusable_kms
from headgate.config.limit_rules import unusable_limits
from headgate.config.model import Gateway
from headgate.config.order_rules import unusable_orders
from headgate.config.price_rules import unusable_prices
from headgate.config.queue_rules import unusable_queues
from headgate.config.references import unknown_zones, unresolved
from headgate.config.shape import Finding, validated, value_at
from headgate.config.surroundings import expiring, missing
from headgate.config.tree import Tree, TreeError, parse
from headgate.config.unserved import unserved
from headgate.config.vault_rules import in_the_clear, unstorable, unusable_vault
from headgate.config.wording import shown_path

MAX_FILE_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. `line` counts from 1, 0 where none can be named; `path` is "" for the whole file."""

    file: str
    line: int
    path: str
    text: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.path}: {self.text}" if self.path else f"{place}: {self.text}"


@dataclass(frozen=True, slots=True)
class Checked:
    """The gateway if the file has no problem; both lists are sorted by line.

    Warnings about what this version does not do yet are only there for a file without problems.
    """

    gateway: Gateway | None
    problems: list[Problem]
    warnings: list[Problem]


def check(path: Path, environ: Mapping[str, str], content: bytes | None = None) -> Checked:
    """Check the file at `path`, or `content` as if it stood there; `env:` secrets are looked up in `environ`."""
    try:
        tree = parse(_text(_read(path) if content is None else content))
    except TreeError as error:
        return Checked(None, [Problem(str(path), error.line, "", str(error))], [])
    gateway, findings = validated(tree.root)
    root = tree_with_engines(tree.root)
    findings += unusable_engines(tree.root)
    findings += unresolved(root)
    findings += unusable_keys(root)
    findings += unusable_limits(root)
    findings += unusable_hedges(root)
    findings += unusable_orders(root)
    findings += unusable_queues(root)
    findings += unusable_budgets(root)
    findings += unusable_prices(root)
    findings += unusable_auth(root)
    findings += unusable_vault(root)
    findings += unusable_kms(root)
    findings += unstorable(root)
    findings += unusable_issuers(root)
    findings += unusable_clients(root)
    findings += unusable_filters(root)
    findings += missing(root, path.parent, environ)
    # A scalar that a fault has spoiled (a tag, a recursive alias) is not also of the wrong shape.
    spoiled = {fault.path for fault in tree.faults if not isinstance(value_at(tree.root, fault.path), dict | list)}
    problems = _problems(path, tree, (finding for finding in findings if finding.path not in spoiled))
    problems += [Problem(str(path), fault.line, shown_path(fault.path), fault.text) for fault in tree.faults]
    if problems:
        gateway = None
    warnings = [*unknown_zones(root)]
    if gateway:
        warnings += [*unserved(gateway), *unshared_auth(gateway), *unshared_signing(gateway), *in_the_clear(root)]
        warnings += kms_in_the_clear(root)
        warnings += odd_engines(gateway, tree.root, gpus_here(environ))
        warnings += expiring(root, path.parent)
    return Checked(gateway, _sorted(problems), _sorted(_problems(path, tree, warnings)))


def _read(path: Path) -> bytes:
    """The file's content, up to more than is accepted. Raises TreeError where there is none."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise TreeError(0, f"cannot be read: {error.strerror}") from None


def _text(content: bytes) -> str:
    """Raises TreeError for what is no text, or too much."""
    if len(content) > MAX_FILE_BYTES:
        raise TreeError(0, f"larger than {MAX_FILE_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise TreeError(line, f"not UTF-8 text (byte {error.start + 1} of the file)") from None


def _problems(path: Path, tree: Tree, findings: Iterable[Finding]) -> list[Problem]:
    return [_problem(path, tree, finding) for finding in findings]


def _problem(path: Path, tree: Tree, finding: Finding) -> Problem:
    where = place_in_file(tree.root, finding.path)
    at = where if finding.at is None else place_in_file(tree.root, finding.at)
    return Problem(str(path), tree.line(at), shown_path(where), finding.text)


def _sorted(problems: list[Problem]) -> list[Problem]:
    # An anchor's entry is seen once for each alias; its mistakes stand at one place and in several paths.
    return sorted(set(problems), key=lambda problem: (problem.line, problem.path, problem.text))

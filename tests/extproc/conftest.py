from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from headgate import metrics

Counted = list[tuple[str, str, bool]]


@pytest.fixture
def counted() -> Iterator[Counted]:
    """Provider, kind and whether it had begun, of failures in answers; the metric has to agree with the log."""
    found: Counted = []
    with capture_logs() as logs:
        before = _metric()
        yield found
        failed = [entry for entry in logs if entry["event"] == "provider failed in its answer"]
        assert sorted((entry["provider"], entry["kind"], entry["begun"]) for entry in failed) == sorted(found)
        assert {entry["request_id"] for entry in failed} <= {"r-1"}
        for provider, kind, _ in found:
            before[provider, kind] = before.get((provider, kind), 0) + 1
        assert _metric() == before


def _metric() -> dict[tuple[str, str], float]:
    (family,) = metrics.FAILED_ANSWERS.collect()
    return {(one.labels["provider"], one.labels["kind"]): one.value
            for one in family.samples if one.name.endswith("_total")}  # fmt: skip

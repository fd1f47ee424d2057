"""What Envoy and the spool say of a provider's keys is each key's own."""

import json
import re

from headgate.feed.figures import TimeOf
from headgate.feed.states import State
from headgate.snapshot import ModelRow, Snapshot, TargetRow, TenantRow
from ledger.spool.lines import Line
from ledger.telling.cluster_health import clusters_filter, provider_of, states_of, troubled
from ledger.telling.cluster_load import load_of
from ledger.telling.figures import FigureLearner
from tests.ledger.in_memory import tables_of

A, B, OTHER = "provider/p/a@0123456789", "provider/p/b.c@0123456789", "provider/p@0123456789"


def gauges(**values: float) -> bytes:
    stats = [{"name": f"cluster.provider/{name}", "value": value} for name, value in values.items()]
    return json.dumps({"stats": stats}).encode()


def test_a_key_is_in_trouble_by_itself() -> None:
    said = gauges(
        **{
            "p/a.circuit_breakers.default.rq_open": 1,
            "p/a.membership_healthy": 2,
            "p/b.c.circuit_breakers.default.rq_open": 0,
            "p/b.c.membership_healthy": 2,
        }
    )
    assert troubled(said) == {"p/a"}
    assert [provider_of(cluster) for cluster in (A, B, OTHER)] == ["p/a", "p/b.c", "p"]
    asked = re.compile(clusters_filter(troubled(said)))
    assert [bool(asked.search(cluster)) for cluster in (A, B, OTHER)] == [True, False, False]
    assert re.search(clusters_filter([]), A)
    busy = {"name": "rq_active", "value": "4"}
    breaker = {"thresholds": [{"priority": "DEFAULT", "max_requests": 4}]}
    clusters = [
        {"name": A, "circuit_breakers": breaker, "host_statuses": [{"health_status": {}, "stats": [busy]}]},
        {"name": B, "circuit_breakers": breaker, "host_statuses": [{"health_status": {}, "stats": []}]},
    ]
    found = states_of(json.dumps({"cluster_statuses": clusters}).encode())
    assert found == {A: State.SATURATED, B: State.OK}


def test_of_several_endpoints_those_that_are_not_good_are_named() -> None:
    assert troubled(gauges(**{"p.membership_healthy": 2, "p.outlier_detection.ejections_active": 1})) == {"p"}
    addresses = [("10.0.0.5", 8000), ("::1", 8001), ("10.0.0.5", 8002)]
    status = [{}, {"failed_outlier_check": True}, {"failed_active_health_check": True}]
    hosts = [
        {"address": {"socket_address": {"address": host, "port_value": port}}, "health_status": health}
        for (host, port), health in zip(addresses, status, strict=True)
    ]
    clusters = [{"name": OTHER, "host_statuses": hosts}, {"name": A, "host_statuses": hosts[1:2]}]
    found = states_of(json.dumps({"cluster_statuses": clusters}).encode())
    names = {f"{OTHER}#[::1]:8001": State.EJECTED, f"{OTHER}#10.0.0.5:8002": State.UNHEALTHY}
    assert found == {OTHER: State.OK, A: State.EJECTED, **names}
    assert {provider_of(name) for name in names} == {"p"}


def test_a_key_is_busy_by_itself() -> None:
    said = gauges(**{"p/a.upstream_rq_active": 3, "p/b.c.upstream_rq_pending_active": 2, "p.upstream_rq_active": 9})
    assert load_of(said, {"p/a": A, "p/b.c": B}) == {A: 3, B: 2}


def test_what_is_learned_of_a_target_is_learned_of_the_key() -> None:
    rows = [
        TargetRow("p", "openai", cluster, "m", "final", 0, 1, 1, key=key, pool=1)
        for cluster, key in ((A, "a"), (B, "b"))
    ]
    models = {"chat": ModelRow("s", "w", 3, 10_000, strategy="fastest", has_pools=True)}
    snapshot = Snapshot(1, 0, 1, [], {"acme": TenantRow({"chat": rows})}, models)
    told: dict[TimeOf, float] = {}
    learner = FigureLearner(
        lambda times, _: told.update({at: mean.value for at, mean in times.items()}), tables_of(snapshot)
    )
    for key, ms in (("a", 100), ("b", 300), ("gone", 900), (None, 900)):
        learner.on_line(
            Line("end", "r", tenant="acme", model="chat", target="p", upstream_model="m", provider_key=key,
                 status=200, attempts=1, streamed=True, request_ms=1, first_byte_ms=2, first_token_ms=ms,
                 duration_ms=999)
        )  # fmt: skip
    learner.tell()
    assert told == {(A, "m", True): 100, (B, "m", True): 300}

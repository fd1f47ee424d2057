"""Envoy's statistics under our names: a provider's name may hold dots, and what is not there is 0."""

import re

from headgate.supervise import families
from headgate.supervise.envoy_stats import FILTER, add_present, samples_of


def test_a_provider_whose_name_has_dots() -> None:
    stats = {
        "cluster.provider/my.own.engine.membership_total": 2.0,
        "cluster.provider/my.own.engine.membership_healthy": 1.0,
        "cluster.provider/my.own.engine.upstream_rq_5xx": 3.0,
        "cluster.provider/my.own.engine.retry.upstream_rq_5xx": 4.0,
        "cluster.provider/my.own.engine.external.upstream_rq_5xx": 3.0,
        "cluster.provider/my.own.engine.circuit_breakers.default.rq_open": 1.0,
    }
    samples = samples_of(stats.items())
    assert samples[families.PROVIDER_RESPONSES]["my.own.engine", "", "5xx"] == 7
    assert samples[families.PROVIDER_RESPONSES]["my.own.engine", "", "2xx"] == 0
    assert samples[families.PROVIDER_HEALTHY] == {("my.own.engine", ""): 1}
    assert samples[families.PROVIDER_BREAKER] == {("my.own.engine", ""): 1}
    assert {labels[0] for labels in samples[families.PROVIDER_RESPONSES]} == {"my.own.engine"}
    picked = {name for name in stats if re.search(FILTER, name)}
    assert "cluster.provider/my.own.engine.retry.upstream_rq_5xx" in picked


def test_keys_of_a_provider_have_numbers_of_their_own() -> None:
    found = {"a": 1.0, "b.c": 2.0}
    stats = {f"cluster.provider/my.own/{key}.upstream_rq_total": value for key, value in found.items()}
    stats |= {f"cluster.provider/my.own/{key}.membership_total": 1.0 for key in found}
    assert all(re.search(FILTER, name) for name in stats)
    assert samples_of(stats.items())[families.PROVIDER_REQUESTS] == {("my.own", "a"): 1, ("my.own", "b.c"): 2}


def test_listeners_and_clusters_add_up() -> None:
    samples = samples_of(
        {
            "http.edge.ext_authz.error": 1.0,
            "http.edge_tls.ext_authz.error": 2.0,
            "cluster.provider/a.ratelimit.error": 1.0,
            "cluster.headgate/no-target.ratelimit.error": 1.0,
            "overload.envoy.overload_actions.shrink_heap.active": 1.0,
            "overload.envoy.resource_monitors.fixed_heap.pressure": 50.0,
            "listener.admin.downstream_cx_overload_reject": 9.0,
            "listener.127.0.0.1_8080.downstream_cx_overload_reject": 2.0,
            "http.admin.downstream_rq_active": 9.0,
        }.items()
    )
    assert samples[families.FILTER_ERRORS] == {("authz",): 3, ("extproc",): 0, ("ratelimit",): 2}
    assert samples[families.FILTER_CALLS]["authz", "failed"] == 3
    assert samples[families.OVERLOAD] == {("shrink_heap",): 1}
    assert samples[families.OVERLOAD_PRESSURE] == {("fixed_heap",): 0.5}
    assert samples[families.OVERLOAD_REFUSALS]["connection",] == 2
    assert samples[families.REQUESTS_IN_FLIGHT] == {(): 0}


def test_an_envoy_that_finishes_its_streams_adds_what_is_present_and_no_counts() -> None:
    stats = {
        "http.edge.downstream_rq_active": 2.0,
        "http.edge.downstream_rq_2xx": 5.0,
        "cluster.provider/a.membership_total": 1.0,
        "cluster.provider/a.upstream_rq_active": 2.0,
    }
    samples = samples_of(stats.items())
    add_present(samples, samples_of({**stats, "cluster.provider/gone.membership_total": 1.0}.items()))
    assert samples[families.REQUESTS_IN_FLIGHT] == {(): 4}
    assert samples[families.PROVIDER_IN_FLIGHT] == {("a", ""): 4, ("gone", ""): 0}
    assert samples[families.RESPONSES]["2xx",] == 5

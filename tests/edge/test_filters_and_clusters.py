"""What the generated configuration promises: order, failing closed, providers that are tried and verified."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from attempt_script import PROVIDER, cluster
from rendering import EXAMPLE, ROOT, SECRETS, clusters_of, manager_of, rendered

from headgate import contract
from headgate.compile import compile_snapshot
from headgate.config.check import check
from headgate.config.model import Gateway
from tests.certificates import Authority

FILES = rendered(EXAMPLE.read_text())
FILTERS = manager_of(FILES)["http_filters"]
CLUSTERS = clusters_of(FILES)
METERING = (ROOT / "envoy" / "module" / "metering.c").read_text()
MODULE = "".join(path.read_text() for path in sorted((ROOT / "envoy" / "module").glob("*.c")))


def test_the_order_of_the_filters() -> None:
    assert [entry["name"] for entry in FILTERS] == [
        "headgate.admin",  # of the admin API alone
        "envoy.filters.http.ext_authz",
        "envoy.filters.http.buffer",
        "envoy.filters.http.ext_proc",
        "headgate.admission",
        "envoy.filters.http.dynamic_modules",
        "headgate.translated",
        "headgate.watched",
        "envoy.filters.http.router",
    ]


def test_every_filter_that_asks_a_server_fails_closed() -> None:
    asking = [entry["typed_config"] for entry in FILTERS if "grpc_service" in entry["typed_config"]]
    assert len(asking) == 2
    for config in asking:
        assert config.get("message_timeout") or config["grpc_service"].get("timeout")
        assert config["status_on_error"] == {"code": "ServiceUnavailable"}
        assert not config.get("failure_mode_allow", False)
        assert config["grpc_service"]["envoy_grpc"]["cluster_name"] == contract.FILTERS_CLUSTER


def test_one_cluster_for_each_provider() -> None:
    assert list(CLUSTERS) == ["provider/local", "provider/openai", "provider/claude"]
    for name, found in CLUSTERS.items():
        own = name.removeprefix("provider/")
        line = f'"target":"{own}","provider_key":null'
        assert found["metadata"]["filter_metadata"]["headgate"] == {"provider": own, "line": line}
        assert found["load_assignment"]["endpoints"][0]["lb_endpoints"]
        assert found["outlier_detection"]["max_ejection_percent"] == 50
        assert "common_lb_config" not in found  # an unhealthy target is still tried, so that the chain goes on
    assert [len(found.get("health_checks", [])) for found in CLUSTERS.values()] == [1, 0, 0]
    assert CLUSTERS["provider/local"]["health_checks"][0]["http_health_check"]["path"] == "/health"


def test_engines_alone_have_their_replicas_picked() -> None:
    """In a cluster of another name than that of a provider that says the same: a reload changes none in place."""
    said = 'endpoints: ["http://127.0.0.1:1", "http://127.0.0.1:2"], zone: internal, health_check: /health'
    model = "models: {m: {targets: [{provider: e, model: m}]}}"
    engine = clusters_of(rendered(f"engines: {{e: {{kind: vllm, served_name: m, {said}}}}}\n{model}"))["provider/e"]
    other = (
        f"providers: {{e: {{api: openai, preset: vllm, usage: continuous, connect_timeout: 2s, {said}}}}}\n{model}"
    )
    provider = clusters_of(rendered(other))["provider/e"]
    (policy,) = engine["load_balancing_policy"]["policies"]
    planned = policy["typed_extension_config"]["typed_config"]
    sources = [source["metadata"] for source in planned["override_host_sources"]]
    namespaces = ("envoy.filters.http.ratelimit", "hg.plan")  # who has waited has a newer one than its plan
    assert sources == [{"key": one, "path": [{"key": "hosts"}]} for one in namespaces]
    assert planned["fallback_policy"]["policies"][0]["typed_extension_config"]["name"].endswith(".least_request")
    assert engine["name"] != provider["name"]
    assert engine.keys() - provider.keys() == {"load_balancing_policy"}
    differs = ("name", "load_balancing_policy", "load_assignment", "typed_extension_protocol_options")
    assert {key: engine[key] for key in provider if key not in differs} == {
        key: provider[key] for key in provider if key not in differs
    }


@pytest.mark.parametrize(
    ("more", "max_requests", "share", "at_least"),
    [
        ("", 65_536, 20, 256),
        (", max_requests: 7", 7, 20, 256),
        (", retry_budget: {share: 0.055}", 65_536, 5.5, 256),
        (", retry_budget: {share: 0, at_least: 1}", 65_536, 0, 1),
        (", retry_budget: {share: 1, at_least: 9}, max_requests: 1", 1, 100, 9),
    ],
)
def test_breakers_and_budgets(more: str, max_requests: int, share: float, at_least: int) -> None:
    (found,) = cluster(f"base_url: http://p.test{more}")["circuit_breakers"]["thresholds"]
    assert found.get("priority", "DEFAULT") == "DEFAULT"
    assert found["max_requests"] == max_requests
    assert found["retry_budget"]["min_retry_concurrency"] == at_least
    assert found["retry_budget"]["budget_percent"].get("value", 0) == pytest.approx(share)


@pytest.mark.parametrize(
    ("rest", "kind"),
    [
        ('endpoints: ["http://127.0.0.1:1", "http://[::1]:2"]', "STATIC"),
        ('endpoints: ["http://127.0.0.1:1", "http://engine:2"]', "STRICT_DNS"),
        ('base_url: "https://api.test/v1"', "STRICT_DNS"),
    ],
)
def test_addresses_and_names(rest: str, kind: str) -> None:
    assert cluster(rest).get("type", "STATIC") == kind


def test_https_is_verified() -> None:
    found = cluster('base_url: "https://api.test:8443/v1"')["transport_socket"]["typed_config"]
    assert found["@type"].endswith("UpstreamTlsContext")
    assert found["auto_sni_san_validation"] is True
    assert found.get("sni") == "api.test" or found["auto_host_sni"]
    context = found["common_tls_context"]["validation_context"]
    assert context["trusted_ca"]["filename"]
    assert "trust_chain_verification" not in context


def test_https_to_an_address_is_verified_against_the_address() -> None:
    found = cluster('base_url: "https://127.0.0.1/v1"')["transport_socket"]["typed_config"]
    assert not found.get("sni")
    # Without a name to ask for, Envoy checks none: the address has to be among the certificate's.
    names = found["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"]
    assert names == [{"san_type": "IP_ADDRESS", "matcher": {"exact": "127.0.0.1"}}]


def test_https_endpoints_are_each_verified_against_their_own_name() -> None:
    found = cluster('endpoints: ["https://engine-1.test", "https://engine-2.test"]')
    hosts = [entry["endpoint"]["hostname"] for entry in found["load_assignment"]["endpoints"][0]["lb_endpoints"]]
    assert hosts == ["engine-1.test", "engine-2.test"]
    context = found["transport_socket"]["typed_config"]
    assert (context.get("auto_host_sni"), context["auto_sni_san_validation"]) == (True, True)


def test_a_ca_of_ones_own_is_found_beside_the_file() -> None:
    pem = Authority().pem.decode()
    files = rendered(
        PROVIDER.format(api="openai", rest='base_url: "https://api.test/v1", ca: ca.pem'), **{"ca.pem": pem}
    )
    context = clusters_of(files)["provider/p"]["transport_socket"]["typed_config"]["common_tls_context"]
    asked = context["combined_validation_context"]["validation_context_sds_secret_config"]
    path = asked["sds_config"]["path_config_source"]["path"]
    (resource,) = json.loads(files.secrets[Path(path).name])["resources"]
    assert resource["name"] == asked["name"]
    assert resource["validation_context"]["trusted_ca"]["inline_string"] == pem


def test_http_has_no_tls() -> None:
    assert "transport_socket" not in cluster('base_url: "http://api.test/v1"')


def test_dead_workers_are_left_out_at_once() -> None:
    own = {found["name"]: found for found in FILES.bootstrap["static_resources"]["clusters"]}
    workers = own[contract.FILTERS_CLUSTER]
    sockets = workers["load_assignment"]["endpoints"][0]["lb_endpoints"]
    paths = [found["endpoint"]["address"]["pipe"]["path"] for found in sockets]
    assert paths == ["run/worker-0.sock", "run/worker-1.sock"]
    assert workers["health_checks"][0]["grpc_health_check"] == {}
    assert workers["outlier_detection"]["max_ejection_percent"] == 100
    (http,) = workers["typed_extension_protocol_options"].values()
    assert (http["retry_policy"]["retry_on"], http["retry_policy"]["num_retries"]) == ("connect-failure,reset", 2)
    assert "load_assignment" not in own[contract.NO_TARGET_CLUSTER]


def test_routes_take_their_clusters_from_the_plan() -> None:
    (table,) = FILES.routes["resources"]
    (host,) = table["virtual_hosts"]
    assert host["include_request_attempt_count"] is True
    connect, upgrade, *profiled, meanwhile, large, unplanned = without_admin(host["routes"])
    assert (list(connect["match"]), connect["direct_response"]["status"]) == (["connect_matcher"], 404)
    assert upgrade["route"]["cluster"] == contract.BRIDGE_CLUSTER
    assert {header["name"] for header in upgrade["match"]["headers"]} == {"upgrade", ":method"}
    assert not [route for route in host["routes"] if "upgrade_configs" in route.get("route", {}) and route != upgrade]
    assert (meanwhile["name"], unplanned["name"]) == ("planned-meanwhile", "unplanned")
    assert meanwhile["match"]["headers"] == [{"name": contract.ROUTE_PROFILE, "present_match": True}]
    assert meanwhile["route"]["timeout"] == meanwhile["route"]["idle_timeout"] == "86400s"
    (announced,) = large["match"]["headers"]
    assert announced["range_match"]["start"] == str(32 * 2**20 + 1)
    assert large["direct_response"]["status"] == 413
    for route in profiled:
        (header,) = route["match"]["headers"]
        assert header == {"name": contract.ROUTE_PROFILE, "string_match": {"exact": route["name"]}}
        assert route["route"]["retry_policy"]["refresh_cluster_on_retry"] is True
    buffered = FILTERS[2]["typed_config"]["max_request_bytes"]
    assert buffered > 32 * 2**20  # a body at the limit, and what the plan adds to it
    for route in (*profiled, meanwhile, unplanned):
        plugin = route["route"]["inline_cluster_specifier_plugin"]["extension"]["typed_config"]
        assert plugin["override_metadata_namespace"] == contract.PLAN
    assert all(route["request_body_buffer_limit"] >= buffered for route in profiled)
    assert "request_body_buffer_limit" not in unplanned  # a body that fills it while authz decides would hang


def test_every_profile_that_a_plan_can_name_is_a_route() -> None:
    snapshot = compile_snapshot(checked_example(), generation=1)
    (table,) = FILES.routes["resources"]
    fixed = {"connect", contract.WEBSOCKET_ROUTE, "too-large", "unplanned"}
    routes = {route["name"] for route in without_admin(table["virtual_hosts"][0]["routes"])} - fixed
    named = {profile for row in snapshot.models.values() for profile in (row.stream_profile, row.whole_profile)}
    assert named == routes - {"planned-meanwhile"}


def without_admin(routes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that lead to control are test_admin_api.py's."""
    return [route for route in routes if not route["name"].startswith(("admin", "usage"))]


def checked_example() -> Gateway:
    gateway = check(EXAMPLE, SECRETS).gateway
    assert gateway
    return gateway


PRIVATE = {"hg.aside", "hg.unheld"}  # nobody else's


def contract_names() -> set[str]:
    values = [value for name, value in vars(contract).items() if name.isupper()]
    return {
        text
        for value in values
        for text in (value if isinstance(value, tuple) else (value,))
        if isinstance(text, str)
    }


def test_names_that_run_inside_envoy_are_in_the_contract() -> None:
    standard = {":status", ":path", ":authority", "content-type", "content-encoding", "content-length", "location"}
    standard |= {"retry-after", "x-envoy-attempt-count", "x-amzn-errortype"}  # Envoy's own, Amazon's own
    used = set(re.findall(r'header(?:_of)?\([^"\n]*TEXT\("([^"]+)"\)', MODULE))
    used |= set(re.findall(r'header = TEXT\("([^"]+)"\)', MODULE))
    used |= set(re.findall(r'_metadata = TEXT\("([^"]+)"\)', MODULE)) - PRIVATE
    namespaces = re.findall(r'_metadata = \{"([^"]+)", (\d+)\}', MODULE)
    assert all(len(name) == int(length) for name, length in namespaces)
    used |= {name for name, _ in namespaces}
    assert {"hg.request", "hg.usage", "x-headgate-error-source"} <= used
    assert used - standard <= contract_names()


def test_metadata_keys_are_written_on_one_side_and_read_on_the_other() -> None:
    plan = (ROOT / "extproc" / "steps" / "plan.py").read_text()
    codec = (ROOT / "extproc" / "codec.py").read_text()
    calls = r"(?:(?:is_set|count|planned|has_list|of_attempt)\(envoy|request_metadata)"
    read = set(re.findall(calls + r',\s+TEXT\("(\w+)"\)', MODULE))
    assert {"endpoint", "hide_usage_chunk", "answers", "headers_ms", "models", "length"} <= read
    noted = r"(?:\bnote\(envoy|set_dynamic_metadata_string\(envoy, request_metadata)"
    told = set(re.findall(noted + r', TEXT\("(\w+)"\)', MODULE))  # by one attempt to the next
    assert read <= set(re.findall(r'\("(\w+)", ', plan)) | set(re.findall(r'\bown\["(\w+)"\]', codec)) | told
    logged = set(re.findall(r"%DYNAMIC_METADATA\(hg\.usage:(\w+)\)%", str(manager_of(FILES)["access_log"])))
    numbers = re.search(r"number_names\[NUMBERS\] = \{(.*?)\};", METERING, re.DOTALL)
    assert numbers
    written = set(re.findall(r'TEXT\("(\w+)"\)', numbers[1]))
    written |= set(re.findall(r'usage_metadata, TEXT\("(\w+)"\),', METERING))
    assert logged == written

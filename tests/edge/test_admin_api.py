"""The admin API in Envoy's configuration: what its requests pass, and that others do not notice it."""

from typing import Any

from rendering import EXAMPLE, clusters_of, manager_of, rendered

from headgate.contract import ADAPTER_UPLOADS, ADMIN_MARK, CONTROL_API_SOCKET, CONTROL_CLUSTER, MAX_ADMIN_BODY_BYTES
from headgate.endpoints import USAGE_PATHS

FILES = rendered(EXAMPLE.read_text())
MANAGER = manager_of(FILES)


def routes() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = FILES.routes["resources"][0]["virtual_hosts"][0]["routes"]
    return found


def admin_routes() -> list[dict[str, Any]]:
    return [route for route in routes() if route["name"].startswith("admin")]


def usage_routes() -> list[dict[str, Any]]:
    return [route for route in routes() if route["name"].startswith("usage")]


def test_its_routes_come_before_all_that_could_take_its_requests() -> None:
    names = [route["name"] for route in routes()]
    assert names[:3] == ["connect", "admin-upload", "admin-too-large"]
    assert names[3:7] == ["admin-too-large", "admin-export", "admin", "admin"]
    assert names[7:9] == ["usage-too-large", "usage"]
    assert {route["match"]["safe_regex"]["regex"] for route in usage_routes()} == {USAGE_PATHS}
    assert admin_routes()[0]["match"]["safe_regex"]["regex"] == ADAPTER_UPLOADS
    assert [route["match"].get("prefix") or route["match"]["path"] for route in admin_routes()[1:]] == [
        *("/admin/v1/", "/admin/v1", "/admin/v1/audit/export", "/admin/v1/", "/admin/v1")
    ]


def test_nothing_that_is_made_for_models_is_on() -> None:
    """Every filter but authz, the buffer with a limit of its own, and the router."""
    on = {"envoy.filters.http.ext_authz", "envoy.filters.http.router"}
    names = {entry["name"] for entry in MANAGER["http_filters"]}
    for route in (*admin_routes(), *usage_routes()):
        given = route["typed_per_filter_config"]
        off = {name for name, config in given.items() if config.get("disabled")}
        assert names - off - on == {"headgate.admin", "envoy.filters.http.buffer"} - off
        assert "envoy.filters.http.ext_authz" not in given
        assert "retry_policy" not in route.get("route", {})
        assert {"x-headgate-target", "x-headgate-attempts"} <= set(route["response_headers_to_remove"])


def test_its_own_limits() -> None:
    upload, too_large, whole = admin_routes()[0], admin_routes()[1], admin_routes()[-1]
    assert upload["typed_per_filter_config"]["envoy.filters.http.buffer"]["disabled"]  # weights are not held back
    assert upload["route"]["idle_timeout"] == "600s"
    (header,) = too_large["match"]["headers"]
    assert header["range_match"]["start"] == str(MAX_ADMIN_BODY_BYTES + 1)
    assert too_large["direct_response"]["status"] == 413
    assert whole["route"]["cluster"] == CONTROL_CLUSTER
    assert whole["route"]["timeout"] == "30s"


def test_its_filter_is_off_for_everybody_else() -> None:
    first = MANAGER["http_filters"][0]
    assert (first["name"], first["disabled"]) == ("headgate.admin", True)
    others = [route for route in routes() if not route["name"].startswith(("admin", "usage"))]
    assert not [route for route in others if "headgate.admin" in route.get("typed_per_filter_config", {})]


def test_no_log_knows_its_requests() -> None:
    logs = [*MANAGER["access_log"], *MANAGER["http_filters"][-1]["typed_config"]["upstream_log"]]
    assert len(logs) == 5
    for log in logs:
        headers = [
            one["header_filter"]["header"] for one in log["filter"]["and_filter"]["filters"] if "header_filter" in one
        ]
        assert headers == [{"name": ADMIN_MARK, "present_match": True, "invert_match": True}]


def test_its_cluster_is_the_socket() -> None:
    clusters = {one["name"]: one for one in FILES.bootstrap["static_resources"]["clusters"]}
    (place,) = clusters[CONTROL_CLUSTER]["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert place["endpoint"]["address"]["pipe"]["path"] == str(CONTROL_API_SOCKET)
    assert CONTROL_CLUSTER not in clusters_of(FILES)

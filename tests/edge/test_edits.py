"""What a reload hands to a running Envoy: only what is new, and never anything of the bootstrap."""

import json
from pathlib import Path
from typing import Any

from rendering import EXAMPLE, SECRETS, SETTINGS, assert_valid, validate

from headgate.cluster_names import cluster_of
from headgate.compile import compile_snapshot
from headgate.config.check import check
from headgate.config.model import Gateway
from headgate.edge.render import render, render_edit

EVERYTHING_ELSE: dict[str, Any] = {
    "providers": {
        "engines": {
            "api": "openai",
            "endpoints": ["http://127.0.0.1:1", "http://127.0.0.1:2"],
            "health_check": "/up",
        },
        "named": {"api": "anthropic", "base_url": "https://api.test", "api_key": "env:OPENAI_API_KEY", "zone": "x"},
    },
    "models": {
        "one": {
            "targets": [{"provider": "engines", "model": "a"}, {"provider": "named", "model": "b"}],
            "timeouts": {"headers": "1s", "idle": "2s", "total": "3s"},
            "retry_on": ["timeout"],
        }
    },
    "plans": {"small": {"rpm": 7, "concurrency": 1}},
    "tenants": {"only": {"plan": "small", "models": ["one"]}},
}


def gateway_of(folder: Path, document: dict[str, Any]) -> Gateway:
    (folder / "gateway.yaml").write_text(json.dumps(document))
    checked = check(folder / "gateway.yaml", SECRETS)
    assert checked.gateway, checked.problems
    return checked.gateway


def example() -> Gateway:
    found = check(EXAMPLE, SECRETS).gateway
    assert found
    return found


def test_nothing_that_a_reload_takes_over_is_in_the_bootstrap(tmp_path: Path) -> None:
    running = example()
    document = running.model_copy(update=dict(gateway_of(tmp_path, EVERYTHING_ELSE)) | {"listen": running.listen})
    edited = document.model_copy(update={"services": running.services, "telemetry": running.telemetry})
    before, after = (render(one, SETTINGS, EXAMPLE.parent, SECRETS) for one in (running, edited))
    assert before.clusters != after.clusters
    assert before.routes != after.routes
    assert before.bootstrap == after.bootstrap


def test_an_edit_is_what_a_start_would_render_less_what_is_known(tmp_path: Path) -> None:
    running, wanted = example(), gateway_of(tmp_path, EVERYTHING_ELSE)
    bootstrap = render(running, SETTINGS, EXAMPLE.parent, SECRETS).bootstrap
    known = cluster_of("engines", wanted.providers["engines"])
    edit = render_edit(wanted, bootstrap, {known}, tmp_path, SECRETS)
    whole = render(wanted, SETTINGS, tmp_path, SECRETS)
    clusters = {cluster["name"]: cluster for cluster in whole.clusters["resources"]}
    assert edit.clusters == {name: cluster for name, cluster in clusters.items() if name != known}
    assert edit.routes == whole.routes["resources"][0]
    assert edit.secrets == whole.secrets
    assert SECRETS["OPENAI_API_KEY"] not in json.dumps([edit.clusters, edit.routes, edit.inline])
    found = validate(json.dumps(edit.inline), ".json", tmp_path)
    assert found.returncode == 0, found.stderr
    assert_valid(whole, tmp_path)


def test_envoy_is_asked_about_the_routes_and_the_new_clusters(tmp_path: Path) -> None:
    wanted = gateway_of(tmp_path, EVERYTHING_ELSE)
    bootstrap = render(example(), SETTINGS, EXAMPLE.parent, SECRETS).bootstrap
    edit = render_edit(wanted, bootstrap, set(), tmp_path, SECRETS)
    (host,) = edit.routes["virtual_hosts"]
    host["routes"][-1]["route"]["timeout"] = "soon"
    broken = edit.inline | _with_routes(edit.inline, edit.routes)
    assert validate(json.dumps(broken), ".json", tmp_path).returncode == 1
    edit = render_edit(wanted, bootstrap, set(), tmp_path, SECRETS)
    edit.inline["static_resources"]["clusters"][-1]["connect_timeout"] = "soon"
    assert validate(json.dumps(edit.inline), ".json", tmp_path).returncode == 1


def _with_routes(inline: dict[str, Any], routes: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(inline["static_resources"])
    listeners = json.loads(text)["listeners"]
    for listener in listeners:
        manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
        assert "rds" not in manager
        manager["route_config"] = {key: value for key, value in routes.items() if key != "@type"}
    return {"static_resources": inline["static_resources"] | {"listeners": listeners}}


def test_a_changed_provider_is_another_cluster_for_both_sides(tmp_path: Path) -> None:
    running = gateway_of(tmp_path, EVERYTHING_ELSE)
    names = {name: cluster_of(name, provider) for name, provider in running.providers.items()}
    for change in (
        {"endpoints": ["http://127.0.0.1:1"]},
        {"connect_timeout": "1s"},
        {"health_check": "/other"},
        {"forward_headers": ["x-hint"]},
        {"api_key": "env:OPENAI_API_KEY"},
    ):
        engines = EVERYTHING_ELSE["providers"]["engines"] | change
        providers = EVERYTHING_ELSE["providers"] | {"engines": engines}
        edited = gateway_of(tmp_path, EVERYTHING_ELSE | {"providers": providers})
        cluster = cluster_of("engines", edited.providers["engines"])
        assert cluster != names["engines"]
        assert cluster_of("named", edited.providers["named"]) == names["named"]
        rendered = render(edited, SETTINGS, tmp_path, SECRETS).clusters["resources"]
        assert {cluster, names["named"]} == {one["name"] for one in rendered}
        rows = compile_snapshot(edited, 1).tenants["only"].models["one"]
        assert [row.cluster for row in rows if row.cluster.startswith("provider/engines")] == [cluster]
    moved = gateway_of(tmp_path, json.loads(json.dumps(EVERYTHING_ELSE).replace('"zone": "x"', '"zone": "y"')))
    assert {name: cluster_of(name, provider) for name, provider in moved.providers.items()} == names

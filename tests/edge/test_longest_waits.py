"""Requests that wait for an adapter and then for their engine: nothing of Envoy's ends them while they do."""

from rendering import manager_of, rendered

from headgate.contract import ADMISSION

FILES = rendered("""
engines: {tuned: {kind: vllm, endpoints: ["http://10.0.0.7:8000"], max_running: 5, max_loras: 2}}
models:
  queued: {targets: [{provider: tuned, model: tuned}], queue: {max_wait: 10m}, timeouts: {total: 3m}}
  at-once: {targets: [{provider: tuned, model: tuned}], timeouts: {total: 4m}}
tenants: {acme: {models: [queued, at-once]}}
""")


def test_a_route_is_silent_for_the_adapter_the_queue_and_the_answer() -> None:
    (host,) = FILES.routes["resources"][0]["virtual_hosts"]
    routes = [route["route"] for route in host["routes"] if "idle_timeout" in route.get("route", {})]
    idle = {route["timeout"]: route["idle_timeout"] for route in routes}
    assert (idle["180s"], idle["240s"]) == ("810s", "270s")


def test_the_limiters_call_is_longer_than_all_that_it_waits_for() -> None:
    (admission,) = [one["typed_config"] for one in manager_of(FILES)["http_filters"] if one["name"] == ADMISSION]
    whole, call = admission["timeout"], admission["rate_limit_service"]["grpc_service"]["timeout"]
    assert min(float(one.removesuffix("s")) for one in (whole, call)) > 30 + 600 + 10

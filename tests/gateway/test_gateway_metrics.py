"""One scrape for everything: the workers, the ledger, Envoy and the supervisor; whatever of them is down."""

import contextlib
import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
import yaml
from running_gateway import RunningGateway, free_address, running_gateway
from tenants import CHAT, EMBEDDINGS, PROVIDER_ENV, Keys, chat, configuration
from upstreams import Engine, closing_address, refused_address

from tests.certificates import Authority
from tests.observe.promtool import promtool
from tests.stopped import stop

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"\bheadgate_[a-z0-9_]+")
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
WAIT_S = 60.0

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def observed(
    tmp_path_factory: pytest.TempPathFactory, engine: Engine, other_engine: Engine, keys: Keys
) -> Iterator[RunningGateway]:
    """One whose parts may be killed, and that nobody else sends requests to."""
    with refused_address() as dead, closing_address() as closing:
        config = configuration(keys, engine.address, other_engine.address, dead, closing)
        config["plans"] = {"one": {"rpm": 1}}
        config["tenants"]["globex"]["plan"] = "one"
        halves = {"api": "openai", "zone": "internal", "endpoints": [f"http://{dead}", f"http://{engine.address}"]}
        config["providers"]["half.dead"] = halves
        config["models"]["half"] = {"targets": [{"provider": "half.dead", "model": "m"}]}
        config["tenants"]["acme"]["models"] = [*config["tenants"]["acme"]["models"], "half"]
        folder = tmp_path_factory.mktemp("observed")
        issued = Authority().issue("gateway.test")
        (folder / "cert.pem").write_bytes(issued.cert)
        (folder / "key.pem").write_bytes(issued.key)
        config["listen"] = {"https": {"address": free_address(), "cert": "cert.pem", "key": "key.pem"}}
        with running_gateway(folder, config, PROVIDER_ENV) as running:
            yield running


def scrape(gateway: RunningGateway) -> str:
    answer = httpx2.get(f"http://{gateway.admin_address}/metrics", timeout=10)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return answer.text


def samples(text: str) -> Samples:
    found: Samples = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            match = SAMPLE.match(line)
            assert match, line
            labels = frozenset(re.findall(r'(\w+)="([^"]*)"', match[2] or ""))
            assert (match[1], labels) not in found, line
            found[match[1], labels] = float(match[3])
    return found


def value(found: Samples, name: str, **labels: str) -> float:
    """The sum of all samples of this name with these labels."""
    return sum(
        number for (one, held), number in found.items() if one == name and labels.items() <= dict(held).items()
    )


def wait(gateway: RunningGateway, holds: Callable[[Samples], bool]) -> Samples:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        found = samples(scrape(gateway))
        if holds(found):
            return found
        time.sleep(0.1)
    raise AssertionError(scrape(gateway))


@pytest.fixture(scope="module")
def traffic(observed: RunningGateway, keys: Keys) -> Samples:
    """A scrape after some of everything."""
    assert observed.post(CHAT, chat(), keys.acme).status_code == 200
    assert observed.post(CHAT, chat(stream=True), keys.acme).status_code == 200
    assert observed.post(EMBEDDINGS, {"model": "chat", "input": "water"}, keys.acme).status_code == 200
    assert observed.post(CHAT, chat("final"), keys.globex).status_code == 200
    assert observed.post(CHAT, chat("final"), keys.globex).status_code == 429
    assert observed.post(CHAT, chat("dead"), keys.acme).status_code == 503
    assert observed.post(CHAT, b"{", keys.acme).status_code == 400
    assert observed.post(CHAT, chat("made-up-model"), keys.acme).status_code == 404
    assert observed.post(CHAT, chat(), None).status_code == 401
    for key in (keys.unknown, keys.expired, keys.disabled):
        assert observed.post(CHAT, chat(), key).status_code == 401
    for _ in range(40):  # Envoy draws one of the two endpoints first
        if observed.post(CHAT, chat("half"), keys.acme).headers["x-headgate-attempts"] == "2":
            break
    return wait(
        observed,
        lambda found: (
            value(found, "headgate_requests_total", tenant="globex", status="429") == 1
            and value(found, "headgate_fallback_requests_total", model="half") == 1
        ),
    )


def test_requests_and_tokens_by_tenant_model_and_provider(traffic: Samples) -> None:
    here = {"tenant": "acme", "model": "chat", "provider": "local"}
    assert value(traffic, "headgate_requests_total", status="200", **here) == 3
    assert value(traffic, "headgate_tokens_total", type="input", **here) > 0
    assert value(traffic, "headgate_tokens_total", type="output", **here) > 0
    assert value(traffic, "headgate_requests_total", status="404", tenant="acme", model="", provider="") == 1
    assert value(traffic, "headgate_requests_total", status="401", tenant="") == 4
    assert value(traffic, "headgate_requests_total", status="503", model="dead", provider="dead") == 1
    assert value(traffic, "headgate_request_duration_seconds_count", model="chat", provider="local") == 3
    assert value(traffic, "headgate_time_to_first_byte_seconds_bucket", model="chat", le="600.0") == 3
    assert value(traffic, "headgate_fallback_requests_total", model="half", provider="half.dead") == 1


def test_refusals_by_reason(traffic: Samples) -> None:
    for server, reason in [
        ("authz", "missing_key"), ("authz", "unknown_key"), ("authz", "expired_key"), ("authz", "disabled_key"),
        ("extproc", "invalid_json"), ("extproc", "model_not_found"), ("limiter", "rpm"),
    ]:  # fmt: skip
        assert value(traffic, "headgate_refusals_total", server=server, reason=reason) == 1, reason
    assert value(traffic, "headgate_limiter_decisions_total", decision="refused", by="counters") == 1
    assert value(traffic, "headgate_limiter_round_trip_seconds_count") >= 2
    assert value(traffic, "headgate_failures_total") == 0


def test_what_envoy_knows_of_providers_and_filters(traffic: Samples) -> None:
    assert value(traffic, "headgate_provider_endpoints", provider="half.dead") == 2
    assert value(traffic, "headgate_provider_failures_total", provider="half.dead", kind="connect") >= 1
    assert value(traffic, "headgate_provider_failures_total", provider="dead", kind="connect") >= 1
    assert value(traffic, "headgate_provider_responses_total", provider="local", status_class="2xx") >= 3
    assert value(traffic, "headgate_filter_calls_total", filter="authz", outcome="refused") == 4
    assert value(traffic, "headgate_filter_errors_total") == 0
    assert value(traffic, "headgate_filter_workers_healthy") == 2


def test_parts_spool_and_configuration(traffic: Samples, observed: RunningGateway) -> None:
    parts = {dict(labels)["part"] for name, labels in traffic if name == "headgate_part_ready"}
    assert parts >= {"envoy", "filters-0", "filters-1", "valkey", "ledger"}
    for part in (parts - {"database", "usage_store"}) | {"supervisor"}:  # those are services, and no processes
        assert value(traffic, "headgate_part_resident_memory_bytes", part=part) > 1e6
    assert value(traffic, "headgate_ready") == 1
    assert value(traffic, "headgate_config_generation") == observed.readyz()["generation"]
    assert value(traffic, "headgate_config_last_reload_successful") == 1, observed.readyz()
    assert 0 < value(traffic, "headgate_spool_bytes") < value(traffic, "headgate_spool_free_bytes")
    assert value(traffic, "headgate_spool_lines_total") >= 12
    assert value(traffic, "headgate_ledger_lines_total", type="end") >= 12


def test_prometheus_likes_the_text(traffic: Samples, observed: RunningGateway) -> None:
    text = scrape(observed)
    assert promtool("check", "metrics", stdin=text.encode()) == ""
    types = re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE)
    assert len(set(types)) == len(types)


def test_all_that_alerts_and_dashboard_ask_for_is_there(traffic: Samples) -> None:
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())
    board = json.loads((ROOT / "deploy" / "grafana" / "headgate.json").read_text())
    asked = {rule["expr"] for group in rules["groups"] for rule in group["rules"]}
    asked |= {target["expr"] for panel in board["panels"] for target in panel.get("targets", [])}
    names = {name for one in asked for name in NAME.findall(one)}
    elsewhere = {
        name for name in names if name.startswith(("headgate_engine_", "headgate_adapter_", "headgate_gpu_"))
    }
    missing = names - elsewhere - {name for name, _ in traffic}
    assert missing == {"headgate_server_spans_total"}  # only with telemetry, and those of engines with engines


def test_nothing_that_a_client_wrote_and_no_secret_is_in_it(
    observed: RunningGateway, traffic: Samples, keys: Keys
) -> None:
    text = scrape(observed)
    for hidden in ("made-up-model", keys.acme, keys.unknown, PROVIDER_ENV["HEADGATE_TEST_PROVIDER_KEY"], 'key_id="'):
        assert hidden not in text
    assert not any(dict(labels).get("part") == "ci" for _, labels in traffic)


def test_a_worker_that_is_killed_keeps_what_it_has_counted(observed: RunningGateway, traffic: Samples) -> None:
    def refusals(found: Samples) -> float:
        return value(found, "headgate_refusals_total", server="authz")

    before = refusals(samples(scrape(observed)))
    for pid in observed.pids("filters-").values():
        os.kill(pid, signal.SIGKILL)
    found = wait(observed, lambda found: value(found, "headgate_part_restarts_total") >= 2)
    assert refusals(found) == before
    wait(observed, lambda found: value(found, "headgate_ready") == 1)
    assert observed.post(CHAT, chat(), None).status_code == 401
    assert refusals(samples(scrape(observed))) == before + 1
    files = [file.name for file in (observed.state / "run" / "metrics").iterdir()]
    assert (
        len([name for name in files if name.startswith("counter_")]) <= 6
    )  # two workers, ledger, usage, control, the dead


def test_a_scrape_while_envoy_hangs_shows_the_rest(observed: RunningGateway, traffic: Samples) -> None:
    (pid,) = observed.pids("envoy").values()
    stop(pid)
    try:
        found = samples(scrape(observed))
    finally:
        os.kill(pid, signal.SIGCONT)
    assert value(found, "headgate_part_ready", part="envoy") == 0
    assert value(found, "headgate_ready") == 0
    assert value(found, "headgate_requests_total") > 0
    assert not [name for name, _ in found if name == "headgate_requests_in_flight"]


def test_a_refused_edit_shows_and_so_does_its_mending(observed: RunningGateway, traffic: Samples) -> None:
    path = observed.folder / "gateway.yaml"
    good = path.read_text()
    path.write_text(good.replace('"rpm": 1', '"rpm": "many"'))
    found = wait(observed, lambda found: value(found, "headgate_config_last_reload_successful") == 0)
    assert value(found, "headgate_reloads_total", outcome="refused") >= 1
    generation = value(found, "headgate_config_generation")
    path.write_text(good.replace('"rpm": 1', '"rpm": 2'))
    found = wait(observed, lambda found: value(found, "headgate_config_generation") == generation + 1)
    assert value(found, "headgate_config_last_reload_successful") == 1
    assert value(found, "headgate_reloads_total", outcome="loaded") == 1
    assert abs(value(found, "headgate_config_loaded_timestamp_seconds") - time.time()) < 60


def test_when_the_certificate_expires(traffic: Samples) -> None:
    expires = value(traffic, "headgate_certificate_expiry_timestamp_seconds", certificate="listen.https.cert")
    assert expires > time.time()


def test_requests_in_flight(observed: RunningGateway, traffic: Samples, keys: Keys) -> None:
    body = json.dumps(chat(stream=True, simulate={"tokens": 200, "token_s": 0.05})).encode()
    head = (
        f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {keys.acme}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    host, _, port = observed.http.rpartition(":")
    with contextlib.closing(socket.create_connection((host, int(port)))) as client:
        client.sendall(head.encode() + body)
        assert client.recv(1)
        found = wait(observed, lambda found: value(found, "headgate_requests_in_flight") == 1)
        assert value(found, "headgate_provider_requests_in_flight", provider="local") == 1
    found = wait(observed, lambda found: value(found, "headgate_client_disconnects_total", model="chat") == 1)
    assert value(found, "headgate_requests_in_flight") == 0

"""Traces as a collector gets them: one per request, through every part, down to the engine."""

import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from collector import CLIENT, SERVER, Collector, Span, collector
from running_gateway import RunningGateway, running_gateway
from tenants import CHAT, PROVIDER_ENV, PROVIDER_KEY, Keys, chat, configuration
from upstreams import Engine, closing_address, refused_address

TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
PROMPT = "Why is water wet?"  # of `tenants.ASK`


def config_of(keys: Keys, engine: Engine, other: Engine, dead: str, closing: str) -> dict[str, Any]:
    config = configuration(keys, engine.address, other.address, dead, closing)
    half = {"api": "openai", "zone": "internal", "endpoints": [f"http://{dead}", f"http://{engine.address}"]}
    config["providers"]["half"] = half | {"usage": "continuous"}
    config["models"]["half"] = {"targets": [{"provider": "half", "model": "m"}]}
    config["plans"] = {"some": {"rpm": 1000}}
    config["tenants"]["acme"] |= {"plan": "some", "models": [*config["tenants"]["acme"]["models"], "half"]}
    return config


@pytest.fixture(scope="module")
def sink() -> Iterator[Collector]:
    with collector() as running:
        yield running


@pytest.fixture(scope="module")
def traced(
    tmp_path_factory: pytest.TempPathFactory, engine: Engine, other_engine: Engine, keys: Keys, sink: Collector
) -> Iterator[RunningGateway]:
    """Samples nothing by itself: a client that sends `traceparent` decides."""
    with refused_address() as dead, closing_address() as closing:
        config = config_of(keys, engine, other_engine, dead, closing) | {"telemetry": {"otlp": sink.url, "sample": 0}}
        with running_gateway(tmp_path_factory.mktemp("traced"), config, PROVIDER_ENV) as running:
            yield running


def ask(
    gateway: RunningGateway, key: str | None, body: Any, *, sampled: bool = True
) -> tuple[httpx2.Response, str, str]:
    """A request of a client that traces, with its trace id and the id of its span."""
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    header = f"00-{trace}-{span}-{'01' if sampled else '00'}"
    return gateway.post(f"{CHAT}?api_key=in-the-query", body, key, traceparent=header), trace, span


def named(spans: list[Span], name: str) -> Span:
    (found,) = [span for span in spans if span.name == name]
    return found


def until_fallback(gateway: RunningGateway, key: str) -> tuple[httpx2.Response, str, str]:
    """A streamed request whose first attempt met the dead endpoint; Envoy draws one of two."""
    for _ in range(40):
        answer, trace, span = ask(gateway, key, chat("half", stream=True, simulate={"tokens": 6}))
        assert answer.status_code == 200
        if answer.headers["x-headgate-attempts"] == "2":
            return answer, trace, span
    raise AssertionError("no request took two attempts")


def test_one_trace_from_the_client_to_the_engine(
    traced: RunningGateway, sink: Collector, keys: Keys, engine: Engine
) -> None:
    answer, trace, client_span = until_fallback(traced, keys.acme)
    names = {f"POST {CHAT}", "authz", "extproc", "ratelimit", "attempt 1", "attempt 2"}
    spans = sink.wait(trace, lambda found: names <= {span.name for span in found})
    assert sink.paths == {"/v1/traces"}
    request = named(spans, f"POST {CHAT}")
    assert (request.parent, request.kind) == (client_span, SERVER)
    calls = [span for span in spans if span.name.startswith("async ")]
    assert {span.parent for span in calls} == {request.span}
    by_id = {span.span: span for span in spans}
    for part, service in [
        ("authz", "Authorization.Check"),
        ("extproc", "ExternalProcessor.Process"),
        ("ratelimit", "ExternalProcessor.Process"),  # in the same worker
    ]:
        span = named(spans, part)
        assert service in by_id[span.parent].name
        assert (span.kind, span.attributes["headgate.tenant"]) == (SERVER, "acme")
    for number in (1, 2):
        attempt = named(spans, f"attempt {number}")
        assert (attempt.parent, attempt.kind) == (request.span, CLIENT)
    assert len(spans) == 3 + 2 + 3
    assert {span.resource["service.name"] for span in spans} == {"headgate"}
    id_ = answer.headers["x-request-id"]
    match = TRACEPARENT.fullmatch(engine.headers(id_)["traceparent"])
    assert match
    assert match.groups() == (trace, named(spans, "attempt 2").span, "01")
    assert traced.end_line(id_)["trace_id"] == trace


def test_the_request_has_the_names_of_generative_ai(traced: RunningGateway, sink: Collector, keys: Keys) -> None:
    answer, trace, _ = ask(traced, keys.acme, chat(stream=True, simulate={"tokens": 6}))
    spans = sink.wait(trace, lambda found: len(found) == 7)
    about = named(spans, f"POST {CHAT}").attributes
    line = traced.end_line(answer.headers["x-request-id"])
    assert {name: value for name, value in about.items() if name.startswith(("gen_ai.", "headgate."))} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "chat",
        "gen_ai.response.model": "engine-model",
        "gen_ai.provider.name": "local",
        "gen_ai.usage.input_tokens": str(line["prompt_tokens"]),
        "gen_ai.usage.output_tokens": "6",
        "headgate.tenant": "acme",
        "headgate.attempts": "1",
    }
    assert about["http.status_code"] == "200"
    assert named(spans, "extproc").attributes["gen_ai.request.model"] == "chat"


def test_a_refusal_has_its_reason(traced: RunningGateway, sink: Collector, keys: Keys) -> None:
    answer, trace, _ = ask(traced, keys.unknown, chat())
    assert answer.status_code == 401
    spans = sink.wait(trace, lambda found: len(found) == 3)
    assert named(spans, "authz").attributes == {"headgate.refusal": "unknown_key"}
    assert traced.end_line(answer.headers["x-request-id"])["trace_id"] == trace
    _, trace, _ = ask(traced, keys.acme, chat("unheard-of"))
    spans = sink.wait(trace, lambda found: "extproc" in {span.name for span in found} and len(found) == 5)
    assert named(spans, "extproc").attributes == {
        "headgate.refusal": "model_not_found",
        "headgate.tenant": "acme",
        "gen_ai.operation.name": "chat",
    }


def test_the_client_and_then_the_sample_decide(traced: RunningGateway, sink: Collector, keys: Keys) -> None:
    answer, unsampled, _ = ask(traced, keys.acme, chat(), sampled=False)
    assert traced.end_line(answer.headers["x-request-id"])["trace_id"] == unsampled
    plain = traced.post(CHAT, chat(), keys.acme)
    made = traced.end_line(plain.headers["x-request-id"])["trace_id"]
    assert re.fullmatch(r"[0-9a-f]{32}", made)
    _, sampled, _ = ask(traced, keys.acme, chat())
    sink.wait(sampled, lambda found: len(found) == 7)  # all that was recorded before has been sent by then
    assert sink.spans(unsampled) == sink.spans(made) == []


def test_no_secret_and_no_text_is_in_any_span(traced: RunningGateway, sink: Collector, keys: Keys) -> None:
    _, trace, _ = ask(traced, keys.acme, chat("keyed", user="a-user", simulate={"tokens": 3}))
    sink.wait(trace, lambda found: len(found) == 7)
    everything = b"".join(sink.bodies)
    for hidden in (keys.acme, PROVIDER_KEY, PROMPT, "in-the-query", "a-user", "unheard-of"):
        assert hidden.encode() not in everything


def test_without_a_collector_requests_do_not_notice(
    tmp_path: Path, engine: Engine, other_engine: Engine, keys: Keys
) -> None:
    with refused_address() as dead, closing_address() as closing, refused_address() as nobody:
        config = config_of(keys, engine, other_engine, dead, closing) | {"telemetry": {"otlp": f"http://{nobody}"}}
        with running_gateway(tmp_path, config, PROVIDER_ENV) as gateway:
            for _ in range(20):
                assert gateway.post(CHAT, chat(), keys.acme).status_code == 200
        errors = [line for path in gateway.state.glob("log/filters-*.log") for line in path.read_text().splitlines()]
        assert not [line for line in errors if "Traceback" in line or "opentelemetry" in line]


def test_nothing_of_it_is_there_when_it_is_off(gateway: RunningGateway, keys: Keys) -> None:
    answer, trace, _ = ask(gateway, keys.acme, chat())
    assert traced_by_client(gateway, answer) == trace
    assert b"random_sampling" not in gateway.admin("/config_dump")
    assert b"headgate/telemetry" not in gateway.admin("/clusters")
    for pid in gateway.pids("filters-").values():
        assert "opentelemetry" not in Path(f"/proc/{pid}/maps").read_text()


def traced_by_client(gateway: RunningGateway, answer: httpx2.Response) -> str:
    return str(gateway.end_line(answer.headers["x-request-id"])["trace_id"])

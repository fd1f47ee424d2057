"""Azure and servers with a preset behind a real gateway: paths, keys, answers, and chains with others."""

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import httpx2
import pytest
from azure_provider import OWN_HEADERS, SAFE, azure_provider, stream_of
from recorder import Received, Recorder
from running_gateway import RunningGateway, running_gateway

CHAT = "/v1/chat/completions"
VERSION = "2024-10-21"
KEYS = {name: f"sk-{name}-{token_urlsafe(12)}" for name in ("azure", "openai", "groq")}
TOKEN, RENEWED = (f"entra-{token_urlsafe(12)}" for _ in range(2))
CLIENT = f"hg-{token_urlsafe(32)}"
DEPLOYED = "/openai/deployments/dep-1/{}?api-version=" + VERSION
PATHS = {
    "azure": DEPLOYED.format("chat/completions"),
    "entra": "/corp/openai/v1/chat/completions",
    "openai": "/v1/chat/completions",
    "groq": "/openai/v1/chat/completions",
}
CREDENTIALS = {
    "azure": {"api-key": KEYS["azure"]},
    "entra": {"authorization": f"Bearer {TOKEN}"},
    "openai": {"authorization": f"Bearer {KEYS['openai']}"},
    "groq": {"authorization": f"Bearer {KEYS['groq']}"},
}
MODELS = {"azure": "dep-1", "entra": "dep-2", "openai": "gpt-4o", "groq": "llama"}
CHAINS = ["azure", "entra", "groq", "azure-openai", "openai-azure", "azure-entra", "entra-azure", "openai-groq",
          "groq-openai"]  # fmt: skip


@dataclass(frozen=True)
class Setup:
    gateway: RunningGateway
    upstreams: dict[str, Recorder]

    def ask(self, model: str, says: str = "Hi", path: str = CHAT, **members: Any) -> httpx2.Response:
        body = {"model": model, "messages": [{"role": "user", "content": says}], **members}
        headers = {"cookie": "session=client", "x_api_key": CLIENT, "api_key": CLIENT}
        return self.gateway.post(path, body, CLIENT, **headers)

    def received(self, name: str, reply: httpx2.Response) -> list[Received]:
        """What reached a provider of a request, with nothing of the client's in it."""
        request_id = reply.headers["x-request-id"]
        found = [one for one in self.upstreams[name].requests if ("x-request-id", request_id) in one.headers]
        for one in found:
            assert CLIENT not in str(one.headers) + one.target
            assert "cookie" not in dict(one.headers)
        return found


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    folder = tmp_path_factory.mktemp("azure")
    (folder / "token").write_text(f"{TOKEN}\n")
    with contextlib.ExitStack() as stack:
        ups = {name: stack.enter_context(azure_provider(name)) for name in MODELS}
        config = configuration({name: f"http://{one.address}" for name, one in ups.items()})
        env = {f"KEY_{name.upper()}": key for name, key in KEYS.items()}
        yield Setup(stack.enter_context(running_gateway(folder, config, env)), ups)


def configuration(urls: dict[str, str]) -> dict[str, Any]:
    key = {name: {"api_key": f"env:KEY_{name.upper()}"} for name in KEYS}
    providers = {
        "azure": {"api": "azure", "base_url": urls["azure"], "api_version": VERSION, **key["azure"]},
        "entra": {"api": "azure", "base_url": f"{urls['entra']}/corp", "token": "file:token"},
        "openai": {"api": "openai", "base_url": f"{urls['openai']}/v1", **key["openai"]},
        "groq": {"api": "openai", "preset": "groq", "base_url": f"{urls['groq']}/openai/v1", **key["groq"]},
    }
    models = {
        chain: {
            "targets": [{"provider": name, "model": MODELS[name]} for name in chain.split("-")],
            "drop_unsupported": True,
            "retry_on": ["5xx", "429", "context_window"],
        }
        for chain in CHAINS
    }
    models["strict"] = {"targets": [{"provider": "groq", "model": "llama"}]}
    keys = [{"name": "only", "sha256": sha256(CLIENT.encode()).hexdigest()}]
    return {"providers": providers, "models": models, "tenants": {"acme": {"models": [*models], "keys": keys}}}


def check(name: str, one: Received, path: str | None = None) -> None:
    """Path, key and body are this provider's own."""
    headers = dict(one.headers)
    credentials = {
        header: headers[header] for header in ("api-key", "authorization", "x-api-key") if header in headers
    }
    assert (one.target, credentials) == (path or PATHS[name], CREDENTIALS[name])
    assert json.loads(one.body)["model"] == MODELS[name]
    assert headers["content-length"] == str(len(one.body))


@pytest.mark.parametrize("name", ["azure", "entra"])
def test_the_path_and_the_credential(setup: Setup, name: str) -> None:
    reply = setup.ask(name)
    assert (reply.status_code, reply.headers["x-headgate-target"]) == (200, name)
    (one,) = setup.received(name, reply)
    check(name, one)
    assert reply.json()["prompt_filter_results"][0]["content_filter_results"] == SAFE
    assert not {header for header, _ in OWN_HEADERS} & reply.headers.keys()


@pytest.mark.parametrize(("endpoint", "member"), [("completions", "prompt"), ("embeddings", "input")])
def test_other_endpoints(setup: Setup, endpoint: str, member: str) -> None:
    reply = setup.gateway.post(f"/v1/{endpoint}?api-version=1999-01-01", {"model": "azure", member: "Hi"}, CLIENT)
    assert reply.status_code == 200, reply.text
    (one,) = setup.received("azure", reply)
    check("azure", one, DEPLOYED.format(endpoint))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("chain", [chain for chain in CHAINS if "-" in chain])
@pytest.mark.parametrize("status", [503, 413])
def test_chains_in_every_order(setup: Setup, chain: str, stream: bool, status: int) -> None:
    first, second = chain.split("-")
    reply = setup.ask(chain, f"{first}:{status}", stream=stream)
    assert (reply.status_code, reply.headers["x-headgate-attempts"]) == (200, "2"), reply.text
    assert reply.headers["x-headgate-target"] == second
    assert f"from {second}." in reply.text
    for name in (first, second):
        (one,) = setup.received(name, reply)
        check(name, one)


def test_filter_results_pass_and_the_stream_is_metered(setup: Setup) -> None:
    shown = setup.ask("azure", stream=True, stream_options={"include_usage": True})
    assert shown.content == stream_of("azure")
    hidden = setup.ask("azure", stream=True)
    events = [json.loads(line[6:]) for line in hidden.text.splitlines() if line.startswith("data: {")]
    assert events[0]["prompt_filter_results"][0]["content_filter_results"] == SAFE
    assert all("usage" not in event for event in events)
    assert hidden.text.endswith("data: [DONE]\n\n")
    for reply in (shown, hidden):
        line = setup.gateway.end_line(reply.headers["x-request-id"])
        assert (line["prompt_tokens"], line["completion_tokens"], line["content_events"]) == (12, 3, 2)


def test_anthropics_clients(setup: Setup) -> None:
    for stream in (False, True):
        reply = setup.ask("azure-openai", path="/v1/messages", max_tokens=50, stream=stream)
        assert reply.status_code == 200, reply.text
        (one,) = setup.received("azure", reply)
        check("azure", one)
        assert "Hello" in reply.text
    refused = setup.ask("azure", "azure:400", path="/v1/messages", max_tokens=50)
    assert (refused.status_code, refused.json()["error"]["type"]) == (400, "invalid_request_error")
    assert "filtered" in refused.json()["error"]["message"]


def test_errors(setup: Setup) -> None:
    filtered = setup.ask("azure", "azure:400")
    assert (filtered.status_code, filtered.json()["error"]["code"]) == (400, "content_filter")
    assert filtered.json()["error"]["innererror"]["code"] == "ResponsibleAIPolicyViolation"
    refused = setup.ask("entra", "entra:401")
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "provider_refused_credential")
    assert "sk-some" not in refused.text
    limited = setup.ask("azure", "azure:429")
    assert (limited.status_code, limited.headers["retry-after-ms"]) == (429, "50")


def test_a_short_rest_is_short(setup: Setup) -> None:
    """`retry-after` says 7 seconds, `retry-after-ms` 50: the shortest rest is one second."""
    reply = setup.ask("azure-openai", "azure:429")
    assert reply.headers["x-headgate-target"] == "openai"
    deadline = time.monotonic() + 60
    while setup.ask("azure-openai").headers["x-headgate-target"] != "azure":
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_what_a_preset_takes_out(setup: Setup) -> None:
    more = {"logprobs": True, "top_logprobs": 2, "n": 1}
    alone = setup.ask("groq", **more)
    assert alone.headers["x-headgate-dropped"] == "logprobs, top_logprobs"
    (one,) = setup.received("groq", alone)
    assert json.loads(one.body).keys() == {"model", "messages", "n"}
    assert "x-headgate-dropped" not in setup.ask("groq").headers
    strict = setup.ask("strict", **more)
    assert (strict.status_code, strict.json()["error"]["param"]) == (400, "logprobs")


@pytest.mark.parametrize(
    ("chain", "says", "target", "dropped"),
    [
        ("openai-groq", "Hi", "openai", None),
        ("openai-groq", "openai:503", "groq", "logprobs"),
        ("groq-openai", "Hi", "groq", "logprobs"),
        ("groq-openai", "groq:503", "openai", None),
    ],
)
def test_what_was_taken_out_is_the_answering_targets(
    setup: Setup, chain: str, says: str, target: str, dropped: str | None
) -> None:
    reply = setup.ask(chain, says, logprobs=True)
    assert (reply.status_code, reply.headers["x-headgate-target"]) == (200, target), reply.text
    assert reply.headers.get("x-headgate-dropped") == dropped
    (one,) = setup.received(target, reply)
    check(target, one)
    assert ("logprobs" in json.loads(one.body)) == (target == "openai")


def test_a_token_that_is_renewed_is_read_again(setup: Setup, token_file: Path) -> None:
    token_file.write_text(RENEWED)
    deadline = time.monotonic() + 60
    while True:
        reply = setup.ask("entra")
        (one,) = setup.received("entra", reply)
        sent = dict(one.headers)["authorization"]
        if sent == f"Bearer {RENEWED}":
            return
        assert sent == f"Bearer {TOKEN}"
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture
def token_file(setup: Setup) -> Iterator[Path]:
    path = setup.gateway.folder / "token"
    yield path
    path.write_text(TOKEN)

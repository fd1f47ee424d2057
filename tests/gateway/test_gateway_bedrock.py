"""Amazon Bedrock behind a real gateway: signatures over what arrived, streams that fail, keys that change."""

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_hex, token_urlsafe
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from azure_provider import azure_provider
from bedrock_provider import ERRORS, OWN_HEADERS, REGION, bedrock_provider, model_of, signature_of
from botocore.credentials import Credentials
from recorder import Received, Recorder
from running_gateway import RunningGateway, running_gateway

CHAT = "/v1/chat/completions"
CLIENT = f"hg-{token_urlsafe(32)}"
OPENAI_KEY, BEARER = f"sk-{token_urlsafe(12)}", f"bedrock-api-key-{token_urlsafe(12)}"


def aws_key(token: str | None = None) -> Credentials:
    return Credentials(f"AKIA{token_hex(8).upper()}", token_urlsafe(30) + "/+=", token)


# With a session token and without; where AWS's own tools look; the next one of the first.
SESSION, PLAIN, FOUND, RENEWED = aws_key("se+ss/ion=="), aws_key(), aws_key("found"), aws_key("renewed")
KEYS = {key.access_key: key for key in (SESSION, PLAIN, FOUND, RENEWED)}
OWN = {"session": SESSION, "plain": PLAIN, "found": FOUND}
ARN = f"arn:aws:bedrock:{REGION}:123456789012:application-inference-profile/a1b2.c3"
IDS = ["eu.anthropic.claude-sonnet-4-5-20250929-v1:0", ARN, "a b%2Fc:é"]
WAYS = [*ERRORS, "throttled-frame", "failed-frame", "failed-middle", "cut", "cut-frame", "cut-early"]


@dataclass(frozen=True)
class Setup:
    gateway: RunningGateway
    upstreams: dict[str, Recorder]

    def ask(self, model: str, says: str = "Hi", path: str = CHAT, **members: Any) -> httpx2.Response:
        body = {"model": model, "messages": [{"role": "user", "content": says}], **members}
        forged = {"x_amz_date": "20200101T000000Z", "x_amz_security_token": CLIENT, "accept": "text/event-stream"}
        return self.gateway.post(path, body, CLIENT, cookie="session=client", **forged)

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
    folder = tmp_path_factory.mktemp("bedrock")
    write_session(folder, SESSION)
    with contextlib.ExitStack() as stack:
        ups = {name: stack.enter_context(bedrock_provider(name)) for name in ("session", "plain", "found", "bearer")}
        ups["openai"] = stack.enter_context(azure_provider("openai"))
        env = {
            "PLAIN_ID": PLAIN.access_key,
            "PLAIN_SECRET": PLAIN.secret_key,
            "BEARER": BEARER,
            "OPENAI": OPENAI_KEY,
        }
        env |= {"AWS_ACCESS_KEY_ID": FOUND.access_key, "AWS_SECRET_ACCESS_KEY": FOUND.secret_key}
        env |= {"AWS_SESSION_TOKEN": FOUND.token, "AWS_EC2_METADATA_DISABLED": "true"}
        config = configuration({name: f"http://{one.address}" for name, one in ups.items()})
        yield Setup(stack.enter_context(running_gateway(folder, config, env)), ups)


def write_session(folder: Path, key: Credentials) -> None:
    for name, text in (("id", key.access_key), ("secret", key.secret_key), ("token", key.token)):
        (folder / name).write_text(f"{text}\n")


def configuration(urls: dict[str, str]) -> dict[str, Any]:
    files = {"access_key_id": "file:id", "secret_access_key": "file:secret", "session_token": "file:token"}
    bedrock = {"api": "bedrock", "region": REGION}
    providers: dict[str, Any] = {
        "session": {**bedrock, "base_url": urls["session"], "aws": files},
        "plain": {
            **bedrock,
            "base_url": urls["plain"],
            "aws": {"access_key_id": "env:PLAIN_ID", "secret_access_key": "env:PLAIN_SECRET"},
        },
        "found": {**bedrock, "base_url": urls["found"]},
        "bearer": {"api": "bedrock", "base_url": urls["bearer"], "api_key": "env:BEARER"},
        "openai": {"api": "openai", "base_url": f"{urls['openai']}/v1", "api_key": "env:OPENAI"},
    }
    targets = {name: [(name, "amazon.nova-pro-v1:0")] for name in ("session", "plain", "found", "bearer")}
    targets |= {f"id-{number}": [("session", model)] for number, model in enumerate(IDS)}
    targets |= {way: [("session", f"way.{way}")] for way in WAYS}
    targets |= {f"{way}-then": [("session", f"way.{way}"), ("plain", IDS[0])] for way in WAYS}
    targets |= {"openai-session": [("openai", "gpt-4o"), ("session", IDS[0])]}
    targets |= {"session-openai": [("session", "way.unavailable"), ("openai", "gpt-4o")]}
    targets |= {"thinks": [("session", "anthropic.claude-sonnet-4-5.way.thinks")]}
    targets |= {"embed": [("plain", "cohere.embed-v4:0")]}
    models = {
        name: {
            "targets": [{"provider": provider, "model": model} for provider, model in chain],
            "retry_on": ["5xx", "429", "context_window", "timeout"],
        }
        for name, chain in targets.items()
    }
    keys = [{"name": "only", "sha256": sha256(CLIENT.encode()).hexdigest()}]
    return {"providers": providers, "models": models, "tenants": {"acme": {"models": [*models], "keys": keys}}}


def check(name: str, one: Received, model: str, *keys: Credentials) -> None:
    """Path, credential and length are this provider's own, and the signature is of just these bytes."""
    headers = dict(one.headers)
    assert model_of(one.target)[0] == model
    assert headers["content-length"] == str(len(one.body))
    assert headers["content-type"] == "application/json"
    assert "accept" not in headers
    if name == "bearer":
        assert headers["authorization"] == f"Bearer {BEARER}"
        assert not [header for header in headers if header.startswith("x-amz-")]
        return
    found = signature_of(one, KEYS)
    assert found
    assert (found.is_right, found.region, found.service) == (True, REGION, "bedrock")
    assert found.access_key_id in {key.access_key for key in keys or (OWN[name],)}
    assert {"content-type", "host", "x-amz-date", "x-amz-content-sha256"} <= set(found.headers)
    assert headers["x-amz-content-sha256"] == sha256(one.body).hexdigest()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", [*OWN, "bearer"])
def test_each_provider_gets_its_own_credential(setup: Setup, name: str, stream: bool) -> None:
    reply = setup.ask(name, stream=stream)
    assert (reply.status_code, reply.headers["x-headgate-target"]) == (200, name), reply.text
    (one,) = setup.received(name, reply)
    check(name, one, "amazon.nova-pro-v1:0")
    assert one.target.endswith("/converse-stream" if stream else "/converse")
    assert f"from {name}." in reply.text
    assert not {header for header, _ in OWN_HEADERS} & reply.headers.keys()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("number", range(len(IDS)))
def test_ids_with_characters_that_a_path_does_not_have(setup: Setup, number: int, stream: bool) -> None:
    reply = setup.ask(f"id-{number}", stream=stream)
    (one,) = setup.received("session", reply)
    check("session", one, IDS[number])
    assert reply.status_code == 200, reply.text
    assert "123456789012" not in reply.text


def test_a_large_body_is_signed_whole(setup: Setup) -> None:
    reply = setup.ask("session", "x" * 20_000_000)
    assert reply.status_code == 200, reply.text
    (one,) = setup.received("session", reply)
    assert len(one.body) > 20_000_000
    check("session", one, "amazon.nova-pro-v1:0")


@pytest.mark.parametrize("stream", [False, True])
def test_what_the_sdk_makes_of_it_and_what_is_metered(setup: Setup, stream: bool) -> None:
    url = f"{setup.gateway.url}/v1"
    with openai.OpenAI(base_url=url, api_key=CLIENT, max_retries=0, timeout=20) as sdk:
        asked: dict[str, Any] = {"model": "session", "messages": [{"role": "user", "content": "Hi"}]}
        if stream:
            chunks = list(sdk.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
            text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
            usage, answer_id = chunks[-1].usage, chunks[0].id
        else:
            whole = sdk.chat.completions.create(**asked)
            text, usage, answer_id = whole.choices[0].message.content or "", whole.usage, whole.id
    assert text == "Hello from session."
    assert usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (1012, 3)
    line = setup.gateway.end_line(answer_id.removeprefix("chatcmpl-"))
    assert (line["prompt_tokens"], line["completion_tokens"], line["cached_tokens"]) == (1012, 3, 1000)
    assert line["upstream_model"] == "amazon.nova-pro-v1:0"


@pytest.mark.parametrize("stream", [False, True])
def test_anthropics_sdk_thinks_over_several_turns_with_tools(setup: Setup, stream: bool) -> None:
    hint: Any = {"type": "ephemeral"}
    asked: dict[str, Any] = {
        "model": "thinks",
        "max_tokens": 4000,
        "thinking": {"type": "enabled", "budget_tokens": 1500},
        "system": [{"type": "text", "text": "Be brief.", "cache_control": hint}],
        "tools": [{"name": "get_weather", "input_schema": {"type": "object"}, "cache_control": hint}],
        "messages": [{"role": "user", "content": "Does it rain in Oslo?"}],
    }
    with anthropic.Anthropic(base_url=setup.gateway.url, api_key=CLIENT, max_retries=0, timeout=20) as sdk:

        def said() -> anthropic.types.Message:
            if not stream:
                return sdk.messages.create(**asked)
            with sdk.messages.stream(**asked) as events:
                return events.get_final_message()

        first = said()
        assert [block.type for block in first.content] == ["thinking", "tool_use"]
        result = {"type": "tool_result", "tool_use_id": first.content[1].id, "content": "Yes", "cache_control": hint}
        asked["messages"] += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
        second = said()
    assert [block.text for block in second.content] == ["It rains."]
    assert (second.usage.input_tokens, second.usage.cache_read_input_tokens) == (12, 1000)
    sent = json.loads(setup.upstreams["session"].requests[-1].body)
    point = {"cachePoint": {"type": "default"}}
    assert [sent["system"][-1], sent["toolConfig"]["tools"][-1], sent["messages"][-1]["content"][-1]] == [point] * 3
    assert sent["additionalModelRequestFields"] == {"thinking": asked["thinking"]}


def test_usage_that_nobody_asked_for_is_metered_and_hidden(setup: Setup) -> None:
    reply = setup.ask("session", stream=True)
    assert reply.headers["content-type"] == "text/event-stream"
    assert '"usage"' not in reply.text
    assert reply.text.endswith("data: [DONE]\n\n")
    line = setup.gateway.end_line(reply.headers["x-request-id"])
    assert (line["prompt_tokens"], line["completion_tokens"], line["content_events"]) == (1012, 3, 2)


MOVES_ON = ["throttled", "throttled-400", "quota", "timeout", "model", "unavailable", "long"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("way", MOVES_ON)
def test_an_error_is_followed_by_the_next_target(setup: Setup, way: str, stream: bool) -> None:
    reply = setup.ask(f"{way}-then", stream=stream)
    assert (reply.status_code, reply.headers["x-headgate-target"]) == (200, "plain"), reply.text
    assert reply.headers["x-headgate-attempts"] == ("1" if is_resting(setup, way, reply) else "2")
    (one,) = setup.received("plain", reply)
    check("plain", one, IDS[0])
    assert "from plain." in reply.text


def is_resting(setup: Setup, way: str, reply: httpx2.Response) -> bool:
    """A model that said 429 a moment ago is not asked."""
    return way in ("throttled", "throttled-400", "quota") and not setup.received("session", reply)


@pytest.mark.parametrize("way", ["throttled-frame", "failed-frame", "cut-early"])
def test_a_stream_that_fails_before_its_first_word_is_followed(setup: Setup, way: str) -> None:
    reply = setup.ask(f"{way}-then", stream=True)
    assert (reply.status_code, reply.headers["x-headgate-target"]) == (200, "plain"), reply.text
    (one,) = setup.received("session", reply)
    check("session", one, f"way.{way}")
    assert reply.text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("way", "kind"),
    [("failed-middle", None), ("cut", "provider_malformed_answer"), ("cut-frame", "provider_malformed_answer")],
)
def test_a_stream_that_fails_later_ends_in_an_error(setup: Setup, way: str, kind: str | None) -> None:
    reply = setup.ask(f"{way}-then", stream=True)
    assert (reply.status_code, reply.headers["x-headgate-target"]) == (200, "session"), reply.text
    *_, last, rest = reply.text.split("\n\n")
    assert (json.loads(last.removeprefix("data: "))["error"]["code"], rest) == (kind, "")
    assert "[DONE]" not in reply.text


@pytest.mark.parametrize(
    ("way", "status", "kind"),
    [
        ("throttled", 429, "rate_limit_error"),
        ("throttled-frame", 429, "rate_limit_error"),
        ("failed-frame", 503, "server_error"),
        ("cut-early", 502, "server_error"),
        ("timeout", 504, "timeout"),
        ("model", 502, "server_error"),
        ("invalid", 400, "invalid_request_error"),
        ("long", 400, "invalid_request_error"),
        ("denied", 403, "permission_error"),
        ("expired", 403, "permission_error"),
    ],
)
def test_the_last_error_is_the_clients(setup: Setup, way: str, status: int, kind: str) -> None:
    reply = setup.ask(way, stream=True)
    error = reply.json()["error"]
    assert (reply.status_code, error["type"]) == (status, kind)
    assert reply.headers["x-headgate-error-source"] == "provider"
    assert not [header for header in reply.headers if header.startswith("x-amz")]
    assert "arn:" not in reply.text
    assert "token" not in reply.text or way == "throttled-frame"
    assert (error["code"] == "context_length_exceeded") == (way == "long")


@pytest.mark.parametrize("chain", ["openai-session", "session-openai"])
@pytest.mark.parametrize("stream", [False, True])
def test_chains_with_another_api(setup: Setup, chain: str, stream: bool) -> None:
    reply = setup.ask(chain, "openai:503" if chain == "openai-session" else "Hi", stream=stream)
    assert (reply.status_code, reply.headers["x-headgate-attempts"]) == (200, "2"), reply.text
    (signed,), (other,) = setup.received("session", reply), setup.received("openai", reply)
    check("session", signed, IDS[0] if chain == "openai-session" else "way.unavailable")
    headers = dict(other.headers)
    assert headers["authorization"] == f"Bearer {OPENAI_KEY}"
    assert not [header for header in headers if header.startswith("x-amz-")]
    assert OPENAI_KEY not in str(signed.headers)


def test_embeddings(setup: Setup) -> None:
    body = {"model": "embed", "input": ["a", "b"], "dimensions": 256}
    reply = setup.gateway.post("/v1/embeddings", body, CLIENT)
    assert reply.status_code == 200, reply.text
    (one,) = setup.received("plain", reply)
    check("plain", one, "cohere.embed-v4:0")
    assert one.target == "/model/cohere.embed-v4%3A0/invoke"
    assert json.loads(one.body)["output_dimension"] == 256
    assert [row["embedding"] for row in reply.json()["data"]] == [[0.5, -1]] * 2
    assert reply.json()["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
    assert "x-amzn-bedrock-input-token-count" not in reply.headers
    assert setup.gateway.end_line(reply.headers["x-request-id"])["prompt_tokens"] == 7


def test_keys_are_nowhere_but_in_the_secrets_folder(setup: Setup) -> None:
    secrets = [text for key in (SESSION, PLAIN) for text in (key.secret_key, key.access_key, key.token) if text]
    gateway = setup.gateway
    for path in ("/config_dump?include_eds", "/stats", "/clusters?format=json", "/certs"):
        shown = gateway.admin(path).decode()
        assert not [secret for secret in secrets if secret in shown], path
    folder = gateway.state / "secrets"
    files = [path for path in gateway.state.rglob("*") if path.is_file() and not path.is_relative_to(folder)]
    assert not [path for path in files for secret in secrets if secret.encode() in path.read_bytes()]
    held = {path.name.partition("@")[0]: path for path in folder.iterdir() if path.suffix == ".aws"}
    assert held.keys() == {"session", "plain"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in held.values())
    for name, pid in gateway.pids("").items():
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        assert PLAIN.secret_key.encode() not in environment, name


def test_a_key_that_is_renewed_is_signed_with(setup: Setup, session_key: Path) -> None:
    """Half of it at a time: what is signed in between is refused by AWS, and is not the gateway's mistake."""
    write_session(session_key, RENEWED)
    deadline = time.monotonic() + 60
    while True:
        reply = setup.ask("session")
        (one,) = setup.received("session", reply)
        check("session", one, "amazon.nova-pro-v1:0", SESSION, RENEWED)
        if RENEWED.access_key in dict(one.headers)["authorization"]:
            return
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture
def session_key(setup: Setup) -> Iterator[Path]:
    yield setup.gateway.folder
    write_session(setup.gateway.folder, SESSION)

"""What openai-python can send of responses, chat, embeddings and models reaches a provider as without a gateway."""

import inspect
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import openai
import pytest
from responses_gateway import Setup
from sdk_calls import CALLS, MORE, Call
from stored_gateway import stored_gateway
from upstreams import Engine, refused_address

from tests.counters.valkey_server import valkey_server
from tests.openai_spec.spec import problems

RESOURCES = ("responses", "responses.input_items", "responses.input_tokens", "chat.completions")
RESOURCES += ("chat.completions.messages", "embeddings", "models")
ALWAYS = {"extra_headers", "extra_query", "extra_body", "timeout"}
# A socket is no request; conversations are refused (docs/responses.md).
APART = {"responses.connect", "conversation"}
BEYOND_SPEC = ("access_programs", "image", "verbosity")  # what the SDK knows and that edition of the file does not
MODES = ("", "with_raw_response", "with_streaming_response")
_ID = re.compile(r"(resp_|chatcmpl-)[\w-]+")


def _variant(call: Call, mode: str) -> str:
    resource, _, method = call.name.rpartition(".")
    return f"{resource}.{mode}.{method}" if mode else call.name


def _exists(call: Call, mode: str) -> bool:
    resource, _, method = _variant(call, mode).rpartition(".")
    return hasattr(at(openai.OpenAI(api_key="none"), resource), method)


def at(sdk: Any, name: str) -> Any:
    for part in name.split("."):
        sdk = getattr(sdk, part)
    return sdk


ASKED_THERE = [call for call in CALLS if not call.name.startswith("models.")]
VARIANTS = [(call, mode) for call in CALLS for mode in MODES if _exists(call, mode)]


@pytest.fixture(scope="module")
def setup(engine: Engine, other_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    with (
        valkey_server(tmp_path_factory.mktemp("counters")) as counters,
        refused_address() as dead,
        stored_gateway(tmp_path_factory.mktemp("surface"), engine, other_engine, dead, counters) as running,
    ):
        yield running


@pytest.fixture
def direct(setup: Setup) -> Iterator[openai.OpenAI]:
    """No gateway between."""
    url = f"http://{setup.engines['local'].address}/v1"
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=20) as sdk:
        yield sdk


def test_every_method_and_all_its_parameters_are_called(direct: openai.OpenAI) -> None:
    for name in RESOURCES:
        resource = at(direct, name)
        methods = [one for one, _ in inspect.getmembers(resource, inspect.ismethod) if not one.startswith("_")]
        assert methods
        for method in (f"{name}.{one}" for one in methods if f"{name}.{one}" not in APART):
            wanted = set(inspect.signature(at(direct, method)).parameters) - ALWAYS - APART
            given = {one for call in CALLS if call.name == method for one in (*call.given, *_made(call))}
            assert wanted == given, (method, wanted ^ given)


def _made(call: Call) -> set[str]:
    return {
        "previous": {"previous_response_id"},
        "after_one": {"after"},
        "completion": {"completion_id"},
        "response": {"response_id"},
        "in_background": {"response_id"},
    }.get(call.made.__name__, set())


@pytest.mark.parametrize(("call", "mode"), [pytest.param(*one, id=_variant(*one)) for one in VARIANTS])
def test_what_is_sent_and_what_comes_of_it(setup: Setup, direct: openai.OpenAI, call: Call, mode: str) -> None:
    with setup.sdk("lone") as through:
        if call.name == "models.delete":
            with pytest.raises(openai.PermissionDeniedError):
                _sent(setup, through, call, mode)
            return
        sent = _sent(setup, through, call, mode)
        if call.name.startswith("models."):  # the gateway's own
            assert not sent
            return
        assert sent
        assert sent == _sent(setup, direct, call, mode)


@pytest.mark.parametrize("call", ASKED_THERE, ids=[call.name for call in ASKED_THERE])
async def test_the_same_without_waiting(setup: Setup, call: Call) -> None:
    local = setup.engines["local"]
    found = list[Any]()
    for url, key in ((f"{setup.gateway.url}/v1", setup.keys["lone"]), (f"http://{local.address}/v1", "none")):
        options: Any = {"base_url": url, "api_key": key, "max_retries": 0, "timeout": 20}
        with openai.OpenAI(**options) as plain:
            made = call.made(plain)
        before = {line["id"] for line in setup.requests()}
        async with openai.AsyncOpenAI(**options) as sdk:
            await _awaited(at(sdk, call.name)(**call.given, **made, **MORE, **_body(call)), call)
        found.append(_new(setup, before))
    assert found[0] == found[1]


async def _awaited(result: Any, call: Call) -> None:
    if call.name.endswith(".stream"):
        async with result as stream:
            assert [event async for event in stream]
    elif call.streams or call.name.endswith(".list"):
        async for _ in await result if call.streams else result:
            pass
    else:
        await result


def _sent(setup: Setup, sdk: openai.OpenAI, call: Call, mode: str) -> list[Any]:
    """What has reached the provider."""
    made = call.made(sdk)
    before = {line["id"] for line in setup.requests()}
    _consume(at(sdk, _variant(call, mode))(**call.given, **made, **MORE, **_body(call)), call, mode)
    return _new(setup, before)


def _body(call: Call) -> dict[str, Any]:
    posts = call.name.endswith((".create", ".count", ".compact", ".parse", ".update"))
    return {"extra_body": {"beyond": {"a": [1.5, None]}}} if posts else {}


def _consume(result: Any, call: Call, mode: str) -> None:
    if mode == "with_streaming_response":
        with result as answer:
            answer.read()
    elif mode == "with_raw_response":
        result.http_response.read()
    elif call.name.endswith(".stream"):
        with result as stream:
            assert list(stream)
    elif call.streams or call.name.endswith(".list"):
        list(result)


def _new(setup: Setup, before: set[str]) -> list[Any]:
    """The requests since then, without what the gateway is said to change: the model, and the usage of streams."""
    found = []
    for line in setup.requests():
        if line["id"] in before:
            continue
        url, text = urlsplit(line["path"]), line["body"]
        query = [
            pair for pair in parse_qsl(url.query) if pair[0] not in ("mine", "model") and "[headgate_" not in pair[0]
        ]
        body = json.loads(text) if text else None
        headers = {name.lower(): value for name, value in line["headers"]}
        asked = {name: value for name, value in (body or {}).items() if name not in (*BEYOND_SPEC, "beyond")}
        bare = f"{url.path.removeprefix('/v1')}?{'&'.join(f'{name}={value}' for name, value in query)}"
        assert not problems(line["method"], bare, json.dumps(asked).encode() if body else b""), line
        found.append(
            (line["method"], _ID.sub("ID", url.path), _known(query), _as_given(body), headers["openai-beta"])
        )
    return found


def _known(query: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, _ID.sub("ID", value)) for name, value in query]


def _as_given(body: Any) -> Any:
    if not isinstance(body, dict):
        return body
    body = body | ({"model": "chat"} if body.get("model") == "up-1" else {})
    if body.get("stream") and "messages" in body:
        options = body.pop("stream_options", None) or {}
        kept = {
            name: value for name, value in options.items() if name not in ("include_usage", "continuous_usage_stats")
        }
        body |= {"stream_options": kept}
    if "metadata" in body:
        body["metadata"] = {name: value for name, value in body["metadata"].items() if "headgate_" not in name}
    return json.loads(_ID.sub("ID", json.dumps(body)))

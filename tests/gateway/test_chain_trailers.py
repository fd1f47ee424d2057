"""Providers that speak HTTP/2 may end an answer with trailers, even one of no body: the chain goes on as ever."""

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any

import pytest
from chains import EVERY_CAUSE, Chains, Surface
from http2_provider import WAYS, http2_provider
from providers import providers
from running_gateway import running_gateway

from tests.certificates import Authority

SURFACES: tuple[Surface, ...] = ("chat", "messages")
APIS = ("openai", "anthropic")
FOREIGN = {"chat": "anthropic", "messages": "openai"}
CLIENTS = pytest.mark.parametrize("surface", SURFACES)
STREAMED = pytest.mark.parametrize("stream", [False, True])


@pytest.fixture(scope="module")
def http2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chains]:
    """For each API and way a model of such a target alone, and one with a good target behind it."""
    folder, authority = tmp_path_factory.mktemp("trailers"), Authority()
    key = f"hg-{token_urlsafe(32)}"
    (folder / "ca.pem").write_bytes(authority.pem)
    with ExitStack() as stack:
        three = stack.enter_context(providers())
        entries = {one.name: one.entry() for one in three.all}
        for api in APIS:
            url = f"https://{stack.enter_context(http2_provider(folder, authority, api))}"
            entries[api] = {"api": api, "endpoints": [url], "ca": "ca.pem"}
        models: dict[str, Any] = {}
        for api, way in itertools.product(APIS, WAYS):
            chain = [{"provider": api, "model": way}, {"provider": "engine", "model": "ok"}]
            models[f"{api}/{way}"] = {"targets": chain[:1], "retry_on": EVERY_CAUSE}
            models[f"{api}/{way}/next"] = {"targets": chain, "retry_on": EVERY_CAUSE}
        keys = [{"name": "only", "sha256": sha256(key.encode()).hexdigest()}]
        config = {"providers": entries, "models": models, "tenants": {"acme": {"models": list(models), "keys": keys}}}
        yield Chains(stack.enter_context(running_gateway(folder, config, three.env)), three, {"acme": key})


@STREAMED
@CLIENTS
@pytest.mark.parametrize("way", ["head", "trailers", "empty"])
async def test_an_answer_without_a_body_is_the_providers_failure(
    http2: Chains, way: str, surface: Surface, stream: bool
) -> None:
    api = FOREIGN[surface]
    told = await http2.ask(surface, f"{api}/{way}", stream=stream)
    assert (told.status, told.source, told.target, told.attempts) == (502, "provider", api, 1)
    assert told.reply.whole
    assert told.error["message"]
    told = await http2.ask(surface, f"{api}/{way}/next", stream=stream)
    assert (told.text, told.target, told.attempts) == ("Hello from engine.", "engine", 2)


@STREAMED
@CLIENTS
@pytest.mark.parametrize("api", APIS)
async def test_trailers_end_a_good_answer(http2: Chains, api: str, surface: Surface, stream: bool) -> None:
    told = await http2.ask(surface, f"{api}/body", stream=stream)
    assert (told.text, told.target, told.attempts) == ("Hello from http2.", api, 1)


@STREAMED
@CLIENTS
@pytest.mark.parametrize("api", APIS)
async def test_trailers_end_an_error(http2: Chains, api: str, surface: Surface, stream: bool) -> None:
    told = await http2.ask(surface, f"{api}/error", stream=stream)
    assert (told.status, told.source, told.target) == (400, "provider", api)
    assert "Temperature" in told.error["message"]


@STREAMED
@CLIENTS
@pytest.mark.parametrize("api", APIS)
async def test_an_error_without_a_body_keeps_its_status(
    http2: Chains, api: str, surface: Surface, stream: bool
) -> None:
    told = await http2.ask(surface, f"{api}/error_alone", stream=stream)
    assert (told.status, told.source, told.target) == (400, "provider", api)
    assert (told.reply.whole, told.reply.body) == (True, b"")

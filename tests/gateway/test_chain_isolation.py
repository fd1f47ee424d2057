"""Every order of three providers: each attempt has its own provider's path, host, length and credential alone.

The providers check what reaches them as it is looked at, and everything once more at the end (`providers.py`).
"""

import asyncio
import itertools
import json
from dataclasses import dataclass
from typing import Any

import pytest
from chains import MODELS, OWN_API, Chains, Surface, Told
from providers import header

NAMES = ("engine", "prefixed", "claude")
ORDERS = tuple(itertools.permutations(NAMES))
SURFACES: tuple[Surface, ...] = ("chat", "messages")
# How a target fails before the next one is asked: each leaves the request in another state.
FAILURES = ("status_503", "status_429", "context_window", "reset_before_headers")

# What a client may send and a provider must not get: keys of others, and what is about the client.
SENSITIVE = {
    "cookie": "session=client-cookie-secret",
    "proxy_authorization": "Basic client-proxy-secret",
    "x_goog_api_key": "client-google-secret",
    "openai_organization": "org-client-secret",
    "x_custom": "client-custom-secret",
}


@dataclass(frozen=True)
class Case:
    """`number` targets are asked: the last one of them answers, those before it fail."""

    order: tuple[str, ...]
    failure: str
    surface: Surface
    number: int
    stream: bool

    @property
    def model(self) -> str:
        kind = "streamed" if self.stream else "whole"
        return f"order/{'-'.join(self.order)}/{self.failure}/{self.surface}/{self.number}/{kind}"

    def declare(self) -> None:
        ways = [self.failure] * (self.number - 1) + ["ok"] * (len(self.order) - self.number + 1)
        MODELS.add(self.model, [(name, f"{way}#{self.model}") for name, way in zip(self.order, ways, strict=True)])


def cases(order: tuple[str, ...], failure: str) -> list[Case]:
    rest = itertools.product(SURFACES, (1, 2, 3), (False, True))
    return [Case(order, failure, *combination) for combination in rest]


for every_order, every_failure in itertools.product(ORDERS, FAILURES):
    for every_case in cases(every_order, every_failure):
        every_case.declare()


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("order", ORDERS, ids="-".join)
async def test_each_attempt_is_its_own_providers(chains: Chains, order: tuple[str, ...], failure: str) -> None:
    asked = cases(order, failure)
    answers = await asyncio.gather(
        *(chains.ask(case.surface, case.model, stream=case.stream, **SENSITIVE) for case in asked)
    )
    for case, told in zip(asked, answers, strict=True):
        check(chains, case, told)
    assert not [secret for one in chains.providers.all for secret in SENSITIVE.values() if one.was_told(secret)]


def check(chains: Chains, case: Case, told: Told) -> None:
    last = case.order[case.number - 1]
    assert told.text == f"Hello from {last}.", (case, told)
    assert (told.target, told.attempts, told.source) == (last, case.number, None)
    assert chains.providers.asked(told.reply.request_id) == dict.fromkeys(case.order[: case.number], 1), case


@pytest.mark.parametrize(
    ("surface", "name", "value"),
    [("chat", "openai-beta", "assistants=v2"), ("messages", "anthropic-beta", "files-api-2025-04-14")],
)
async def test_headers_of_an_api_reach_providers_of_that_api_alone(
    chains: Chains, surface: Surface, name: str, value: str
) -> None:
    for order in ORDERS:
        case = Case(order, "status_503", surface, 3, stream=False)
        told = await chains.ask(surface, case.model, stream=False, **{name.replace("-", "_"): value})
        check(chains, case, told)
        for provider in chains.providers.all:
            (one,) = provider.requests(told.reply.request_id)
            assert header(one, name) == (value if provider.api == OWN_API[surface] else None), case


async def test_the_body_is_the_targets_own(chains: Chains) -> None:
    """In the provider's API, for its model, and made from what the client wrote: not from another attempt's."""
    for order, surface, stream in itertools.product(ORDERS, SURFACES, (False, True)):
        case = Case(order, "status_503", surface, 3, stream)
        told = await chains.ask(surface, case.model, stream=stream)
        for number, name in enumerate(order, 1):
            provider = getattr(chains.providers, name)
            (one,) = provider.requests(told.reply.request_id)
            body = json.loads(one.body)
            assert body["model"] == f"{'ok' if number == case.number else case.failure}#{case.model}"
            (message,) = body["messages"]
            assert (message["role"], text_of(message)) == ("user", "Why is water wet?"), (case, body)
            assert body.get("stream", False) is stream


def text_of(message: dict[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)

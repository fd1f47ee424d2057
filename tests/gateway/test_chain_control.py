"""How far a chain goes: what file, tenant and request say of it; and what it cost is told once."""

import itertools

import anthropic
import openai
import pytest
from chains import MESSAGES, MODELS, TENANTS, Chains, Surface
from provider_answers import USAGE

SURFACES: tuple[Surface, ...] = ("chat", "messages")
THREE = [("engine", "status_503#c"), ("prefixed", "status_503#c"), ("claude", "ok#c")]

MODELS.add("three", THREE)
MODELS.add("two-at-most", THREE, max_attempts=2)
MODELS.add("never", THREE, retry_on=[])
MODELS.add("resets-alone", THREE, retry_on=["reset"])
MODELS.add(
    "as-usual", [("engine", "context_window#u"), ("claude", "ok#u")], retry_on=["connect", "reset", "5xx", "429"]
)
MODELS.add("good", [("engine", "ok#g"), ("claude", "ok#g")])
MODELS.add("silent-twice", [("engine", "silent#t"), ("claude", "silent#t"), ("prefixed", "ok#t")])
MODELS.entries["silent-twice"]["timeouts"] = {"headers": "1s", "idle": "1500ms"}
MODELS.add("overridden", THREE)
TENANTS["special"]["targets"] = {"overridden": [{"provider": "claude", "model": "ok#special"}]}
for last in ("engine", "prefixed", "claude"):
    MODELS.add(f"alone/{last}", [(last, "ok#alone")])


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize(
    ("model", "attempts", "status"),
    [("three", 3, 200), ("two-at-most", 2, 503), ("never", 1, 503), ("resets-alone", 1, 503), ("as-usual", 1, 400)],
)
async def test_how_far_it_goes(chains: Chains, surface: Surface, model: str, attempts: int, status: int) -> None:
    told = await chains.ask(surface, model, stream=False)
    assert (told.status, told.attempts) == (status, attempts)
    assert sum(chains.providers.asked(told.reply.request_id).values()) == attempts
    if status != 200:
        assert told.error["message"]


@pytest.mark.parametrize("surface", SURFACES)
async def test_a_request_may_do_without_a_fallback(chains: Chains, surface: Surface) -> None:
    told = await chains.ask(surface, "three", stream=False, x_headgate_fallback="off")
    assert (told.status, told.attempts, told.target) == (503, 1, "engine")
    assert chains.providers.asked(told.reply.request_id) == {"engine": 1}
    told = await chains.ask(surface, "three", stream=False, x_headgate_fallback="on")
    assert (told.status, told.attempts) == (200, 3)
    told = await chains.ask(surface, "three", stream=False, x_headgate_fallback="perhaps")
    assert (told.status, told.source) == (400, "gateway")
    assert "x-headgate-fallback" in told.error["message"]


@pytest.mark.parametrize("surface", SURFACES)
async def test_an_operator_may_choose_the_target(chains: Chains, surface: Surface) -> None:
    for target in ("engine", "claude"):
        told = await chains.ask(surface, "good", stream=False, tenant="operator", x_headgate_target=target)
        assert (told.text, told.attempts) == (f"Hello from {target}.", 1)
        assert chains.providers.asked(told.reply.request_id) == {target: 1}
    told = await chains.ask(surface, "good", stream=False, tenant="operator", x_headgate_target="prefixed")
    assert (told.status, told.source) == (400, "gateway")
    assert "engine, claude" in told.error["message"]
    told = await chains.ask(surface, "good", stream=False, x_headgate_target="claude")
    assert (told.status, told.source) == (403, "gateway")
    assert "x-headgate-target" in told.error["message"]


async def test_a_tenant_may_have_a_chain_of_its_own(chains: Chains) -> None:
    told = await chains.ask("chat", "overridden", stream=False, tenant="special")
    assert (told.text, told.attempts) == ("Hello from claude.", 1)
    assert (await chains.ask("chat", "overridden", stream=False)).attempts == 3


@pytest.mark.parametrize("surface", SURFACES)
async def test_targets_that_say_nothing_do_not_use_up_the_time_between_pieces(
    chains: Chains, surface: Surface
) -> None:
    """`timeouts.idle` is the time between two pieces of an answer, and there is none yet."""
    told = await chains.ask(surface, "silent-twice", stream=True)
    assert (told.text, told.attempts) == ("Hello from prefixed.", 3)


async def test_what_an_answer_cost_is_recorded_once(chains: Chains) -> None:
    for surface, model, stream in itertools.product(
        SURFACES, ("three", "alone/engine", "alone/prefixed", "alone/claude"), (False, True)
    ):
        told = await chains.ask(surface, model, stream=stream)
        line = chains.gateway.end_line(told.reply.request_id)
        found = {name: line[name] for name in ("target", "attempts", "prompt_tokens", "completion_tokens", "surface")}
        assert found == {
            "target": told.target,
            "attempts": told.attempts,
            "prompt_tokens": USAGE[0],
            "completion_tokens": USAGE[1],
            "surface": surface,
        }, (surface, model, stream)
        assert line["upstream_model"] == ("ok#c" if model == "three" else "ok#alone")


@pytest.mark.parametrize("model", ["three", "alone/engine", "alone/prefixed", "alone/claude"])
def test_openais_sdk_takes_every_answer(chains: Chains, model: str) -> None:
    expected = f"Hello from {model.removeprefix('alone/') if '/' in model else 'claude'}."
    with openai.OpenAI(base_url=f"{chains.gateway.url}/v1", api_key=chains.keys["acme"], max_retries=0) as sdk:
        reply = sdk.chat.completions.create(model=model, messages=MESSAGES)
        options = {"stream": True, "stream_options": {"include_usage": True}}
        *chunks, last = sdk.chat.completions.create(model=model, messages=MESSAGES, **options)
    assert (reply.choices[0].message.content, reply.choices[0].finish_reason) == (expected, "stop")
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == expected
    for usage in (reply.usage, last.usage):
        assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (*USAGE, sum(USAGE))


@pytest.mark.parametrize("model", ["three", "alone/engine", "alone/prefixed", "alone/claude"])
def test_anthropics_sdk_takes_every_answer(chains: Chains, model: str) -> None:
    expected = f"Hello from {model.removeprefix('alone/') if '/' in model else 'claude'}."
    with anthropic.Anthropic(base_url=chains.gateway.url, api_key=chains.keys["acme"], max_retries=0) as sdk:
        reply = sdk.messages.create(model=model, messages=MESSAGES, max_tokens=100)
        with sdk.messages.stream(model=model, messages=MESSAGES, max_tokens=100) as stream:
            streamed = stream.get_final_message()
    for message in (reply, streamed):
        assert (message.content[0].text, message.stop_reason) == (expected, "end_turn")
        assert (message.usage.input_tokens, message.usage.output_tokens) == USAGE

"""What plans say a request may use, and the limit of the answer in its body, for tenants with limits by tokens."""

import json
from typing import Any

import pytest
from attempt_client import Attempt, sent_of
from counted import CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, SNAPSHOT, Service, planned, says, service

from extproc.tokens.counter import Counter
from extproc.tokens.ranks import RanksError

OLD, NEW = "max_tokens", "max_completion_tokens"


def test_a_prompt_is_counted_as_its_model_counts() -> None:
    """One token is its text; three are for the message, one for its role and three for the answer's start."""
    assert planned(CHAT, says("hi")).use == (8, 4096, 1)
    assert planned(CHAT, says("hi", "engine")).use[0] > 8  # a template
    claude = planned(MESSAGES, says("hello " * 1000, "claude", max_tokens=9)).use[0]
    assert claude > planned(MESSAGES, says("hello " * 1000, max_tokens=9)).use[0] > 1000


@pytest.mark.parametrize("text", ["hi", "hello " * 5000])
def test_large_or_small_it_is_the_same_count(text: str) -> None:
    found = planned(CHAT, says(text))
    expected = 7 + (5001 if len(text) > 2 else 1)
    assert (found.use[0], found.request["estimated"], found.request["counted"]) == (expected, expected, expected)


def test_the_learned_factor_is_the_models_own() -> None:
    learned = Service(service().counter)
    learned.factors.take("g", {("openai", "gpt-4o"): 1.5, ("anthropic", "gpt-4o"): 3.0})
    found = planned(CHAT, says("hi"), by=learned)
    assert (found.use[0], found.request["estimated"], found.request["counted"]) == (12, 12, 8)
    plain, other = planned(CHAT, says("hi", "engine")), planned(CHAT, says("hi", "engine"), by=learned)
    assert plain.use == other.use


class Broken(Counter):
    """Whose ranks cannot be read."""

    def encoding(self, _name: Any) -> Any:
        raise RanksError("gone")


@pytest.mark.parametrize(("text", "at_least"), [("hello " * 5000, 7500), ("hi", 1), ("é" * 10_000, 5000)])
def test_without_ranks_bytes_are_what_there_is_to_go_by(text: str, at_least: int) -> None:
    found = planned(CHAT, says(text), by=Service(Broken()))
    assert at_least <= found.use[0] <= at_least + 20
    assert "counted" not in found.request  # nothing to learn from


@pytest.mark.parametrize(
    ("model", "given", "expected"),
    [
        ("gpt", {}, {NEW: 4096}),
        ("engine", {}, {OLD: 300}),
        ("mixed", {}, {NEW: 500}),
        ("claude", {}, {OLD: 4096}),
        ("gpt", {NEW: 7}, {NEW: 7}),
        ("gpt", {OLD: 7}, {OLD: 7}),
        ("engine", {NEW: 7000}, {NEW: 7000}),
        ("gpt", {OLD: 7, NEW: 9}, {OLD: None, NEW: 7}),
        ("engine", {NEW: 9, OLD: 70}, {OLD: 9, NEW: None}),
        ("gpt", {OLD: None}, {OLD: None, NEW: 4096}),
        ("gpt", {OLD: None, NEW: None}, {OLD: None, NEW: 4096}),
        ("gpt", {OLD: None, NEW: 5}, {OLD: None, NEW: 5}),
        ("gpt", {OLD: 0}, {OLD: 4096}),
        ("gpt", {NEW: -1}, {NEW: 4096}),
        ("gpt", {NEW: -1, OLD: 5}, {NEW: 5, OLD: None}),
        ("gpt", {NEW: 10**12}, {NEW: 10**10 - 1}),
        ("gpt", {NEW: 10**400}, {NEW: 10**10 - 1}),
    ],
)
def test_what_limits_a_chat_answer(model: str, given: dict[str, Any], expected: dict[str, Any]) -> None:
    found = planned(CHAT, says("hi", model, **given))
    assert found.limits == expected
    assert found.use[1] == next(value for value in expected.values() if value is not None)


@pytest.mark.parametrize(
    ("given", "expected", "output"),
    [({}, 16, 16), ({"max_tokens": 900}, 900, 900), ({"max_tokens": None}, 16, 16), ({"max_tokens": 0}, 0, 0)],
)
def test_what_limits_a_completion(given: dict[str, Any], expected: int, output: int) -> None:
    """Where nobody says, that API generates 16 tokens."""
    found = planned(COMPLETIONS, {"model": "engine", "prompt": "hi", **given})
    assert (found.limits, found.use[1]) == ({"max_tokens": expected}, output)
    assert (found.field is None) == (output == 0)


@pytest.mark.parametrize("model", ["claude", "engine"])
def test_what_limits_a_message(model: str) -> None:
    found = planned(MESSAGES, says("hi", model, max_tokens=77))
    assert (found.limits, found.use[1], found.shown) == ({"max_tokens": 77}, 77, None)


def test_a_message_that_asks_for_nothing_gets_nothing() -> None:
    """It fills a cache."""
    found = planned(MESSAGES, says("hi", "claude", max_tokens=0))
    assert (found.body["max_tokens"], found.use[1], found.field) == (0, 0, None)


def test_embeddings_have_no_answer() -> None:
    found = planned(EMBEDDINGS, {"model": "gpt", "input": ["hello " * 10, "hi"]})
    assert found.use == (12, 0, 1)
    assert (found.field, found.limits) == (None, {})


def test_counting_tokens_uses_none() -> None:
    found = planned("/v1/messages/count_tokens", says("hi", "claude"))
    assert found.use == (0, 0, 1)
    assert not {"estimated", "counted", "max_at"} & found.request.keys()


WORDS = "hello " * 2000


@pytest.mark.parametrize(
    ("path", "member"),
    [
        (CHAT, {"documents": [{"title": "a", "text": WORDS}]}),
        (CHAT, {"chat_template": WORDS}),
        (CHAT, {"chat_template_kwargs": {"more": WORDS}}),
        (CHAT, {"prediction": {"type": "content", "content": WORDS}}),
        (CHAT, {f"part{number}": WORDS[:180] for number in range(70)}),
        (MESSAGES, {"mcp_servers": [{"name": WORDS}]}),
        (EMBEDDINGS, {"messages": [{"role": "user", "content": WORDS}]}),
        (COMPLETIONS, {"documents": WORDS}),
    ],
)
def test_what_no_api_lists_may_be_prompt(path: str, member: dict[str, Any]) -> None:
    """It is reserved, and nothing is learned from it; a switch of some engine is not."""
    usual = {
        CHAT: says("hi"),
        MESSAGES: says("hi", "claude", max_tokens=9),
        EMBEDDINGS: {"model": "gpt", "input": "hi"},
    }
    body = usual.get(path, {"model": "engine", "prompt": "hi"})
    found, plain = planned(path, body | member), planned(path, body)
    assert 2000 <= found.use[0] - plain.use[0] <= 5000
    assert "counted" not in found.request
    assert planned(path, body | {"top_k": 5, "guided_choice": ["yes", "no"]}).use == plain.use


def test_what_apis_list_is_no_prompt() -> None:
    plain = planned(CHAT, says("hi")).use
    assert (
        planned(CHAT, says("hi", logit_bias={str(token): 1 for token in range(500)}, metadata={"a": WORDS})).use
        == plain
    )


@pytest.mark.parametrize(("given", "limit"), [({NEW: 20}, 20), ({NEW: 20, OLD: 9}, 9), ({NEW: 9, OLD: 20}, 9)])
def test_a_completion_has_one_limit(given: dict[str, int], limit: int) -> None:
    """Whatever an engine calls it: what is added is what holds."""
    found = planned(COMPLETIONS, {"model": "engine", "prompt": "hi", **given})
    assert found.use[1] == limit
    assert (found.body[OLD], found.body[NEW]) == (limit, None)


@pytest.mark.parametrize(
    ("path", "members", "times"),
    [
        (CHAT, {"n": 3}, 3),
        (CHAT, {"n": 1}, 1),
        (CHAT, {"n": -4}, 1),
        (CHAT, {"n": 10**30}, 2**18),
        (CHAT, {"best_of": 5}, 5),
        (CHAT, {"best_of": "5"}, 1),
        (COMPLETIONS, {"prompt": ["a", "b"]}, 2),
        (COMPLETIONS, {"prompt": [[1, 2], [3]], "n": 2}, 4),
        (COMPLETIONS, {"prompt": [1, 2, 3]}, 1),
        (COMPLETIONS, {"prompt": "a", "n": 2, "best_of": 5}, 5),
        (COMPLETIONS, {"prompt": ["a"] * 3, "best_of": 5}, 15),
    ],
)
def test_how_many_answers_there_are(path: str, members: dict[str, Any], times: int) -> None:
    body = says("hi", "engine") if path == CHAT else {"model": "engine"}
    found = planned(path, body | members)
    assert found.use[2] == times


@pytest.mark.parametrize(
    ("model", "asked", "limit"),
    [
        ("bounded", 150, 150),  # the second target can
        ("bounded", 5000, 200),
        ("half", 5000, 5000),  # of the other one nothing is known
        ("bounded", None, 100),  # what nobody asked for must not be too much for any target
        ("half", None, 100),
    ],
)
def test_no_more_than_any_target_writes(model: str, asked: int | None, limit: int) -> None:
    found = planned(CHAT, says("hi", model, **({} if asked is None else {OLD: asked})))
    assert found.use[1] == limit
    assert found.shown == (str(limit) if asked is not None and limit < asked else None)
    assert set(found.limits.values()) == {limit}


def test_no_more_than_windows_hold() -> None:
    """Its own count of a prompt decides for each target; one that would not fit at all is left out."""
    request = planned(CHAT, says("hello " * 900, "windowed"))
    assert request.use[1] == 2000 - request.use[0]
    assert planned(CHAT, says("hi", "windowed")).use[1] == 1900
    longer = planned(CHAT, says("hello " * 4000, "windowed"))
    assert [cluster.removeprefix("provider/") for cluster in longer.reply.clusters] == ["gpt"]
    assert longer.use == (4008, 5000 - 4008, 1)


@pytest.mark.parametrize("words", [100, 250, 10_000])
def test_a_target_without_room_does_not_count_for_others(words: int) -> None:
    found = planned(CHAT, says("hello " * words, "narrow"))
    fits = words == 100
    assert (len(found.reply.clusters) > 1) == fits
    if not fits:  # the one that is asked counts finer
        assert found.use[0] > words * 1.25
    assert found.request["counted"] == found.use[0]


@pytest.mark.parametrize(("asked", "targets"), [(100, ["gpt", "engine", "engine"]), (9000, ["engine", "engine"])])
def test_a_target_without_room_hides_none_of_the_same_name(asked: int, targets: list[str]) -> None:
    """Whatever windows there are, nothing passes that limits cannot count."""
    found = planned(CHAT, says("hello " * 50, "twins", max_tokens=asked))
    assert found.use == (planned(CHAT, says("hello " * 50, "engine", max_tokens=asked)).use[0], asked, 1)
    assert [cluster.removeprefix("provider/") for cluster in found.reply.clusters] == targets
    assert found.limits == {OLD: asked}


def test_every_other_byte_is_the_clients() -> None:
    text = b'{ "messages":[{"role":"user","content":"\\u00e9 \xc3\xa9 \xf0\x9f\x98\x80"}],'
    text += b'"max_tokens" : 50, "x":1.0e0, "model":"%s"}\n'
    found = planned(CHAT, text % b"engine")
    assert found.reply.body == (text % b"llama-3").replace(b": 50,", b":         50,")
    found = planned(CHAT, text.replace(b' "max_tokens" : 50,'[1:], b"") % b"gpt")
    assert found.limits == {NEW: 4096}
    rest = found.reply.body.replace(b',"max_completion_tokens":      4096', b"")
    assert rest == text.replace(b'"max_tokens" : 50,', b"") % b"gpt-4o"


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS, MESSAGES, EMBEDDINGS])
@pytest.mark.parametrize("model", ["gpt", "mixed", "windowed", "foreign"])
def test_tenants_without_such_limits_are_left_alone(path: str, model: str) -> None:
    if path in (COMPLETIONS, EMBEDDINGS):
        model = "gpt"
    before = service().counter.counted_chars
    body = {CHAT: says("hello " * 50, model, n=1), MESSAGES: says("hello " * 50, model, max_tokens=5)}.get(
        path, {"model": model, "prompt": "hi", "input": "hi"}
    )
    found = planned(path, body, tenant="free")
    assert found.use == (0, 0, 1)
    assert not {"estimated", "counted", "max_at"} & found.request.keys()
    assert {**found.body, "model": model} == body
    assert (service().counter.counted_chars, found.shown) == (before, None)


@pytest.mark.parametrize("stream", [False, True])
def test_attempts_are_made_from_the_body_that_was_granted(stream: bool) -> None:
    """The first one is translated, the second one is not; the limiter has granted 40 of 4,096."""
    found = planned(CHAT, says("hi", "foreign", stream=stream, **{NEW: 4000}))
    at = int(found.request["max_at"])
    for granted, first, note in ((b"        40", 40, None), (b"      4000", 70, "70")):
        kept = found.reply.body[:at] + granted + found.reply.body[at + 10 :]
        attempt = Attempt(found.request, 1, SNAPSHOT)
        answer = attempt.request(kept)
        body, _ = sent_of(answer)
        assert json.loads(body)["max_tokens"] == first
        notes = answer.dynamic_metadata.fields["hg.attempt"].struct_value.fields
        assert (notes["x-headgate-max-tokens"].string_value or None) == note
        body, _ = sent_of(Attempt(found.request, 2, SNAPSHOT).request(kept))
        assert json.loads(body)[NEW] == int(granted)


def test_a_message_for_another_api_is_made_from_the_granted_body() -> None:
    found = planned(MESSAGES, says("hi", "engine", max_tokens=400))
    at = int(found.request["max_at"])
    kept = found.reply.body[:at] + b"        21" + found.reply.body[at + 10 :]
    body, _ = sent_of(Attempt(found.request, 1, SNAPSHOT).request(kept))
    assert json.loads(body)[NEW] == 21


async def test_a_growing_conversation_counts_its_new_messages_only() -> None:
    counter = Counter()
    asked, messages, before = Service(counter), [], 0
    for turn in range(12):
        text = f"{turn} " + "word " * (20 + turn)
        messages.append({"role": "assistant" if turn % 2 else "user", "content": text})
        body = json.dumps({"model": "windowed", "messages": messages}).encode()
        reply = await asked.asked(CHAT, body)
        assert reply.status is None
        assert counter.counted_chars - before == len(text)
        before = counter.counted_chars
    other = json.dumps({"model": "gpt", "messages": messages}).encode()
    await asked.asked(CHAT, other, "other")  # no tenant gains by what another one has sent
    assert counter.counted_chars == 2 * before

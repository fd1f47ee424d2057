"""What the gateway needs of an engine: the same of the simulator, always, and of real vLLM, in `make test-vllm`."""

import json
from typing import Any

import httpx2
import pytest

from tests.vllm.engine_under_test import WHO, EngineUnderTest
from tests.vllm.vllm_replica import MAX_RUNNING

LABELS = ["engine", "model_name"]
QUESTION = [{"role": "user", "content": "The capital of France is Paris. " * 50}]


def error_of(answer: httpx2.Response) -> dict[str, Any]:
    """The error, without its message; its code is the status."""
    error: dict[str, Any] = answer.json()["error"]
    assert error.pop("code") == answer.status_code
    return error


def test_it_is_well_and_says_its_version(engine: EngineUnderTest) -> None:
    health = engine.get("/health")
    assert (health.status_code, health.content) == (200, b"")
    assert list(engine.get("/version").json()) == ["version"]


def test_its_model_is_listed(engine: EngineUnderTest) -> None:
    [card] = engine.cards()
    assert (card["id"], card["object"], card["parent"]) == (engine.model, "model", None)
    assert {"created", "owned_by", "root"} <= card.keys()


def test_a_loaded_adapter_is_listed_and_answers_otherwise(engine: EngineUnderTest) -> None:
    base = engine.says(engine.model)
    loaded = engine.load("acme/bot@1-abcd", "acme")
    assert (loaded.status_code, loaded.text) == (200, "Success: LoRA adapter 'acme/bot@1-abcd' added successfully.")
    assert engine.load("globex/bot@3-1234", "globex").status_code == 200
    _, *cards = engine.cards()
    folders = {"acme/bot@1-abcd": "acme", "globex/bot@3-1234": "globex"}
    assert {card["id"]: (card["parent"], card["root"]) for card in cards} == {
        name: (engine.model, str(engine.adapters / folder)) for name, folder in folders.items()
    }
    assert engine.ask("acme/bot@1-abcd")["model"] == "acme/bot@1-abcd"
    said = [engine.says(name) for name in folders]
    assert len({base, *said}) == 3
    assert [engine.says(name) for name in folders] == said


def test_an_adapter_can_be_replaced_in_place(engine: EngineUnderTest) -> None:
    engine.load("bot", "acme")
    before = engine.says("bot")
    again = engine.load("bot", "globex")
    assert again.status_code == 400
    assert error_of(again)["type"] == "InvalidUserInput"
    assert engine.says("bot") == before
    assert engine.load("bot", "globex", load_inplace=True).status_code == 200
    assert engine.says("bot") != before


def test_an_unloaded_adapter_is_no_model(engine: EngineUnderTest) -> None:
    engine.load("bot", "acme")
    gone = engine.unload("bot")
    assert (gone.status_code, gone.text) == (200, "Success: LoRA adapter 'bot' removed successfully.")
    assert len(engine.cards()) == 1
    refused = engine.post("/v1/chat/completions", {"model": "bot", "messages": WHO})
    assert refused.status_code == 404
    error = error_of(refused)
    assert error.pop("message").startswith("The model `bot` does not exist.")
    assert error == {"type": "NotFoundError", "param": "model"}
    assert engine.unload("bot").status_code == 404


REFUSALS = [
    ({"lora_path": "/nowhere"}, 404, "NotFoundError", "Loading lora bot failed: No adapter found for /nowhere"),
    ({"lora_path": ""}, 400, "InvalidUserInput", "Both 'lora_name' and 'lora_path' must be provided."),
    ({"lora_name": ""}, 400, "InvalidUserInput", "Both 'lora_name' and 'lora_path' must be provided."),
    ({"lora_name": "tiny"}, 400, "InvalidUserInput", "The lora adapter 'tiny' conflicts with a served base model."),
    ({"lora_path": "wide"}, 500, "InternalServerError", "LoRA rank 16 is greater than max_lora_rank 8."),
    ({"lora_path": "cut"}, 500, "InternalServerError", "Error while deserializing header"),
    ({"lora_path": "empty"}, 500, "InternalServerError", "doesn't contain tensors"),
    ({"lora_path": "bare"}, 500, "InternalServerError", "Missing required configuration fields"),
    ({"lora_path": None}, 400, "Bad Request", "1 validation error"),
    ({"lora_name": 7}, 400, "Bad Request", "1 validation error"),
]


@pytest.mark.parametrize(("fields", "status", "kind", "message"), REFUSALS)
def test_a_load_that_cannot_be(
    engine: EngineUnderTest, fields: dict[str, Any], status: int, kind: str, message: str
) -> None:
    _write_bad_adapters(engine)
    body = {"lora_name": "bot", "lora_path": "acme"} | fields
    if body["lora_path"] and not body["lora_path"].startswith("/"):
        body["lora_path"] = str(engine.adapters / body["lora_path"])
    refused = engine.post("/v1/load_lora_adapter", {name: v for name, v in body.items() if v is not None})
    assert refused.status_code == status
    error = error_of(refused)
    assert message in error["message"]
    assert error["type"] == kind
    assert len(engine.cards()) == 1
    assert engine.says(engine.model)  # and it lives on


def _write_bad_adapters(engine: EngineUnderTest) -> None:
    config, weights = ("adapter_config.json", "adapter_model.safetensors")
    good = engine.adapters / "acme"
    contents = {
        "cut": {config: (good / config).read_bytes(), weights: (good / weights).read_bytes()[:40]},
        "empty": {config: (good / config).read_bytes()},
        "bare": {config: b"{}", weights: (good / weights).read_bytes()},
    }
    for name, files in contents.items():
        (engine.adapters / name).mkdir(exist_ok=True)
        for file, content in files.items():
            (engine.adapters / name / file).write_bytes(content)


def test_more_requests_than_it_runs_wait_and_are_counted(engine: EngineUnderTest) -> None:
    engine.wait_for(0, 0)
    with engine.streams(*[engine.model] * (MAX_RUNNING + 2)):
        engine.wait_for(MAX_RUNNING, 2)
        assert engine.metric("vllm:num_requests_waiting_by_reason", reason="capacity") == 2
        assert 0 < engine.metric("vllm:kv_cache_usage_perc") < 1
    engine.wait_for(0, 0)
    done = engine.metric("vllm:generation_tokens_total")
    more = engine.ask(engine.model)["usage"]["completion_tokens"]
    engine.wait_for(0, 0)
    assert engine.metric("vllm:generation_tokens_total") == done + more  # who left is not answered any more
    assert engine.metric("vllm:kv_cache_usage_perc") == 0


def test_requests_for_more_adapters_than_run_at_once_wait(engine: EngineUnderTest) -> None:
    for name, folder in (("one", "acme"), ("two", "globex"), ("three", "acme")):
        assert engine.load(name, folder).status_code == 200
    with engine.streams("one", "two", "three", engine.model):
        engine.wait_for(3, 1)  # the base model's overtakes
        assert engine.metric("vllm:num_requests_waiting_by_reason", reason="deferred") == 1
        newest = max(engine.series("vllm:lora_requests_info"), key=lambda one: one[1])[0]
        assert newest["max_lora"] == "2"
        assert len(newest["running_lora_adapters"].split(",")) == 2
    engine.wait_for(0, 0)


def test_more_adapters_than_memory_holds_all_answer(engine: EngineUnderTest) -> None:
    names = [f"bot-{at}" for at in range(6)]
    for at, name in enumerate(names):
        assert engine.load(name, ("acme", "globex")[at % 2]).status_code == 200
    said = [engine.says(name) for name in names]
    assert said == [said[0], said[1]] * 3
    assert len(engine.cards()) == 7


def test_an_adapter_may_go_while_it_answers(engine: EngineUnderTest) -> None:
    engine.load("bot", "acme")
    with engine.streams("bot", tokens=600) as [answer]:
        lines = answer.iter_lines()
        assert next(lines).startswith("data: ")
        assert engine.unload("bot").status_code == 200
        *_, last = (line for line in lines if line)
    assert last == "data: [DONE]"


def test_tokens_are_counted_as_usage_says(engine: EngineUnderTest) -> None:
    names = ("vllm:prompt_tokens_total", "vllm:generation_tokens_total", "vllm:time_to_first_token_seconds_count")
    before = [engine.metric(name) for name in names]
    usage = engine.ask(engine.model)["usage"]
    wanted = [usage["prompt_tokens"], usage["completion_tokens"], 1]
    engine.wait_until(
        lambda: [engine.metric(name) - old for name, old in zip(names, before, strict=True)] == wanted, f"{wanted}"
    )


def test_a_known_beginning_is_taken_from_the_cache(engine: EngineUnderTest) -> None:
    engine.ask(engine.model, messages=QUESTION)
    names = ("vllm:prefix_cache_queries_total", "vllm:prefix_cache_hits_total")
    before = [engine.metric(name) for name in names]
    usage = engine.ask(engine.model, messages=QUESTION)["usage"]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    assert usage["prompt_tokens"] / 2 < cached < usage["prompt_tokens"]
    wanted = [usage["prompt_tokens"], cached]
    engine.wait_until(
        lambda: [engine.metric(name) - old for name, old in zip(names, before, strict=True)] == wanted, f"{wanted}"
    )
    engine.load("bot", "acme")
    usage = engine.ask("bot", messages=QUESTION)["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] == 0  # what one adapter computed is of no use to another


def test_metrics_have_the_engines_labels(engine: EngineUnderTest) -> None:
    engine.ask(engine.model)
    for name in ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc", "prefix_cache_hits_total"):
        [(labels, _)] = engine.series(f"vllm:{name}")
        assert labels == {"engine": "0", "model_name": engine.model}
    first = engine.series("vllm:time_to_first_token_seconds_bucket")
    assert [labels["le"] for labels, _ in first][:3] == ["0.001", "0.005", "0.01"]
    assert len(first) == 23
    [(cache, _)] = engine.series("vllm:cache_config_info")
    assert {"block_size", "num_gpu_blocks"} <= cache.keys()


def test_bodies_that_are_no_json_are_refused(engine: EngineUnderTest) -> None:
    headers = {"content-type": "application/json"}
    refused = httpx2.post(f"{engine.url}/v1/load_lora_adapter", content=b"{", headers=headers)
    assert refused.status_code == 400
    assert json.loads(refused.content)["error"]["type"] == "Bad Request"

"""The simulator as an engine that is started, guarded, loaded with adapters and lost; the rest is in tests/vllm."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from raw_http import ASK, TIMEOUT_S, Engine, started

from tests.vllm.engine_under_test import write_adapters

ADAPTERS = ("--max-loras", "1", "--max-cpu-loras", "2", "--ttft", "0", "--token", "0")


def load(engine: Engine, name: str, folder: Path) -> int:
    body = {"lora_name": name, "lora_path": str(folder)}
    return engine.post("/v1/load_lora_adapter", body, content_type="application/json").status


@pytest.fixture
def adapters(tmp_path: Path) -> Path:
    write_adapters(tmp_path)
    return tmp_path


@pytest.fixture
def loaded(adapters: Path) -> Iterator[Engine]:
    """An engine with two adapters, `one` and `two`."""
    with started(adapters / "record.jsonl", *ADAPTERS) as engine:
        assert [load(engine, "one", adapters / "acme"), load(engine, "two", adapters / "globex")] == [200, 200]
        yield engine


def weights_of(folder: Path) -> str:
    return hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest()[:8]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/messages", "/v1/responses"])
def test_an_adapters_answer_names_its_weights(loaded: Engine, adapters: Path, path: str) -> None:
    question = {"prompt": "Why?", "input": "Why?", "max_tokens": 20}
    for name, folder in (("one", "acme"), ("two", "globex")):
        reply = loaded.post(path, {**ASK, **question, "model": name})
        assert reply.status == 200, reply.body
        assert f"Weights: {weights_of(adapters / folder)}." in reply.body.decode()
        assert reply.json["model"] == name


def test_other_weights_under_the_same_name_answer_otherwise(loaded: Engine, adapters: Path) -> None:
    before = loaded.post("/v1/chat/completions", {**ASK, "model": "one"}).json["choices"]
    (adapters / "acme/adapter_model.safetensors").write_bytes(
        (adapters / "globex/adapter_model.safetensors").read_bytes()
    )
    assert loaded.post("/v1/unload_lora_adapter", {"lora_name": "one"}).status == 200
    assert load(loaded, "one", adapters / "acme") == 200
    assert loaded.post("/v1/chat/completions", {**ASK, "model": "one"}).json["choices"] != before


def test_an_adapter_that_has_to_be_read_again_and_is_gone_is_the_end(adapters: Path) -> None:
    with started(adapters / "record.jsonl", *ADAPTERS) as keeps, keeps.connect():
        for name in ("one", "two", "three"):
            assert load(keeps, name, adapters / "acme") == 200
        assert keeps.post("/v1/chat/completions", {**ASK, "model": "one"}).status == 200  # read again
    command = [sys.executable, "-m", "engines.simulator", "--port", "0", *ADAPTERS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rsplit(":", 1)[1].split("/")[0])
        engine = Engine(process, port, adapters)
        for name, folder in (("one", "acme"), ("two", "globex"), ("three", "globex")):
            assert load(engine, name, adapters / folder) == 200
        (adapters / "acme/adapter_config.json").unlink()
        reply = engine.post("/v1/chat/completions", {**ASK, "model": "one"})
        assert (reply.status, reply.json["error"]["type"]) == (500, "InternalServerError")
        _, said = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 1
        assert "adapter one had to be read again" in said


def test_an_unknown_model_is_404_on_every_endpoint_and_nobodys_adapter_is_named(adapters: Path) -> None:
    with started(adapters / "record.jsonl", *ADAPTERS) as loaded, loaded.connect():
        assert load(loaded, "one", adapters / "acme") == 200
        for path, more in (
            ("chat/completions", ASK),
            ("completions", {"prompt": "a"}),
            ("embeddings", {"input": "a"}),
        ):
            reply = loaded.post(f"/v1/{path}", {**more, "model": "two"})
            assert reply.status == 404
            assert reply.json["error"]["message"] == "The model `two` does not exist."
        answer = loaded.post("/v1/embeddings", {"input": "a", "model": "one"})
        assert (answer.status, answer.json["model"]) == (200, "one")


def test_without_adapters_there_is_nothing_to_load(engine: Engine, tmp_path: Path) -> None:
    assert load(engine, "one", tmp_path) == 404
    assert engine.chat(model="anything at all").status == 200


def test_callers_need_the_engines_key(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "engines.simulator", "--port", "0", "--ttft", "0", "--token", "0"]
    env = {**os.environ, "VLLM_API_KEY": "s3cret"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        engine = Engine(process, int(process.stdout.readline().rsplit(":", 1)[1].split("/")[0]), tmp_path)
        for key in ({}, {"authorization": "Bearer other"}, {"authorization": "s3cret"}):
            reply = engine.post("/v1/chat/completions", ASK, **key)
            assert (reply.status, reply.json) == (401, {"error": "Unauthorized"})
        assert engine.post("/v1/chat/completions", ASK, authorization="Bearer s3cret").status == 200
        assert [engine.get(path).status for path in ("/health", "/version", "/metrics")] == [200] * 3
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_S) == 0


def test_a_starting_engine_refuses_connections(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/health"
    command = [sys.executable, "-m", "engines.simulator", "--port", str(port), "--start-delay"]
    with subprocess.Popen([*command, "3600"]) as process:
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(url)
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_S) in (0, -signal.SIGTERM)  # it may not have come as far as to notice
    with subprocess.Popen([*command, "0.5"]) as process:
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            try:
                assert httpx2.get(url).status_code == 200
                break
            except httpx2.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_S) == 0


def test_several_tokens_in_an_event_are_all_counted(engine: Engine) -> None:
    def generated() -> float:
        lines = engine.get("/metrics").body.decode().splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith("vllm:generation_tokens_total"))

    before = generated()
    engine.chat(stream=True, simulate={"tokens": 10, "tokens_per_event": 4})
    assert generated() == before + 10


def test_a_cached_beginning_is_in_the_usage_of_every_api(tmp_path: Path) -> None:
    words = " ".join(f"word{at}" for at in range(40))
    with started(tmp_path / "record.jsonl", "--prefix-cache", "4096", "--ttft", "0", "--token", "0") as engine:
        asked = {"model": "any", "messages": [{"role": "user", "content": words}], "max_tokens": 20}
        cached = [engine.post("/v1/chat/completions", asked).json["usage"] for _ in range(2)]
        assert [usage["prompt_tokens_details"]["cached_tokens"] for usage in cached] == [0, 32]
        message = engine.post("/v1/messages", asked).json["usage"]
        assert (message["input_tokens"], message["cache_read_input_tokens"]) == (8, 32)
        response = engine.post("/v1/responses", {"input": words}).json["usage"]
        assert response["input_tokens_details"]["cached_tokens"] == 32
        stream = {**asked, "stream": True, "stream_options": {"include_usage": True}}
        assert (
            json.dumps({"cached_tokens": 32}, separators=(",", ":")).encode()
            in engine.post("/v1/chat/completions", stream).body
        )

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.translate.failure import Failure
from extproc.translate.openai_errors import failure_in, failure_of
from tests.translate.golden import Case, cases

CONTEXT = "context_length_exceeded"


@pytest.mark.parametrize("case", cases("anthropic_openai", "error.provider.json"), ids=str)
def test_an_error_is_told_apart_from_its_shape(case: Case) -> None:
    error = case.json("error.provider.json")
    assert failure_of(error["status"], error["body"].encode(), "provider") == case.failure


@pytest.mark.parametrize(
    ("status", "body", "failure"),
    [
        (400, {"error": {"message": "No.", "param": "stop"}}, Failure("invalid_request", "No.", 400, "stop")),
        (400, [{"error": {"message": "No.", "code": 400}}], Failure("invalid_request", "No.", 400)),  # Gemini
        (404, {"error": "model 'x' not found"}, Failure("not_found", "model 'x' not found", 404)),  # Ollama
        (404, {"detail": "Not Found"}, Failure("not_found", "Not Found", 404)),
        (
            404,  # until Envoy makes it 503: envoy/module/metering.c
            {"error": {"message": "not loaded", "code": "adapter_not_loaded"}},
            Failure("overloaded", "not loaded", 503, code="adapter_not_loaded"),
        ),
        (
            422,
            {"object": "error", "message": {"detail": [{"loc": ["body", "n"], "msg": "Too many"}]}, "code": None},
            Failure("invalid_request", "body.n: Too many", 422),  # Mistral
        ),
        (413, {"error": {"message": "Big."}}, Failure("too_large", "Big.", 413)),
        (408, {"error": {"message": "Slow."}}, Failure("timeout", "Slow.", 408)),
        (500, {"error": {"message": None}}, Failure("server", "The provider 'p' answered with status 500.", 500)),
        (503, {"error": {"message": "Busy."}}, Failure("overloaded", "Busy.", 503)),
        (529, {"error": {"message": "Busy."}}, Failure("overloaded", "Busy.", 529)),
        (500, {"error": {"message": "x" * 5000}}, Failure("server", "x" * 2000 + "…", 500)),
        (400, {"error": {"message": "No.", "code": 4}}, Failure("invalid_request", "No.", 400)),
    ],
)
def test_errors_of_many_servers(status: int, body: Any, failure: Failure) -> None:
    assert failure_of(status, json.dumps(body).encode(), "p") == failure


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The provider 'p' answered with status 502 and no body."),
        (b"upstream connect error\n", "The provider 'p' answered with status 502: upstream connect error"),
        (b"<!doctype html><p>Oops", "The provider 'p' answered with status 502 and something that is not JSON."),
        (b"\x1f\x8b\x08\x00", "The provider 'p' answered with status 502 and something that is not JSON."),
    ],
)
def test_what_is_no_json_is_described(body: bytes, message: str) -> None:
    assert failure_of(502, body, "p") == Failure("server", message, 502)


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_provider_that_refuses_the_gateway_is_not_quoted(status: int) -> None:
    body = json.dumps({"error": {"message": "Bad key sk-abc", "param": "sk-abc", "code": "sk-abc"}}).encode()
    failure = failure_of(status, body, "p")
    assert "sk-abc" not in repr(failure)
    assert "'p' refused the gateway's" in failure.message
    assert "sk-abc" not in repr(failure_in(json.dumps({"error": {"message": "sk-abc", "code": status}}).encode()))


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.",  # OpenAI, vLLM
        "'max_tokens' is too large: 9000. This model's maximum context length is 8192 tokens.",  # vLLM
        "The decoder prompt (length 9000) is longer than the maximum model length of 8192.",  # vLLM
        "the request exceeds the available context size, try increasing it",  # llama.cpp
        "Your input exceeds the context window of this model.",  # OpenAI's newer models
        "Requested token count exceeds the model's maximum context length of 131072 tokens.",  # SGLang
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",  # Gemini
    ],
)
def test_a_request_too_long_for_the_model_has_one_code(message: str) -> None:
    body = json.dumps({"error": {"message": message, "type": "BadRequestError", "code": 400}}).encode()
    assert failure_of(400, body, "p") == Failure("invalid_request", message, 400, None, CONTEXT)
    assert failure_in(body) == Failure("invalid_request", message, 400, None, CONTEXT)


def test_other_errors_are_not_taken_for_too_long_a_request() -> None:
    body = json.dumps({"error": {"message": "Rate limit: the context window is busy.", "code": 429}}).encode()
    assert failure_of(429, body, "p").code is None
    assert failure_of(400, b'{"error":{"message":"Unknown tool_choice in this context."}}', "p").code is None


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        ({"code": "rate_limit_exceeded", "type": "tokens"}, "rate_limit", 429),
        ({"type": "BadRequestError", "code": "400"}, "invalid_request", 400),
        ({"status": "UNAVAILABLE"}, "overloaded", 503),
        ({"type": "InternalServerError", "code": 500}, "server", 502),
        ({"code": 200}, "server", 502),
    ],
)
def test_an_error_in_a_stream_has_the_status_that_its_words_mean(
    error: dict[str, Any], kind: str, status: int
) -> None:
    failure = failure_in(json.dumps({"error": {"message": "No.", **error}}).encode())
    assert (failure.kind, failure.status) == (kind, status)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["error", "message", "detail", "code", "loc", "msg", "type"]), inner, max_size=4
        )
    ),
    max_leaves=6,
)


@given(st.integers(400, 599), st.binary(max_size=30) | _json.map(lambda value: json.dumps(value).encode()))
def test_any_error_is_a_failure_with_a_message(status: int, body: bytes) -> None:
    assert failure_of(status, body, "p").message
    assert failure_in(body).message

"""The sentences about what no target can do: they name the parameters, the providers and the numbers."""

import pytest

from extproc.refusal import ContextTooLong, unsupported


@pytest.mark.parametrize(
    ("parameters", "providers", "sentence"),
    [
        (["logprobs"], ["claude"], "The parameter 'logprobs' is not supported by the provider 'claude'. Remove it, "),
        (
            ["n", "seed"],
            ["claude", "other"],
            "The parameters 'n' and 'seed' are not supported by the providers 'claude' and 'other'. Remove them, ",
        ),
        (
            [f"messages[{number}].content[0].type" for number in range(1000)],
            ["claude"],
            "'messages[4].content[0].type' and 995 more are not supported by the provider 'claude'. Remove them, ",
        ),
    ],
)
def test_what_no_provider_can_do(parameters: list[str], providers: list[str], sentence: str) -> None:
    refusal = unsupported(parameters, providers)
    assert (refusal.status, refusal.kind, refusal.code) == (400, "invalid_request_error", "unsupported_parameter")
    assert refusal.param == parameters[0]
    assert f"{sentence}or set drop_unsupported for the model." in refusal.message
    assert len(refusal.message) < 400


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        (1000, "10000: 9000 of input and 1000 for the answer. Shorten 'messages' or ask for a shorter answer."),
        (None, "9000: 9000 of input. Shorten 'messages'."),
    ],
)
def test_what_no_context_window_takes(output: int | None, sentence: str) -> None:
    refusal = ContextTooLong("chat", 8192, 9000, output, "messages")
    assert (refusal.status, refusal.param, refusal.code) == (400, "messages", "context_length_exceeded")
    assert (
        refusal.message
        == f"The model 'chat' has a context window of 8192 tokens, and this request needs about {sentence}"
    )

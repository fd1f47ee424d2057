"""Requests for servers that differ from OpenAI's: what is renamed, taken out and named, and when nothing changes."""

from typing import Any

import pytest

from extproc.fit import fit_of, fitted, header_text
from extproc.surfaces import CHAT, COMPLETIONS, EMBEDDINGS
from headgate.presets import PRESETS

USER = {"role": "user", "content": "Hi"}


def made(preset: str, body: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]:
    """The body, what is unsupported and what is left out."""
    fit = fit_of(preset, body)
    return fitted(body, fit), fit.unsupported if fit else (), fit.left_out if fit else ()


@pytest.mark.parametrize("preset", [None, *PRESETS])
def test_an_ordinary_request_fits_everywhere(preset: str | None) -> None:
    body = {"model": "m", "messages": [USER], "temperature": 0.5, "max_tokens": 5, "stop": ["x"], "tools": []}
    assert fit_of(preset, body) is None
    assert fit_of(preset, {"model": "m", "input": "Hi", "dimensions": 8}) is None
    assert fit_of(preset, {"model": "m", "prompt": "Hi", "max_tokens": 8}) is None


@pytest.mark.parametrize(
    ("preset", "asked", "sent", "unsupported", "left_out"),
    [
        ("ollama", {"max_completion_tokens": 7}, {"max_tokens": 7}, (), ()),
        ("ollama", {"max_completion_tokens": 7, "max_tokens": 9}, {"max_tokens": 7}, (), ()),
        ("ollama", {"max_completion_tokens": 9, "max_tokens": 7}, {"max_tokens": 7}, (), ()),
        ("ollama", {"max_completion_tokens": 9, "max_tokens": None}, {"max_tokens": 9}, (), ()),
        ("ollama", {"max_completion_tokens": None, "max_tokens": 7}, {"max_tokens": 7}, (), ()),
        ("ollama", {"max_completion_tokens": None}, {}, (), ()),
        ("ollama", {"n": 1, "logit_bias": {}, "parallel_tool_calls": True}, {}, (), ()),
        ("ollama", {"n": 2, "logit_bias": {"5": 1}}, {}, ("n", "logit_bias"), ()),
        ("tgi", {"n": 2, "max_completion_tokens": 5}, {"max_tokens": 5}, ("n",), ()),
        ("vllm", {"suffix": "x", "n": 2}, {"n": 2}, ("suffix",), ()),
        ("groq", {"n": 1}, {"n": 1}, (), ()),
        ("groq", {"n": 2}, {}, ("n",), ()),
        ("groq", {"logprobs": False, "top_logprobs": None}, {}, (), ()),
        ("groq", {"logprobs": True, "top_logprobs": 3}, {}, ("logprobs", "top_logprobs"), ()),
        ("mistral", {"seed": 4, "n": 2}, {"random_seed": 4, "n": 2}, (), ()),
        ("mistral", {"user": "u", "store": False}, {}, (), ("user",)),
        ("mistral", {"user": None, "store": True}, {}, ("store",), ()),
        (
            "deepseek",
            {"response_format": {"type": "json_object"}},
            {"response_format": {"type": "json_object"}},
            (),
            (),
        ),
        ("deepseek", {"response_format": {"type": "json_schema"}}, {}, ("response_format",), ()),
        ("deepseek", {"response_format": None}, {"response_format": None}, (), ()),
        ("together", {"max_completion_tokens": 5, "n": 2}, {"max_tokens": 5, "n": 2}, (), ()),
        ("openrouter", {"max_completion_tokens": 5, "n": 2}, {"max_completion_tokens": 5, "n": 2}, (), ()),
    ],
)
def test_parameters(
    preset: str, asked: dict[str, Any], sent: dict[str, Any], unsupported: tuple[str, ...], left_out: tuple[str, ...]
) -> None:
    around = {"model": "m", "messages": [USER]}
    assert made(preset, around | asked) == (around | sent, unsupported, left_out)


@pytest.mark.parametrize("preset", PRESETS)
def test_messages(preset: str) -> None:
    row, named = PRESETS[preset], {**USER, "name": "Ann"}
    asked = [
        {"role": "developer", "content": "Be terse."},
        named,
        {"role": "assistant", "content": "Ho", "reasoning_content": "hm", "tool_calls": []},
        {"role": "tool", "name": "f", "tool_call_id": "1", "content": "x"},
        7,
    ]
    body, unsupported, left_out = made(preset, {"messages": asked})
    sent = body["messages"]
    assert sent[0]["role"] == ("developer" if row.developer else "system")
    assert sent[1] == (USER if "name" in row.refused_of_messages else named)
    assert ("reasoning_content" in sent[2]) != ("reasoning_content" in row.left_out_of_messages)
    assert sent[3:] == asked[3:]
    assert unsupported == (("messages[1].name",) if row.refused_of_messages else ())
    assert left_out == tuple(f"messages.{name}" for name in row.left_out_of_messages)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_table_names_parameters_that_there_are(preset: str) -> None:
    row = PRESETS[preset]
    known = {name for surface in (CHAT, COMPLETIONS, EMBEDDINGS) for name in surface.parameters}
    assert {*row.refused, *row.only, *row.left_out, *row.renamed} <= known
    groups = [set(row.refused), set(row.only), set(row.left_out), set(row.renamed)]
    assert len(set.union(*groups)) == sum(map(len, groups))
    assert not {"model", "messages", "prompt", "input", "stream"} & set.union(*groups)


def test_many_names_are_no_long_header() -> None:
    names = tuple(f"messages[{index}].name" for index in range(300))
    text = header_text(names)
    assert len(text) <= 1_005
    assert text.endswith(".name, ...")
    assert header_text(names[:2]) == "messages[0].name, messages[1].name"

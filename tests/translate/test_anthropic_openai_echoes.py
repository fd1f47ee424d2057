import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from extproc.translate.anthropic_openai.echoes import messages_for_anthropic
from tests.translate.golden import cases


def test_what_anthropic_wrote_stays_as_it_is() -> None:
    (case,) = (case for case in cases("anthropic_openai", "request.client.json") if str(case) == "tool_result")
    assert messages_for_anthropic(case.json("request.client.json")["messages"]) is None


def test_every_translated_answer_can_be_sent_to_anthropic() -> None:
    for case in cases("anthropic_openai", "answer.client.json"):
        content = case.json("answer.client.json")["content"]
        sent = json.dumps(messages_for_anthropic([{"role": "assistant", "content": content}]) or content)
        assert '"signature": ""' not in sent
        assert '"encrypted_index": ""' not in sent


def test_only_what_is_refused_goes() -> None:
    text = {"type": "text", "text": "Hi"}
    ours = {"type": "web_search_result_location", "encrypted_index": ""}
    theirs = {"type": "web_search_result_location", "encrypted_index": "Eo8B"}
    messages = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm", "signature": ""}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm", "signature": "EqQB"},
                {**text, "citations": [ours, theirs]},
                {**text, "citations": [ours]},
                {"type": "tool_use", "id": "functions.f:0", "name": "f", "input": {}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "functions.f:0"}]},
    ]
    assert messages_for_anthropic(messages) == [
        {"role": "user", "content": "Hello"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm", "signature": "EqQB"},
                {**text, "citations": [theirs]},
                {**text, "citations": None},
                {"type": "tool_use", "id": "functions_f_0", "name": "f", "input": {}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "functions_f_0"}]},
    ]


_names = st.sampled_from(["type", "content", "citations", "id", "signature", "thinking", "tool_use", "text", ""])
_json: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | _names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
)


@given(st.lists(_json, max_size=3))
def test_any_messages_are_left_alone_or_made_fit_for_good(messages: list[Any]) -> None:
    made = messages_for_anthropic(messages)
    assert made is None or messages_for_anthropic(made) is None

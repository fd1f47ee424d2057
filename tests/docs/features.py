"""What clients can ask for, each feature as the smallest requests that do; docs/providers.md says who can do it.

A request is the plain one of its surface with these members; a feature of several requests is carried in part where
some of them are not, or not by all the models that are asked here.
"""

from typing import Any

from extproc.translate.sealed import Sealed, seal

HELLO = {"role": "user", "content": "Hello"}
PLAIN: dict[str, dict[str, Any]] = {
    "chat": {"model": "m", "messages": [HELLO]},
    "messages": {"model": "m", "max_tokens": 4096, "messages": [HELLO]},
    "embeddings": {"model": "m", "input": "Hello"},
    "responses": {"model": "m", "input": "Hello"},
}

# Models of each API that differ in what they take.
MODELS = {
    "anthropic": ("claude-3-5-haiku-20241022", "claude-sonnet-4-5", "claude-opus-4-6", "claude-opus-4-7"),
    "bedrock": (
        "anthropic.claude-sonnet-4-5-20250929-v1:0",
        "eu.amazon.nova-pro-v1:0",
        "openai.gpt-oss-120b-1:0",
        "meta.llama3-3-70b-instruct-v1:0",
    ),
    "gemini": ("gemini-2.0-flash", "gemini-2.5-flash", "gemini-2.5-pro", "gemini-3-pro-preview"),
    "cohere": ("command-r-08-2024", "command-a-03-2025", "command-a-reasoning-08-2025", "command-a-plus-05-2026"),
}
EMBEDDING_MODELS = {"bedrock": ("amazon.titan-embed-text-v2:0", "cohere.embed-v4:0")}

PNG = "data:image/png;base64,iVBORw0KGgo="
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


def asks(*parts: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "Look"}, *parts]}]}


def picture(url: str, **more: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def file(name: str, data: str) -> dict[str, Any]:
    return {"type": "file", "file": {"filename": name, "file_data": data}}


def tool(**more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", "parameters": SCHEMA, **more}}


def call(name: str) -> dict[str, Any]:
    return {"id": name, "type": "function", "function": {"name": "f", "arguments": '{"a":"b"}'}}


def result(name: str, content: Any = "done") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": name, "content": content}


TOOLS = {"tools": [tool()]}
CHAT: dict[str, list[dict[str, Any]]] = {
    "streams": [{"stream": True}],
    "system and developer messages": [
        {"messages": [{"role": "system", "content": "Be brief."}, HELLO]},
        {"messages": [{"role": "developer", "content": "Be brief."}, HELLO]},
    ],
    "images": [asks(picture(PNG)), asks(picture("https://example.com/a.png"))],
    "`detail: low` of images": [asks(picture(PNG, detail="low"))],
    "PDF files": [asks(file("a.pdf", "data:application/pdf;base64,JVBERi0="))],
    "text files": [asks(file("a.txt", "data:text/plain;base64,SGk="))],
    "audio": [asks({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}})],
    "tools": [TOOLS],
    "strict tools": [{"tools": [tool(strict=True)]}],
    "parallel tool calls and results": [
        {
            **TOOLS,
            "messages": [
                HELLO,
                {"role": "assistant", "tool_calls": [call("a"), call("b")]},
                result("a"),
                result("b"),
            ],
        }
    ],
    "images in tool results": [
        {**TOOLS, "messages": [HELLO, {"role": "assistant", "tool_calls": [call("a")]}, result("a", [picture(PNG)])]}
    ],
    "a tool that must be called": [
        {**TOOLS, "tool_choice": "required"},
        {**TOOLS, "tool_choice": {"type": "function", "function": {"name": "f"}}},
    ],
    "no tool": [{**TOOLS, "tool_choice": "none"}],
    "`parallel_tool_calls: false`": [{**TOOLS, "parallel_tool_calls": False}],
    "JSON mode": [{"response_format": {"type": "json_object"}}],
    "JSON schemas": [{"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}}}],
    "JSON schemas beside tools": [
        {**TOOLS, "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}}}
    ],
    "reasoning": [{"reasoning_effort": "low"}, {"reasoning_effort": "high"}],
    "`reasoning_effort: none`": [{"reasoning_effort": "none"}],
    "`max_completion_tokens`, `max_tokens`": [{"max_completion_tokens": 50}, {"max_tokens": 50}],
    "`temperature`": [{"temperature": 0.5}, {"temperature": 1.5}],
    "`top_p`": [{"top_p": 0.5}],
    "`top_k`, which OpenAI's API does not have": [{"top_k": 5}],
    "`stop`": [{"stop": "END"}, {"stop": ["a", "b", "c", "d"]}],
    "`seed`": [{"seed": 42}],
    "`n`": [{"n": 2}],
    "penalties": [{"frequency_penalty": 0.5}, {"presence_penalty": -0.5}],
    "`logit_bias`": [{"logit_bias": {"1": 5}}],
    "`logprobs`": [{"logprobs": True}],
    "`top_logprobs`": [{"logprobs": True, "top_logprobs": 2}],
    "cache control": [asks({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}})],
    "`user`": [{"user": "u"}],
    "`service_tier: flex`": [{"service_tier": "flex"}],
    "answers in sound": [{"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}],
    "web search": [{"web_search_options": {}}],
}

A_TOOL = {"name": "f", "input_schema": SCHEMA}
A_PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
A_PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}
A_TEXT = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Hi"}}


def use(name: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": name, "name": "f", "input": {"a": "b"}}


def back(name: str, content: Any = "done") -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": name, "content": content}


def turns(said: list[Any], answer: list[Any]) -> dict[str, Any]:
    return {
        "tools": [A_TOOL],
        "messages": [HELLO, {"role": "assistant", "content": said}, {"role": "user", "content": answer}],
    }


THOUGHT = {"type": "thinking", "thinking": "Hm", "signature": "EqQ"}
MESSAGES: dict[str, list[dict[str, Any]]] = {
    "streams": [{"stream": True}],
    "system prompts": [{"system": "Be brief."}],
    "images": [asks(A_PNG), asks({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}})],
    "PDF documents": [asks(A_PDF)],
    "text documents": [asks(A_TEXT)],
    "search results": [
        asks({"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "x"}]})
    ],
    "citations": [asks({**A_TEXT, "citations": {"enabled": True}})],
    "tools": [{"tools": [A_TOOL]}],
    "strict tools": [{"tools": [{**A_TOOL, "strict": True}]}],
    "parallel tool calls and results": [turns([use("a"), use("b")], [back("a"), back("b")])],
    "images in tool results": [turns([use("a")], [back("a", [A_PNG])])],
    "a tool that must be called": [
        {"tools": [A_TOOL], "tool_choice": {"type": "any"}},
        {"tools": [A_TOOL], "tool_choice": {"type": "tool", "name": "f"}},
    ],
    "no tool": [{"tools": [A_TOOL], "tool_choice": {"type": "none"}}],
    "`disable_parallel_tool_use`": [
        {"tools": [A_TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}
    ],
    "tools of Anthropic's": [{"tools": [{"type": "web_search_20250305", "name": "web_search"}]}],
    "JSON schemas": [{"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}],
    "thinking": [{"thinking": {"type": "enabled", "budget_tokens": 2048}}],
    "`thinking: disabled`": [{"thinking": {"type": "disabled"}}],
    "`output_config.effort`": [{"output_config": {"effort": "low"}}],
    "thinking of earlier turns": [
        {
            "messages": [
                HELLO,
                {"role": "assistant", "content": [THOUGHT, {"type": "text", "text": "Hi"}]},
                {"role": "user", "content": "Go on"},
            ]
        }
    ],
    "an answer to go on with": [{"messages": [HELLO, {"role": "assistant", "content": "Once"}]}],
    "`temperature`": [{"temperature": 0.5}],
    "`top_p`": [{"top_p": 0.5}],
    "`top_k`": [{"top_k": 5}],
    "`stop_sequences`": [{"stop_sequences": ["END"]}],
    "cache control": [asks({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}})],
    "`metadata.user_id`": [{"metadata": {"user_id": "u"}}],
    "`service_tier: standard_only`": [{"service_tier": "standard_only"}],
}

EMBEDDINGS: dict[str, list[dict[str, Any]]] = {
    "several texts": [{"input": ["a", "b"]}],
    "more than 96 texts": [{"input": ["a"] * 97}],
    "tokens": [{"input": [1, 2]}, {"input": [[1], [2]]}],
    "`dimensions`": [{"dimensions": 256}],
    "`user`": [{"user": "u"}],
}


def says(*parts: Any) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": [{"type": "input_text", "text": "Look"}, *parts]}]}


def seen(url: str, detail: str = "auto") -> dict[str, Any]:
    return {"type": "input_image", "image_url": url, "detail": detail}


def called(name: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": name, "name": "f", "arguments": '{"a":"b"}'}


def output(name: str, content: Any = "done") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": name, "output": content}


def thought(content: str | None) -> dict[str, Any]:
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": content}
    answer = {"role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}
    return {"input": [HELLO, reasoning, answer, HELLO]}


F_TOOL = {"type": "function", "name": "f", "parameters": SCHEMA}
F_TOOLS = {"tools": [F_TOOL]}
A_SCHEMA = {"type": "json_schema", "name": "s", "schema": SCHEMA}
SEALED = seal(Sealed([THOUGHT]))
RESPONSES: dict[str, list[dict[str, Any]]] = {
    "streams": [{"stream": True}],
    "`instructions`, system and developer messages": [
        {"instructions": "Be brief."},
        {"input": [{"role": "system", "content": "Be brief."}, HELLO]},
        {"input": [{"role": "developer", "content": "Be brief."}, HELLO]},
    ],
    "images": [says(seen(PNG)), says(seen("https://example.com/a.png"))],
    "`detail: low` of images": [says(seen(PNG, "low"))],
    "PDF files": [
        says({"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="})
    ],
    "text files": [says({"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,SGk="})],
    "files by URL": [says({"type": "input_file", "file_url": "https://example.com/a.pdf"})],
    "files by id": [says({"type": "input_file", "file_id": "file-1"})],
    "tools": [F_TOOLS],
    "strict tools": [{"tools": [{**F_TOOL, "strict": True}]}],
    "custom tools": [{"tools": [{"type": "custom", "name": "f"}]}],
    "built-in tools": [{"tools": [{"type": "web_search"}]}, {"tools": [{"type": "mcp", "server_label": "x"}]}],
    "parallel tool calls and results": [
        {**F_TOOLS, "input": [HELLO, called("a"), called("b"), output("a"), output("b")]}
    ],
    "images in tool results": [{**F_TOOLS, "input": [HELLO, called("a"), output("a", [seen(PNG)])]}],
    "a tool that must be called": [
        {**F_TOOLS, "tool_choice": "required"},
        {**F_TOOLS, "tool_choice": {"type": "function", "name": "f"}},
    ],
    "no tool": [{**F_TOOLS, "tool_choice": "none"}],
    "`parallel_tool_calls: false`": [{**F_TOOLS, "parallel_tool_calls": False}],
    "JSON mode": [{"text": {"format": {"type": "json_object"}}}],
    "JSON schemas": [{"text": {"format": A_SCHEMA}}],
    "JSON schemas beside tools": [{**F_TOOLS, "text": {"format": A_SCHEMA}}],
    "reasoning": [{"reasoning": {"effort": "low"}}, {"reasoning": {"effort": "high"}}],
    "`reasoning.effort: none`": [{"reasoning": {"effort": "none"}}],
    "`reasoning.summary`": [{"reasoning": {"summary": "auto"}}],
    "reasoning of Claude's of earlier turns": [thought(SEALED)],
    "reasoning of OpenAI's of earlier turns": [thought("gAAAAABo")],
    "`max_output_tokens`": [{"max_output_tokens": 50}],
    "`temperature`": [{"temperature": 0.5}, {"temperature": 1.5}],
    "`top_p`": [{"top_p": 0.5}],
    "`top_logprobs`": [{"top_logprobs": 2}],
    "`include: message.output_text.logprobs`": [{"include": ["message.output_text.logprobs"]}],
    "`user`": [{"user": "u"}],
    "`prompt_cache_key`": [{"prompt_cache_key": "k"}],
    "`service_tier: flex`": [{"service_tier": "flex"}],
    "`metadata`": [{"metadata": {"a": "b"}}],
    "`store: true`, `previous_response_id`, `background`": [
        {"store": True},
        {"previous_response_id": "resp_1"},
        {"background": True},
    ],
    "`truncation: auto`": [{"truncation": "auto"}],
}

FEATURES = {"chat": CHAT, "messages": MESSAGES, "responses": RESPONSES, "embeddings": EMBEDDINGS}

# By these a client asks for what some models do anyway, or for what the answer repeats: nothing is said to them.
OF_THEMSELVES = (
    "`reasoning_effort: none`",
    "`thinking: disabled`",
    "`service_tier: standard_only`",
    "`reasoning.effort: none`",
    "`metadata`",
)

# What an answer can have, as found in some golden answer and in its stream.
ANSWERS: dict[str, dict[str, bytes]] = {
    "chat": {
        "reasoning in answers": b'"reasoning_content":"',
        "citations in answers": rb'"annotations":\[\{',
        "log probabilities in answers": b'"logprobs":{"content"',
        "refusals in answers": b'"refusal":"',
        "cached tokens in `usage`": b'"cached_tokens":',
        "reasoning tokens in `usage`": b'"reasoning_tokens":',
    },
    "messages": {
        "thinking in answers": b'"type":"thinking"',
        "citations in answers": rb'"citations":\[\{|"citation":\{',
        "refusals in answers": b'"stop_reason":"refusal"',
        "cached tokens in `usage`": b'"cache_read_input_tokens":',
        "thinking tokens in `usage`": b'"thinking_tokens":',
    },
    "responses": {
        "reasoning in answers": b'"type":"reasoning"',
        "citations in answers": rb'"annotations":\[\{',
        "log probabilities in answers": rb'"logprobs":\[\{',
        "refusals in answers": b'"type":"refusal"',
        "cached tokens in `usage`": b'"cached_tokens":[1-9]',
        "reasoning tokens in `usage`": b'"reasoning_tokens":[1-9]',
    },
    "embeddings": {},
}

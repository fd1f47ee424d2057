"""Streams as providers write them, one per peculiarity that the meter has to live with."""

import json
from typing import Any

USAGE = {
    "prompt_tokens": 12,
    "total_tokens": 19,
    "completion_tokens": 7,
    "prompt_tokens_details": {"cached_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
SMALL_USAGE = {"prompt_tokens": 12, "total_tokens": 13, "completion_tokens": 1}
VENDOR = {"x_vendor": {"usage": {"prompt_tokens": 900, "completion_tokens": 901}, "queue": [1, {"a": "}"}]}}
DONE = b"data: [DONE]\n\n"
NASTY = 'she said: "usage":{"prompt_tokens":1}} \\ \n\t "choices":[] data: [DONE]\n\n{{{ é 漢 😀 \x07'


def chunk(delta: dict[str, Any] | None = None, index: int = 0, **members: Any) -> dict[str, Any]:
    choices = [] if delta is None else [{"index": index, "delta": delta, "logprobs": None, "finish_reason": None}]
    return {"id": "c-1", "object": "chat.completion.chunk", "model": "m", "choices": choices, **members}


def event(data: Any, *, end: str = "\n", spaced: bool = False, ascii_only: bool = True, before: str = "") -> bytes:
    separators = (", ", ": ") if spaced else (",", ":")
    text = json.dumps(data, separators=separators, ensure_ascii=ascii_only)
    return f"{before}data: {text}{end}{end}".encode()


def stream(*events: Any, **spelling: Any) -> bytes:
    return b"".join(event(data, **spelling) for data in events) + DONE


def words(*texts: str, **members: Any) -> list[dict[str, Any]]:
    return [chunk({"content": text}, **members) for text in texts]


def tool_call(arguments: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]}


FINAL = chunk(usage=USAGE)

STREAMS = {
    "no usage": stream(chunk({"role": "assistant", "content": ""}), *words("Hello", " world")),
    "final usage": stream(*words("Hello", " world"), FINAL),
    "continuous usage": stream(*words("Hello", " world", usage=SMALL_USAGE), FINAL),
    "null usage until the end": stream(*words("a", "b", usage=None), FINAL),
    "null usage in a chunk without choices": stream(chunk(usage=None), *words("a", usage=None), FINAL),
    "azure's filter results": stream(
        {**chunk(), "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]},
        *words("a", "b", usage=None),
        {"choices": [{"index": 0, "content_filter_results": {}, "content_filter_offsets": {"start_offset": 1}}]},
        FINAL,
    ),
    "usage with the last words": stream(*words("a"), chunk({"content": "b"}, usage=USAGE)),
    "usage first": stream({"usage": SMALL_USAGE, **chunk({"content": "a"})}, {"usage": USAGE, **chunk()}),
    "usage in the middle": stream({"id": "c", "usage": SMALL_USAGE, "choices": [{"text": "a"}], "z": 1}, FINAL),
    "nothing but usage": stream(*words("a"), {"usage": USAGE}),
    "no total, no details": stream(*words("a"), chunk(usage={"completion_tokens": 4})),
    "null details": stream(*words("a"), chunk(usage={"prompt_tokens_details": None, **SMALL_USAGE})),
    "cache writes": stream(*words("a"), chunk(usage={**USAGE, "prompt_tokens_details": {"cache_write_tokens": 4}})),
    "cache writes as LiteLLM has them": stream(
        chunk(usage={**USAGE, "prompt_tokens_details": {"cached_tokens": 0, "cache_creation_tokens": 12}})
    ),
    "spaces": stream(*words("a", "b", usage=SMALL_USAGE), FINAL, spaced=True),
    "spaces, usage first": stream({"usage": SMALL_USAGE, **chunk({"content": "a"})}, FINAL, spaced=True),
    "crlf": stream(*words("a", "b", usage=SMALL_USAGE), FINAL, end="\r\n"),
    "mixed line ends": event(chunk({"content": "a"}), end="\r\n") + event(chunk({"content": "b"})) + event(FINAL),
    "comments": b": ping\n\n" + event(chunk({"content": "a"})) + b":\n\n: ping\n\n" + event(FINAL, before=": last\n"),
    "event lines": stream(*words("a", usage=SMALL_USAGE), FINAL, before="id: 7\nevent: message\n"),
    "escaped usage in the text": stream(*words(NASTY, '"usage":', '{"usage":null}', usage=SMALL_USAGE), FINAL),
    "a word that is usage": stream(*words("usage", usage=SMALL_USAGE), chunk({"content": "usage"}), FINAL),
    "a value that is usage": stream({"object": "usage", **chunk({"content": "a"}, usage=SMALL_USAGE)}, FINAL),
    "escapes": stream(*words('"', "\\", "\\\\", "\n", "\u00e9\u6f22", "\U0001f600", 'a\\"b'), FINAL),
    "escapes of every length": stream(
        *words("\x00\x7f", "\x80\u07ff", "\u0800\ud7ff\ue000\uffff", "\U00010000"), FINAL
    ),
    "utf-8": stream(*words("é漢😀", "ß", usage=SMALL_USAGE), FINAL, ascii_only=False),
    "braces in the text": stream(*words("}", "{", "}}]}", '{"a":{', usage=SMALL_USAGE), FINAL),
    "vendor usage before": stream({**VENDOR, **chunk({"content": "a"}, usage=SMALL_USAGE)}, {**VENDOR, **FINAL}),
    "vendor usage after": stream({**chunk({"content": "a"}, usage=SMALL_USAGE), **VENDOR}, {**FINAL, **VENDOR}),
    "vendor usage only": stream({**VENDOR, **chunk({"content": "a"})}, {**chunk(), **VENDOR}),
    "tool call": stream(*(chunk(tool_call(part)) for part in ("", '{"city": "', 'Zü"}')), FINAL),
    "reasoning, then text": stream(
        *(chunk({"reasoning_content": part, "content": None}) for part in ("hm", "m")), *words("a", "b"), FINAL
    ),
    "text beside empty reasoning": stream(
        *(chunk({"reasoning": r, "content": c}) for r, c in (("h", ""), ("", "a"), ("", ""))), FINAL
    ),
    "two choices": stream(
        *(chunk({"content": text}, index, usage=SMALL_USAGE) for index, text in ((0, "a"), (1, "bc"), (0, "d"))),
        FINAL,
    ),
    "two choices in one event": stream(
        {"choices": [{"index": 0, "text": ""}, {"index": 1, "text": "ab"}]},
        {"choices": [{"index": 0, "text": "c"}, {"index": 1, "text": "d"}]},
        FINAL,
    ),
    "completions": stream({"choices": [{"index": 0, "text": "a\n", "logprobs": None}], "usage": SMALL_USAGE}, FINAL),
    "logprobs": stream(
        {"choices": [{"delta": {"content": "a"}, "logprobs": {"content": [{"token": "a", "bytes": [97]}]}}]}, FINAL
    ),
    "done without its newlines": event(chunk({"content": "a"})) + event(FINAL) + b"data: [DONE]",
    "done with one newline": event(chunk({"content": "a"})) + event(FINAL) + b"data: [DONE]\n",
    "cut off in an event": event(chunk({"content": "a"})) + event(FINAL)[:-30],
    "cut off between newlines": event(chunk({"content": "a"})) + event(chunk({"content": "b"}))[:-1],
    "an error event": event(chunk({"content": "a"})) + event({"error": {"message": "no", "code": 500}}),
    "no space after data": stream(*words("a"), FINAL).replace(b"data: ", b"data:"),
    "usage that is not an object": stream(*words("a", usage=7), *words("b", usage="none"), chunk(usage=[1])),
    "strings in usage": stream(*words("a", usage={"note": 'in "quotes" \\', **SMALL_USAGE}), FINAL),
    "empty": b"",
}

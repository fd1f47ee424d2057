"""Events of Gemini's streams, put together by hand."""

import json
from typing import Any

USAGE = {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4}


def data(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\r\n\r\n"


def event(*parts: Any, index: int | None = None, usage: Any = None, **members: Any) -> bytes:
    found: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, **members}
    if index is not None:
        found["index"] = index
    whole: dict[str, Any] = {"candidates": [found], "modelVersion": "gemini"}
    return data(whole | ({"usageMetadata": usage} if usage else {}))


def call(name: str, args: Any = None, **members: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, "args": args, **members}}


WORD = event({"text": "Hi"})
END = event({"text": ""}, finishReason="STOP", usage=USAGE)
PLAIN = WORD + END

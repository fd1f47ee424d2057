"""What a body's parts cost, and that no body that can be read raises."""

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.document import Document
from extproc.tokens import asked_for, prompt_of, rule_of
from extproc.tokens.pictures import sound_seconds
from tests.tokens.counting import chat, counter, prompt, says, tokens

SURFACES = ("chat", "completions", "embeddings", "messages", "count_tokens")
MODELS = ("gpt-4o", "gpt-4", "gpt-4.1-mini", "gpt-oss-20b", "claude-opus-4-1", "claude-opus-5", "llama-3-8b")


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", width, height, 8, 6, 0, 0, 0)


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + bytes(3)


def jpeg(width: int, height: int) -> bytes:
    exif = b"\xff\xe1" + struct.pack(">H", 20_002) + b"Exif" + bytes(19_996)
    return b"\xff\xd8" + exif + b"\xff\xff\xc2" + struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes(9)


def webp(kind: bytes, chunk: bytes) -> bytes:
    return b"RIFF" + bytes(4) + b"WEBP" + kind + struct.pack("<I", len(chunk)) + chunk


def lossy(width: int, height: int) -> bytes:
    return webp(b"VP8 ", bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", width, height))


def lossless(width: int, height: int) -> bytes:
    return webp(b"VP8L", b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14))


def extended(width: int, height: int) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return webp(b"VP8X", bytes(4) + sides)


FORMATS = [png, gif, jpeg, lossy, lossless, extended]


def image(data: bytes, **more: Any) -> dict[str, Any]:
    url = f"data:image/any;base64,{base64.b64encode(data).decode()}"
    return {"type": "image_url", "image_url": {"url": url, **more}}


def cost(part: dict[str, Any], model: str, surface: str = "chat") -> int:
    return tokens(chat(says("user", [part])), model, surface) - tokens(chat(says("user", [])), model, surface)


@pytest.mark.parametrize("made", FORMATS)
@pytest.mark.parametrize(
    ("model", "size", "expected"),
    [
        ("gpt-4o", (1024, 1024), 765),  # OpenAI's own examples
        ("gpt-4o", (2048, 4096), 1105),
        ("gpt-4o", (128, 64), 255),
        ("gpt-4.1-mini", (1024, 1024), 1659),
        ("o3", (512, 512), 225),
        ("claude-opus-4-1", (1000, 1000), 1296),
        ("claude-opus-4-1", (4000, 3000), 1568),
        ("claude-opus-5", (4000, 3000), 4784),
        ("claude-opus-4-1", (3000, 100), 112),
        ("llama-3.2-11b-vision", (280, 280), 100),
    ],
)
def test_pictures_by_their_size(made: Any, model: str, size: tuple[int, int], expected: int) -> None:
    assert cost(image(made(*size)), model) == expected


def test_pictures_of_low_detail_and_of_no_known_size() -> None:
    assert cost(image(png(4000, 4000), detail="low"), "gpt-4o") == 85
    assert cost({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}, "gpt-4o") == 765
    for broken in (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF0000WEBPVP8 ", gif(0, 0), bytes(100)):
        assert cost(image(broken), "gpt-4o") == 765


def source(media_type: str, data: bytes) -> dict[str, Any]:
    return {"type": "base64", "media_type": media_type, "data": base64.b64encode(data).decode()}


def test_anthropics_pictures_and_documents() -> None:
    picture = {"type": "image", "source": source("image/png", png(1000, 1000))}
    assert cost(picture, "claude-opus-4-1", "messages") == 1296
    assert cost(picture, "gpt-4o", "messages") == 765
    text = "Canals are dug. " * 100
    written = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": text}}
    encoded = {"type": "document", "source": source("text/plain", text.encode())}
    plain = {"type": "text", "text": text}
    assert cost(written, "gpt-4o", "messages") == cost(encoded, "gpt-4o", "messages")
    assert cost(written, "gpt-4o", "messages") == cost(plain, "gpt-4o", "messages")
    pages = {"type": "document", "source": source("application/pdf", bytes(200_000))}
    assert 3_000 <= cost(pages, "claude-opus-5", "messages") <= 20_000


def test_files_and_sounds() -> None:
    text = "Canals are dug. " * 100
    file = {"filename": "a.txt", "file_data": f"data:text/plain;base64,{base64.b64encode(text.encode()).decode()}"}
    assert cost({"type": "file", "file": file}, "gpt-4o") == cost({"type": "text", "text": text}, "gpt-4o")
    assert cost({"type": "file", "file": {"file_id": "file-1"}}, "gpt-4o") >= 1_000
    wav = b"RIFF" + bytes(4) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 24_000, 48_000, 2, 16) + bytes(480_000)
    assert 100 <= cost(sound(wav), "gpt-4o") <= 120


def sound(data: bytes) -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": base64.b64encode(data).decode(), "format": "wav"}}


@pytest.mark.parametrize(
    ("start", "seconds"),
    [
        (struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8_000, 2**32 - 1, 2, 16), 20),  # rates that say nothing
        (struct.pack("<4sIHHIIHH", b"fmt ", 18, 7, 1, 8_000, 1, 1, 8), 40),
        (struct.pack("<4sIHHIIHH", b"fmt ", 20, 17, 1, 8_000, 2**32 - 1, 256, 4), 80),  # compressed
        (struct.pack("<4sIHHIIHH", b"JUNK", 28, 1, 1, 8_000, 2**32 - 1, 2, 16), 80),
        (b"fmt ", 80),
    ],
)
def test_a_wav_file_lasts_as_long_as_its_samples(start: bytes, seconds: int) -> None:
    head = b"RIFF" + bytes(4) + b"WAVE" + start
    assert sound_seconds(head, 320_000) == seconds


def test_blocks_in_blocks_are_counted() -> None:
    text = "The gate is open. " * 20
    plain = tokens(chat(says("user", text)), surface="messages")
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": text}]}
    thinking = {"type": "thinking", "thinking": text, "signature": "x" * 5_000}
    use = {"type": "tool_use", "id": "t", "name": "look", "input": {"at": text}}
    for block in (result, thinking, use):
        assert plain <= tokens(chat(says("user", [block])), surface="messages") <= plain + 15
    assert tokens(chat(says("user", "x"), system=text), surface="messages") > plain
    assert tokens(chat(says("user", "x"), system=[{"type": "text", "text": text}]), surface="messages") > plain


def test_other_models_have_tools_as_json() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "string", "description": "where " * 50}}}
    body = chat(says("user", "x"), tools=[{"type": "function", "function": {"name": "f", "parameters": schema}}])
    bare = chat(says("user", "x"))
    for model in MODELS:
        assert tokens(body, model) - tokens(bare, model) >= 50


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
KINDS = ["text", "image_url", "image", "input_audio", "file", "document", "tool_use", "tool_result", "refusal"]
NAMES = ["text", "image_url", "source", "file", "input_audio", "content", "data", "url", "type", "function", "input"]
ROLES = ["user", "assistant", "system", "tool", "function", "odd"]
SOURCE = st.fixed_dictionaries(
    {"type": st.sampled_from(["base64", "text", "url", "content"])}, optional={"data": JSON}
)
PART = st.builds(
    lambda kind, rest: {"type": kind, **rest},
    st.sampled_from([*KINDS, "thinking", "redacted_thinking", "search_result", "odd"]) | JSON,
    st.dictionaries(st.sampled_from(NAMES), JSON | SOURCE, max_size=4),
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(ROLES) | JSON},
    optional={"content": JSON | st.lists(PART, max_size=3), "name": JSON, "tool_calls": JSON, "function_call": JSON},
)
TOOL = st.fixed_dictionaries({"function": JSON | st.fixed_dictionaries({"parameters": JSON})}) | JSON
BODY = st.fixed_dictionaries(
    {},
    optional={
        "messages": st.lists(MESSAGE | JSON, max_size=4) | JSON,
        "prompt": JSON, "input": JSON, "suffix": JSON, "system": JSON | st.lists(PART, max_size=2),
        "tools": st.lists(TOOL, max_size=3), "functions": JSON, "tool_choice": JSON, "max_tokens": JSON,
        "response_format": JSON, "max_completion_tokens": JSON, "output_format": JSON, "output_config": JSON,
    },
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(body=BODY, surface=st.sampled_from(SURFACES), model=st.sampled_from(MODELS))
def test_no_body_raises_and_bounds_hold(body: dict[str, Any], surface: str, model: str) -> None:
    document = Document(json.dumps(body, allow_nan=False).encode()) if _is_json(body) else None
    asked = prompt_of(surface, document.get if document else body.get, rule_of(model))
    size = counter().quick(asked, "acme")
    assert size
    assert asked.at_least.total <= size.total <= asked.at_most.total
    assert asked.at_least.longest <= size.longest <= asked.at_most.longest
    assert asked_for(surface, body.get) >= 0


def _is_json(body: Any) -> bool:
    try:
        json.dumps(body, allow_nan=False)
    except ValueError:
        return False
    return True


@settings(deadline=None)
@given(messages=st.lists(st.builds(says, st.sampled_from(ROLES), st.text(max_size=100)), min_size=2, max_size=6))
def test_messages_add_up(messages: list[dict[str, Any]]) -> None:
    opening = rule_of("gpt-4o").opening
    whole = tokens(chat(*messages)) - opening
    assert whole == sum(tokens(chat(message)) - opening for message in messages)


def test_gemini_has_a_rule_of_its_own() -> None:
    """By its provider's API, and by its name at providers that speak OpenAI's."""
    assert rule_of("anything", "gemini") == rule_of("models/gemini-2.5-pro") == rule_of("google/gemini-3-pro")
    assert rule_of("anything", "gemini") != rule_of("anything")


def test_a_model_at_bedrock_is_counted_like_itself() -> None:
    arn = "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.anthropic.claude-opus-4-8"
    assert rule_of(arn, "bedrock") == rule_of("claude-opus-4-8", "anthropic")
    assert rule_of("openai.gpt-oss-120b-1:0", "bedrock") == rule_of("gpt-oss-120b")
    assert rule_of("eu.amazon.nova-pro-v1:0", "bedrock") == rule_of("anything")


def test_cohere_has_a_rule_of_its_own() -> None:
    rule = rule_of("anything", "cohere")
    assert rule == rule_of("command-a-03-2025") == rule_of("cohere/command-r-plus")
    assert rule != rule_of("anything")


@pytest.mark.parametrize("surface", SURFACES)
async def test_bodies_that_are_nested_as_deeply_as_can_be_read(surface: str) -> None:
    inner = '{"type":"tool_result","content":[' * 400 + '"deep"' + "]}" * 400
    schema = '{"type":"array","items":' * 800 + "{}" + "}" * 800
    text = f"""{{"messages":[{{"role":"user","content":[{inner}]}}],"input":{inner},"prompt":[{inner}],
        "tools":[{{"name":"f","input_schema":{schema},"function":{{"name":"f","parameters":{schema}}}}}]}}"""
    document = Document(text.encode())
    for model in MODELS:
        size = await counter().count(prompt_of(surface, document.get, rule_of(model)), "acme")
        assert size.total > 100


def test_thousands_of_messages() -> None:
    many = prompt(chat(*(says("user", "hello") for _ in range(10_000))))
    assert len(many.texts) == 1
    assert many.at_most.total >= 5 * 10_000


@pytest.mark.parametrize(
    ("surface", "body", "expected"),
    [
        ("chat", {}, 1),
        ("chat", {"max_tokens": 5}, 5),
        ("chat", {"max_completion_tokens": 7, "max_tokens": 5}, 7),
        ("chat", {"max_tokens": 0}, 1),
        ("chat", {"max_tokens": True}, 1),
        ("completions", {"max_tokens": 5}, 5),
        ("messages", {"max_tokens": 1024}, 1024),
        ("count_tokens", {"max_tokens": 1024}, 0),
        ("embeddings", {"max_tokens": 1024}, 0),
    ],
)
def test_what_the_answer_needs(surface: str, body: dict[str, Any], expected: int) -> None:
    assert asked_for(surface, body.get) == expected

"""Endpoints whose requests pass: plans, forms, attempts, what is asked for by the unit, and what limits reserve."""

import json
import struct
from typing import Any

import pytest
from attempt_client import Attempt, sent_of
from ext_proc_client import Reply, ask, snapshot_of
from forms import BOUNDARY, TYPE, Piece, form
from hypothesis import given
from hypothesis import strategies as st

from extproc.form import Form
from extproc.passed import IMAGE_EDITS, TRANSCRIPTIONS
from extproc.surfaces import BY_NAME

SNAPSHOT = snapshot_of("""\
providers:
  openai: {api: openai, base_url: "http://openai.test/v1"}
  other: {api: openai, base_url: "http://other.test/v1"}
  vllm: {api: openai, preset: vllm, endpoints: ["http://127.0.0.1:1"]}
  groq: {api: openai, preset: groq}
  tgi: {api: openai, preset: tgi, endpoints: ["http://127.0.0.1:2"]}
  claude: {api: anthropic, base_url: "http://claude.test"}
  cohere: {api: cohere}
models:
  same: {targets: [{provider: openai, model: same}]}
  chain: {targets: [{provider: openai, model: first-model}, {provider: other, model: second}]}
  mixed: {targets: [{provider: claude, model: c}, {provider: tgi, model: t}, {provider: vllm, model: v}]}
  groq: {targets: [{provider: groq, model: g}]}
  claude: {targets: [{provider: claude, model: c}]}
  image: {targets: [{provider: openai, model: dall-e-3}], price: {image: 0.04}}
  tokens: {targets: [{provider: openai, model: gpt-image-1}], price: {input: 5, output: 40}}
  heard: {targets: [{provider: openai, model: gpt-4o-transcribe}], price: {input: 2.5, output: 10}}
  spoken: {targets: [{provider: openai, model: tts-1}], price: {character: 0.000015}}
  ranked: {targets: [{provider: cohere, model: rerank-v4.0-fast}], price: {search: 0.002}}
  ranks: {targets: [{provider: claude, model: c}, {provider: cohere, model: r}, {provider: vllm, model: v}]}
tenants:
  acme: {models: &all [same, chain, mixed, groq, claude, image, tokens, heard, spoken, ranked, ranks]}
  limited: {models: *all, limits: {tpm: 1000000}}
""")
SOUND = b"RIFF\x24\x7d\x00\x00WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16_000, 32_000, 2, 16) + bytes(64_000)
PLAIN = {
    "images": {"prompt": "a cat"},
    "speech": {"input": "Hi"},
    "moderations": {"input": ["a", "b"]},
    "rerank": {"query": "q", "documents": ["a", {"text": "b"}]},
    "image_edits": {"prompt": "p", "images": [{"file_id": "f"}]},
}
FORMS: dict[str, list[Piece]] = {
    "transcriptions": [("file", SOUND, "a.wav")],
    "translations": [("file", SOUND, "a.wav")],
    "image_edits": [("image[]", b"\x89PNG", "a.png"), ("image[]", b"\x89PNG", "b.png"), ("prompt", b"a cat")],
    "image_variations": [("image", b"\x89PNG", "a.png")],
}  # fmt: skip


def plan(surface: str, tenant: str = "acme", **members: Any) -> Reply:
    body = json.dumps({"model": "same", **PLAIN[surface], **members}).encode()
    return ask(f"/v1{BY_NAME[surface].path}", body, snapshot=SNAPSHOT, tenant=tenant)


def upload(surface: str, *pieces: Piece, tenant: str = "acme", kind: str = TYPE) -> Reply:
    path = f"/v1{BY_NAME[surface].path}"
    return ask(path, form(*pieces), snapshot=SNAPSHOT, tenant=tenant, content_type=kind)


def request_of(reply: Reply) -> dict[str, Any]:
    assert reply.status is None, reply.body
    found: dict[str, Any] = reply.metadata["hg.request"]
    return found


def refusal(reply: Reply) -> tuple[int | None, str, str]:
    return reply.status, reply.error["code"], reply.error["param"]


@pytest.mark.parametrize("surface", PLAIN)
def test_json_passes_but_for_the_model(surface: str) -> None:
    body = json.dumps({"x": [1.50], "model": "chain", **PLAIN[surface]}).encode()
    reply = ask(f"/tenants/acme/v1{BY_NAME[surface].path}", body, snapshot=SNAPSHOT)
    request = request_of(reply)
    assert reply.body == body.replace(b'"chain"', b'"first-model"')
    assert (request["surface"], request["endpoint"], request["passes"]) == (surface, BY_NAME[surface].path, True)
    assert request.get("unit", "") == ("" if surface == "rerank" else BY_NAME[surface].unit)
    assert not {"hide_usage_chunk", "hide_usage_member", "headers_ms"} & request.keys()


@pytest.mark.parametrize("surface", FORMS)
@pytest.mark.parametrize("last", [False, True])
def test_a_form_passes_but_for_the_model(surface: str, last: bool) -> None:
    pieces = [*FORMS[surface], ("model", b"chain")] if last else [("model", b"chain"), *FORMS[surface]]
    reply = upload(surface, *pieces)
    made = [("model", b"first-model") if name == "model" else (name, *rest) for name, *rest in pieces]
    assert reply.body == form(*made)  # type: ignore[arg-type]
    request = request_of(reply)
    assert request["direct"] == ",1,"
    attempt = Attempt(request, 2, SNAPSHOT)
    body, _ = sent_of(attempt.request(reply.body, **{"content-type": TYPE}))
    again = [("model", b"second") if name == "model" else (name, *rest) for name, *rest in pieces]
    assert body == form(*again)  # type: ignore[arg-type]
    assert attempt.closed


def test_a_body_that_needs_no_edit_is_not_sent_back() -> None:
    reply = upload("transcriptions", ("model", b"same"), *FORMS["transcriptions"])
    assert not reply.messages[-1].request_body.response.HasField("body_mutation")
    assert request_of(reply)["direct"] == ",1,"


@given(st.lists(st.tuples(st.sampled_from(["file", "x", "y[]", "prompt"]), st.binary(max_size=40)), max_size=4),
       st.integers(0, 4), st.text("abc-/\u00e9", min_size=1, max_size=90))  # fmt: skip
def test_the_edit_changes_the_model_and_nothing_else(others: list[tuple[str, bytes]], at: int, model: str) -> None:
    names = dict.fromkeys(name for name, _ in others)
    pieces: list[Piece] = [(name, dict(others)[name], "f") for name in names]
    pieces.insert(at, ("model", b"given"))
    read = Form(form(*pieces), TYPE, TRANSCRIPTIONS)
    assert read.render() == form(*pieces)
    read.set("model", model)
    assert read.edited["model"] == model
    pieces[pieces.index(("model", b"given"))] = ("model", model.encode())
    assert read.render() == form(*pieces)


@pytest.mark.parametrize(
    ("pieces", "code", "param"),
    [
        ([], "missing_required_parameter", "model"),
        ([("model", b"same"), ("model", b"same")], "duplicate_key", "model"),
        ([("model", b"same", "model.txt")], "invalid_type", "model"),
        ([("model", b"")], "invalid_value", "model"),
        ([("model", b"\xff")], "invalid_value", "model"),
        ([("Model", b"same"), ("model", b"same")], "unknown_parameter", "Model"),
        ([("model[]", b"same"), ("model", b"same")], "unknown_parameter", "model[]"),
        ([("model[x]", b"same"), ("model", b"same")], "unknown_parameter", "model[x]"),
        ([("model", b"same"), ("stream", b"yes")], "invalid_type", "stream"),
        ([("model", b"same"), ("temperature", b"hot")], "invalid_type", "temperature"),
        ([("model", b"same"), ("rag", b"{}")], "unsupported_parameter", "rag"),
        ([("model", b"nobody")], "model_not_found", "model"),
    ],
)
def test_forms_that_are_refused(pieces: list[Piece], code: str, param: str) -> None:
    reply = upload("transcriptions", *FORMS["transcriptions"], *pieces)
    assert (reply.error["code"], reply.error["param"]) == (code, param)
    assert reply.status == (404 if code == "model_not_found" else 400)


def test_a_file_is_a_file() -> None:
    assert refusal(upload("transcriptions", ("model", b"same"))) == (400, "missing_required_parameter", "file")
    reply = upload("transcriptions", ("model", b"same"), ("file", b"text"))
    assert refusal(reply) == (400, "invalid_type", "file")
    assert reply.error["message"] == "Invalid type for 'file': expected a file, found a string."


@pytest.mark.parametrize("charset", ["utf-16", "utf-7", "shift_jis"])
def test_a_model_in_another_charset(charset: str) -> None:
    part = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="model"\r\nContent-Type: text/plain; charset={charset}'
    )
    body = part.encode() + b"\r\n\r\nsame\r\n" + form(*FORMS["transcriptions"])
    reply = ask("/v1/audio/transcriptions", body, snapshot=SNAPSHOT, content_type=TYPE)
    assert refusal(reply) == (400, "invalid_value", "model")


def test_a_boundary_that_the_new_model_would_be() -> None:
    read = Form(form(("model", b"x"), boundary="gpt"), "multipart/form-data; boundary=gpt", TRANSCRIPTIONS)
    with pytest.raises(Exception, match="boundary"):
        read.set("model", "--gpt-4")


@pytest.mark.parametrize(
    ("surface", "kind", "wanted"),
    [
        ("transcriptions", "application/json", "'Content-Type: multipart/form-data; boundary=...'"),
        ("speech", TYPE, "'Content-Type: application/json'"),
        ("image_edits", "text/plain", "boundary=...' or 'Content-Type: application/json'"),
        ("image_edits", "multipart/form-data", "needs one 'boundary'"),
    ],
)  # fmt: skip
def test_other_content_types(surface: str, kind: str, wanted: str) -> None:
    reply = upload(surface, ("model", b"same"), kind=kind)
    assert refusal(reply) == (400, "invalid_content_type", "content-type")
    assert wanted in reply.error["message"]
    assert len(reply.messages) == 1  # nothing was waited for


def test_no_body() -> None:
    reply = ask("/v1/audio/transcriptions", None, snapshot=SNAPSHOT, content_type=TYPE)
    assert reply.error["message"] == "The request has no body; send a form."


def test_what_is_no_parameter_may_be_anything() -> None:
    for surface in ("speech", "moderations", "rerank"):
        assert "user" not in request_of(plan(surface, user=[5], n="x", stream="x"))
    assert request_of(plan("moderations", user="u"))["user"] == "u"
    for name in ("user", "n", "stream", "stream_format", "model2"):
        assert request_of(upload("translations", ("model", b"same"), *FORMS["translations"], (name, b"\xff")))


def test_edits_take_several_pictures_of_one_name() -> None:
    read = Form(form(("image", b"a", "a"), ("image", b"b", "b")), TYPE, IMAGE_EDITS)
    assert read.get("image").size_bytes == 1


@pytest.mark.parametrize(
    ("surface", "members", "streams"),
    [
        ("images", {"stream": True}, True),
        ("images", {"stream": False}, False),
        ("speech", {"stream_format": "sse"}, True),
        ("speech", {"stream_format": "audio"}, False),
        ("moderations", {"stream": True}, False),
    ],
)
def test_what_streams(surface: str, members: dict[str, Any], streams: bool) -> None:
    reply = plan(surface, **members)
    assert ("headers_ms" in request_of(reply)) is streams
    assert b"stream_options" not in reply.body
    assert not {"hide_usage_chunk", "hide_usage_member"} & request_of(reply).keys()


def test_a_streamed_transcription() -> None:
    reply = upload("transcriptions", ("stream", b"true"), ("model", b"same"), *FORMS["transcriptions"])
    assert "headers_ms" in request_of(reply)


def test_what_answers_may_be() -> None:
    assert request_of(plan("speech"))["answer_types"] == ["audio/", "application/octet-stream"]
    assert (
        "text/vtt" in request_of(upload("translations", ("model", b"same"), *FORMS["translations"]))["answer_types"]
    )
    assert "answer_types" not in request_of(plan("images"))


@pytest.mark.parametrize(
    ("surface", "model"), [("images", "claude"), ("images", "groq"), ("images", "mixed"), ("moderations", "mixed"),
                           ("rerank", "groq")]
)  # fmt: skip
def test_nobody_can(surface: str, model: str) -> None:
    reply = plan(surface, model=model)
    assert refusal(reply) == (400, "no_target", "model")
    path = {"images": "images/generations"}.get(surface, surface)
    assert reply.error["message"] == f"No provider of the model '{model}' has the endpoint /v1/{path}."


def test_targets_that_cannot_are_passed_over() -> None:
    assert plan("rerank", model="mixed").clusters == ["provider/vllm"]
    assert plan("rerank", model="ranks", documents=["a"]).clusters == ["provider/cohere", "provider/vllm"]
    assert plan("rerank", model="ranks", return_documents=True).clusters == ["provider/vllm"]
    assert plan("speech", model="groq", n=3, logprobs=True).clusters == ["provider/groq"]  # no matter of its preset


@pytest.mark.parametrize(
    ("surface", "members", "units"),
    [
        ("images", {}, 1),
        ("images", {"n": 3}, 3),
        ("images", {"n": None}, 1),
        ("images", {"n": -4}, 1),
        ("images", {"n": 10**30}, 2**20),
        ("image_edits", {"n": 2}, 2),
        ("speech", {"input": "na\u00efve \U0001f600"}, 7),
        ("moderations", {}, None),
        ("rerank", {}, None),
        ("rerank", {"model": "ranked"}, 1),
        ("rerank", {"model": "ranked", "documents": ["a"] * 100}, 1),
        ("rerank", {"model": "ranked", "documents": ["a"] * 101}, 2),
    ],
)
def test_units(surface: str, members: dict[str, Any], units: int | None) -> None:
    for tenant in ("acme", "limited"):
        reply = plan(surface, tenant, **members)
        assert request_of(reply).get("estimated_units") == units
        assert reply.ask.units == (units if tenant == "limited" and units is not None else 0)


@pytest.mark.parametrize(("sound", "seconds"), [(SOUND, 3), (bytes(8_001), 3), (b"", 0)])
def test_seconds(sound: bytes, seconds: int) -> None:
    reply = upload("transcriptions", ("file", sound, "a"), ("model", b"same"))
    assert request_of(reply)["estimated_units"] == seconds


def test_what_limits_reserve() -> None:
    """Tokens of what is charged for by them, and of nothing else."""
    reply = plan("images", "limited", model="tokens", n=2)
    assert (reply.ask.output, reply.ask.unit, reply.ask.units) == (2 * 6240, "image", 2)
    assert reply.ask.input > 0
    assert "max_at" not in request_of(reply)
    assert plan("images", "limited", model="image", n=2).ask.output == 0
    heard = upload("transcriptions", ("model", b"heard"), *FORMS["transcriptions"], tenant="limited")
    assert (heard.ask.input, heard.ask.output) == (int(request_of(heard)["estimated"]), 3 * 4)
    assert heard.ask.input >= 3 * 17
    assert plan("speech", "limited", model="spoken").ask.output == 0
    moderated = plan("moderations", "limited").ask
    assert (moderated.output, moderated.input > 0, moderated.unit, moderated.units) == (0, True, "", 0)

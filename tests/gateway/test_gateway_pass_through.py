"""Pictures, sound, moderations and rankings through a real gateway: as they are, metered, limited, and settled."""

import asyncio
import base64
import io
import json
import threading
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import httpx2
import openai
import pytest
from media_provider import PICTURE, PIECE, PIECES, media_provider
from quotas import settled, shown
from recorder import Recorder
from running_gateway import RunningGateway, running_gateway
from upstreams import Engine
from wire import connection

from engines.simulator.media import silence
from tests.extproc.forms import TYPE, Piece, form

SPEAK, HEAR, DRAW = "/v1/audio/speech", "/v1/audio/transcriptions", "/v1/images/generations"
WIRE = ["page", "text", "reported", "unreported", "events", "third", "sound", "plain"]
PRICES: dict[str, dict[str, str]] = {
    "pictures": {"image": "0.04"},
    "drawn": {"input": "5", "output": "40"},
    "voice": {"character": "0.000015"},
    "ears": {"second": "0.0001"},
    "judge": {"request": "0.001"},
    "sound": {"character": "0.000015", "request": "0.01"},
    "reported": {"input": "5", "output": "40", "image": "0.01"},
    "unreported": {"input": "5", "output": "40"},
    "events": {"input": "5", "output": "40"},
    "third": {"second": "0.0001"},
    "text": {"second": "0.0001"},
}
TWO_CENTS = Decimal("0.02")
PLANS: dict[str, dict[str, Any]] = {
    "free": {},
    "paying": {"monthly_usd": 1000, "tpm": 10_000_000, "rpm": 10_000},
    "dime": {"monthly_usd": "0.10"},
    "race": {"monthly_usd": "0.40"},
    "one": {"rpm": 1},
    "slots": {"concurrency": 1},
    "tokens": {"tpm": 10_000},
}


@dataclass(frozen=True)
class Setup:
    gateway: RunningGateway
    keys: dict[str, str]
    wire: Recorder
    gate: threading.Event

    def sdk(self, tenant: str = "free") -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.gateway.url}/v1", api_key=self.keys[tenant], max_retries=0, timeout=60)

    def post(self, path: str, tenant: str = "free", **members: Any) -> httpx2.Response:
        return self.gateway.post(path, members, self.keys[tenant])

    def upload(self, path: str, *pieces: Piece, tenant: str = "free") -> httpx2.Response:
        return self.gateway.post(path, form(*pieces), self.keys[tenant], content_type=TYPE)

    def line(self, reply: httpx2.Response) -> dict[str, Any]:
        return self.gateway.end_line(reply.headers["x-request-id"])

    def used(self, tenant: str) -> dict[str, dict[str, Any]]:
        return asyncio.run(settled(self.gateway, tenant, within_s=60))


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Iterator[Setup]:
    folder, gate = tmp_path_factory.mktemp("passed"), threading.Event()
    keys = {name: f"hg-{token_urlsafe(32)}" for name in PLANS}
    with media_provider(gate) as wire:
        config = configuration(keys, f"http://{engine.address}", f"http://{wire.address}")
        with running_gateway(folder, config, {}) as gateway:
            yield Setup(gateway, keys, wire, gate)


def configuration(keys: dict[str, str], engine: str, wire: str) -> dict[str, Any]:
    simulated = ("pictures", "drawn", "voice", "ears", "judge", "rank")
    targets = {name: [{"provider": "local", "model": "up"}] for name in simulated}
    targets |= {name: [{"provider": "wire", "model": f"{name}-by-wire"}] for name in WIRE}
    targets["chain"] = [
        {"provider": "wire", "model": "s503-by-wire"},
        {"provider": "other", "model": "a-longer-name"},
    ]
    targets["foreign"] = [{"provider": "claude", "model": "c"}]
    return {
        "providers": {
            "local": {"api": "openai", "endpoints": [engine], "zone": "internal"},
            "wire": {"api": "openai", "base_url": f"{wire}/base"},
            "other": {"api": "openai", "base_url": wire},
            "claude": {"api": "anthropic", "base_url": wire},
        },
        "models": {
            name: {"targets": some} | ({"price": PRICES[name]} if name in PRICES else {})
            for name, some in targets.items()
        },
        "plans": PLANS,
        "tenants": {
            name: {"plan": name, "models": [one for one in targets if one in PRICES or "_usd" not in str(plan)],
                   "keys": [{"name": "ci", "sha256": sha256(keys[name].encode()).hexdigest()}]}
            for name, plan in PLANS.items()
        },
    }  # fmt: skip


def test_the_sdk_draws(setup: Setup) -> None:
    with setup.sdk() as sdk:
        drawn = sdk.images.generate(model="pictures", prompt="a red fox", n=2)
        assert [base64.b64decode(one.b64_json)[:4] for one in drawn.data] == [b"\x89PNG"] * 2
        assert drawn.usage.output_tokens == 2 * 272
        events = list(sdk.images.generate(model="pictures", prompt="a red fox", stream=True, partial_images=2))
        assert [event.type for event in events] == ["image_generation.partial_image"] * 2 + [
            "image_generation.completed"
        ]
        edited = sdk.images.edit(model="pictures", image=[b"\x89PNG1", b"\x89PNG2"], prompt="a fox", n=2)
        assert len(edited.data) == 2
    varied = setup.upload("/v1/images/variations", ("model", b"pictures"), ("image", b"\x89PNG", "a.png"))
    assert len(varied.json()["data"]) == 1


def test_the_sdk_speaks_and_hears(setup: Setup, tmp_path: Path) -> None:
    with setup.sdk() as sdk:
        with sdk.audio.speech.with_streaming_response.create(
            model="voice", voice="alloy", input="Hello there"
        ) as spoken:
            spoken.stream_to_file(tmp_path / "a.wav")
        sound = (tmp_path / "a.wav").read_bytes()
        with wave.open(io.BytesIO(sound)) as read:
            assert read.getnframes() == 11 * 400
        with (tmp_path / "a.wav").open("rb") as file:
            heard = sdk.audio.transcriptions.create(model="ears", file=file)
        assert heard.text == f"A simulated transcript of {len(sound)} bytes of sound."
        assert heard.usage.seconds == 1
        assert "WEBVTT" in sdk.audio.transcriptions.create(model="ears", file=sound, response_format="vtt")
        translated = ("/v1/audio/translations", ("model", b"ears"), ("file", sound, "a"), ("response_format", b"srt"))
        assert "-->" in setup.upload(*translated).text
        events = list(sdk.audio.transcriptions.create(model="ears", file=sound, stream=True))
        assert (events[-1].type, events[-1].text) == ("transcript.text.done", heard.text)
        assert "".join(event.delta for event in events[:-1]) == heard.text
        with sdk.audio.speech.with_streaming_response.create(
            model="voice", voice="alloy", input="Hello there", stream_format="sse"
        ) as spoken:
            pieces = [json.loads(text[6:]) for text in spoken.iter_lines() if text]
        assert b"".join(base64.b64decode(one["audio"]) for one in pieces[:-1]) == silence("Hello there")


def test_the_sdk_asks_for_moderation_and_others_for_rankings(setup: Setup) -> None:
    with setup.sdk() as sdk:
        assert [one.flagged for one in sdk.moderations.create(model="judge", input=["a", "b"]).results] == [False] * 2
    reply = setup.post(
        "/tenants/free/v1/rerank", model="rank", query="red fox", documents=["a cat", "the red fox"], top_n=1
    )
    assert [one["index"] for one in reply.json()["results"]] == [1]
    line = setup.line(reply)
    assert (line["surface"], line["prompt_tokens"], line["unit"]) == ("rerank", 9, None)
    assert (reply.headers["x-headgate-target"], reply.headers["x-headgate-attempts"]) == ("local", "1")


@pytest.mark.parametrize(
    ("path", "members", "status", "code"),
    [
        (DRAW, {"model": "foreign", "prompt": "x"}, 400, "no_target"),
        (DRAW, {"model": "nobody", "prompt": "x"}, 404, "model_not_found"),
        (DRAW, {"prompt": "x"}, 400, "missing_required_parameter"),
        (HEAR, {"model": "ears"}, 400, "invalid_content_type"),
        (SPEAK, {"model": "page", "input": "x", "voice": "v"}, 502, "provider_malformed_answer"),
        (DRAW, {"model": "text", "prompt": "x"}, 502, "provider_malformed_answer"),
    ],
)
def test_errors_are_openais(setup: Setup, path: str, members: dict[str, Any], status: int, code: str) -> None:
    reply = setup.post(path, **members)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    assert setup.line(reply)["units"] is None


@pytest.mark.parametrize("last", [False, True])
def test_each_target_gets_the_same_form_but_for_its_model(setup: Setup, last: bool) -> None:
    file = ("file", b"\r\n--" + bytes(range(256)) * 4000 + b"\r\n", 'a "\u20ac".wav'.replace('"', "%22"))
    pieces: list[Piece] = [("model", b"chain"), file, ("timestamp_granularities[]", b"word")]
    if last:
        pieces.append(pieces.pop(0))
    setup.wire.forget()
    reply = setup.upload(HEAR, *pieces)
    assert (reply.status_code, reply.headers["x-headgate-attempts"]) == (200, "2")
    first, second = setup.wire.requests
    assert (first.target, second.target) == ("/base/audio/transcriptions", "/audio/transcriptions")
    for request, model in ((first, b"s503-by-wire"), (second, b"a-longer-name")):
        wanted = form(*[("model", model) if piece[0] == "model" else piece for piece in pieces])
        assert request.body == wanted
        heads = dict(request.headers)
        assert (heads["content-type"], heads["content-length"]) == (TYPE, str(len(wanted)))
    assert setup.line(reply)["upstream_model"] == "a-longer-name"


def test_a_large_upload_passes_byte_for_byte(setup: Setup) -> None:
    body = form(("file", b"RIFF" + PIECE * 120, "a"), ("model", b"plain"))
    setup.wire.forget()
    reply = setup.gateway.post(HEAR, body, setup.keys["free"], content_type=TYPE)
    assert reply.status_code == 200, reply.text
    assert setup.wire.requests[0].body == body.replace(b"\r\nplain\r\n", b"\r\nplain-by-wire\r\n")
    large = b"RIFF" + PIECE * 400
    heard = setup.upload(HEAR, ("file", large, "a"), ("model", b"ears"))
    assert heard.json()["text"] == f"A simulated transcript of {len(large)} bytes of sound."
    assert setup.upload(HEAR, ("file", large + PIECE * 112, "a"), ("model", b"ears")).status_code == 413


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_upload_that_is_cut_reaches_nobody(setup: Setup, chunked: bool) -> None:
    setup.wire.forget()
    body = form(("model", b"plain"), ("file", PIECE * 4, "a"))
    length = "transfer-encoding: chunked" if chunked else f"content-length: {len(body)}"
    head = f"POST {HEAR} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {setup.keys['one']}\r\ncontent-type: {TYPE}"
    head, sent, before = f"{head}\r\n{length}", body[: len(body) // 2], len(_cut_lines(setup))
    async with connection(setup.gateway.http) as (_, writer):
        writer.write(f"{head}\r\n\r\n".encode() + (b"%x\r\n%b\r\n" % (len(sent), sent) if chunked else sent))
        await writer.drain()
    async with asyncio.timeout(60):
        while len(lines := await asyncio.to_thread(_cut_lines, setup)) == before:  # noqa: ASYNC110 - another process's
            await asyncio.sleep(0.1)
    assert {(line["attempts"], line["reserved"], line["estimated_units"]) for line in lines} == {(0, None, None)}
    assert setup.wire.requests == []


def _cut_lines(setup: Setup) -> list[dict[str, Any]]:
    """Of requests without an answer that nobody was asked for; who leaves at once is nobody's."""
    lines = [line for line in setup.gateway.spool.all() if line["type"] == "end"]
    return [line for line in lines if line["status"] == 0 and line["tenant"] in ("one", None)]


def test_sound_streams_and_is_not_kept(setup: Setup) -> None:
    """Its first piece is there while the provider waits with the rest."""
    setup.gate.clear()
    asked = {"model": "sound", "input": "x" * 100, "voice": "v"}
    headers = {"authorization": f"Bearer {setup.keys['paying']}"}
    with httpx2.stream("POST", setup.gateway.url + SPEAK, json=asked, headers=headers, timeout=60) as reply:
        assert (reply.status_code, reply.headers["content-type"]) == (200, "audio/mpeg")
        pieces, got = reply.iter_raw(), b""
        while len(got) < len(PIECE):
            got += next(pieces)
        assert got == PIECE
        setup.gate.set()
        rest = sha256(got)
        for piece in pieces:
            rest.update(piece)
    assert rest.digest() == sha256(PIECE * PIECES).digest()
    line = setup.line(reply)
    assert (line["unit"], line["units"], line["estimated_units"]) == ("character", None, 100)
    assert line["bytes_out"] == len(PIECE) * PIECES


@pytest.mark.parametrize(
    ("path", "members", "usd", "tokens"),
    [
        (DRAW, {"model": "pictures", "prompt": "a fox", "n": 3}, "0.12", 2 + 3 * 272),
        (DRAW, {"model": "drawn", "prompt": "a fox", "n": 3}, Decimal(2 * 5 + 3 * 272 * 40) / 10**6, 2 + 3 * 272),
        (DRAW, {"model": "reported", "prompt": "x", "n": 2}, Decimal(13 * 5 + 4160 * 40) / 10**6 + TWO_CENTS, 4173),
        (DRAW, {"model": "unreported", "prompt": "", "n": 2}, Decimal(2 * 6240 * 40) / 10**6, 2 * 6240),
        (DRAW, {"model": "events", "prompt": "x", "stream": True}, Decimal(26 * 5 + 8320 * 40) / 10**6, 2 * 4173),
        (SPEAK, {"model": "voice", "input": "x" * 200, "voice": "v"}, "0.003", 0),
        (SPEAK, {"model": "voice", "input": "a b", "voice": "v", "stream_format": "sse"}, "0.000045", 2 + 3),
        ("/v1/moderations", {"model": "judge", "input": "x"}, "0.001", 1),
    ],
)  # fmt: skip
def test_what_is_charged(setup: Setup, path: str, members: dict[str, Any], usd: str | Decimal, tokens: int) -> None:
    before = setup.used("paying")
    reply = setup.post(path, "paying", **members)
    assert reply.status_code == 200, reply.text
    if members["model"] in ("reported", "unreported"):
        assert reply.json()["data"][0]["b64_json"] == PICTURE
    assert "x-headgate-max-tokens" not in reply.headers
    setup.line(reply)
    after = setup.used("paying")
    assert difference(before, after, "monthly_usd") == Decimal(usd)
    assert difference(before, after, "tpm") in (tokens, tokens - int(before["tpm"]["used"]))


@pytest.mark.parametrize(
    ("model", "sound", "units", "usd"),
    [
        ("ears", silence("x" * 50), 3, "0.0003"),
        ("third", silence("x" * 50), 3, "0.0003"),
        ("text", bytes(20_000), None, "0.0005"),
    ],
)  # fmt: skip
def test_what_is_charged_for_sound(setup: Setup, model: str, sound: bytes, units: int | None, usd: str) -> None:
    """By the provider's seconds; where it says nothing, by those that the file seems to have."""
    before = setup.used("paying")
    reply = setup.upload(HEAR, ("file", sound, "a"), ("model", model.encode()), tenant="paying")
    assert reply.status_code == 200, reply.text
    line = setup.line(reply)
    assert (line["unit"], line["units"]) == ("second", units)
    assert difference(before, setup.used("paying"), "monthly_usd") == Decimal(usd)


def difference(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]], name: str) -> Decimal:
    return Decimal(after[name]["used"]) - Decimal(before[name]["used"])


def test_who_leaves_is_charged_what_was_asked_for(setup: Setup) -> None:
    setup.gate.clear()
    before = setup.used("paying")
    asked = {"model": "sound", "input": "x" * 1000, "voice": "v"}
    headers = {"authorization": f"Bearer {setup.keys['paying']}"}
    with httpx2.stream("POST", setup.gateway.url + SPEAK, json=asked, headers=headers, timeout=60) as reply:
        next(reply.iter_raw())
    line = setup.line(reply)
    assert (line["status"], "DC" in line["flags"] or "DR" in line["flags"]) == (200, True)
    assert difference(before, setup.used("paying"), "monthly_usd") == Decimal("0.025")
    setup.gate.set()


def test_money_holds_to_the_picture(setup: Setup) -> None:
    asked = {"model": "pictures", "prompt": "x"}
    assert setup.post(DRAW, "dime", **asked, n=3).json()["error"]["code"] == "insufficient_quota"
    assert setup.post(DRAW, "dime", **asked, n=2).status_code == 200
    reply = setup.post(DRAW, "dime", **asked)
    assert reply.status_code == 429
    assert (
        "limit 0.10 US dollars" in reply.json()["error"]["message"]
        or "limit 0.1 " in reply.json()["error"]["message"]
    )
    assert shown(setup.gateway, "dime")["monthly_usd"]["used"] == "0.08"


async def test_money_holds_under_a_race(setup: Setup) -> None:
    headers, asked = {"authorization": f"Bearer {setup.keys['race']}"}, {"model": "pictures", "prompt": "x"}
    async with httpx2.AsyncClient(timeout=60) as session:
        replies = await asyncio.gather(
            *(session.post(setup.gateway.url + DRAW, json=asked, headers=headers) for _ in range(24))
        )  # fmt: skip
    assert sorted(reply.status_code for reply in replies) == [200] * 10 + [429] * 14
    rows = await settled(setup.gateway, "race", within_s=60)
    assert Decimal(rows["monthly_usd"]["used"]) == Decimal("0.4")


def test_tokens_that_may_be_used_are_reserved_and_cannot_be_lowered(setup: Setup) -> None:
    """What cannot be granted whole is refused: 6,240 tokens a picture, of 10,000."""
    reply = setup.post(DRAW, "tokens", model="drawn", prompt="x", n=2)
    assert reply.status_code == 429
    assert setup.post(DRAW, "tokens", model="drawn", prompt="x").status_code == 200
    rows = setup.used("tokens")
    assert int(rows["tpm"]["used"]) == 1 + 272
    assert setup.post(DRAW, "tokens", model="plain", prompt="x", n=500).status_code == 200  # it has no price


def test_requests_and_slots_are_limited(setup: Setup) -> None:
    statuses = [setup.post("/v1/moderations", "one", model="judge", input="x").status_code for _ in range(2)]
    assert statuses == [200, 429]
    setup.gate.clear()
    headers = {"authorization": f"Bearer {setup.keys['slots']}"}
    asked = {"model": "sound", "input": "x", "voice": "v"}
    with httpx2.stream("POST", setup.gateway.url + SPEAK, json=asked, headers=headers, timeout=60) as reply:
        pieces = reply.iter_raw()
        next(pieces)
        assert setup.upload(HEAR, ("file", b"x", "a"), ("model", b"ears"), tenant="slots").status_code == 429
    setup.gate.set()
    setup.line(reply)
    setup.used("slots")
    assert setup.upload(HEAR, ("file", b"x", "a"), ("model", b"ears"), tenant="slots").status_code == 200

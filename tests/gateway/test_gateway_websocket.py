"""OpenAI's Responses over WebSocket through a real gateway: each `response.create` is a request like anybody's."""

import asyncio
import json
from typing import Any

import openai
import pytest
from limited import until
from websocket_gateway import MAX_BODY, PATH, Sockets, ask, create, sockets, until_end
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.openai_spec.spec import problems

__all__ = ["sockets"]  # the fixture


async def refused(sockets: Sockets, path: str = PATH, **headers: str) -> tuple[int, Any]:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    with pytest.raises(InvalidStatus) as found:
        async with connect(f"ws://{sockets.gateway.http}{path}", additional_headers=fields):
            pass
    response = found.value.response
    assert response.headers["x-headgate-error-source"] == "gateway"
    return response.status_code, json.loads(response.body or b"{}")["error"]["code"]


@pytest.mark.filterwarnings("ignore:connect\\(\\) must be used as a context manager:DeprecationWarning")  # by the SDK
def test_the_sdk_makes_one_response_after_the_other(sockets: Sockets) -> None:
    with sockets.sdk() as client, client.responses.connect() as connection:
        connection.response.create(model="chat", input="Hello", metadata={"a": "b"})
        events = []
        for event in connection:
            events.append(event)
            if event.type == "response.completed":
                break
        made = events[-1].response  # type: ignore[union-attr]
        assert (made.status, made.metadata) == ("completed", {"a": "b"})
        assert [event.sequence_number for event in events] == list(range(len(events)))  # type: ignore[union-attr]
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        assert text == made.output[0].content[0].text  # type: ignore[union-attr]
        connection.response.create(model="chat", input="And?", previous_response_id=made.id)
        for event in connection:
            if event.type == "response.completed":
                break
        assert event.response.previous_response_id == made.id  # type: ignore[union-attr]
        assert client.responses.retrieve(made.id).id == made.id  # it is a response like any other
    lines = sockets.lines("responses", model="chat", tenant="acme", status=200)
    assert {line["completion_tokens"] > 0 and line["streamed"] for line in lines} == {True}
    body = json.loads(sockets.engine.request(made.id.removeprefix("resp_"))["body"])
    assert body == {"model": "up-1", "input": "Hello", "metadata": {"a": "b"}, "stream": True}
    assert not problems("POST", "/responses", json.dumps(body).encode())


async def test_the_async_sdk(sockets: Sockets) -> None:
    client = openai.AsyncOpenAI(base_url=f"{sockets.gateway.url}/v1", api_key=sockets.keys["acme"])
    async with client, client.responses.connect() as connection:
        await connection.response.create(model="claude", input="Hello", stream_id="a")
        async for event in connection:
            assert event.stream_id == "a"
            if event.type == "response.completed":
                break
        assert event.response.output_text  # type: ignore[union-attr]
        await connection.response.create(model="nope", input="Hello")
        refusal: Any = await connection.recv()
        assert (refusal.status, refusal.error.code, refusal.stream_id) == (404, "model_not_found", None)
        assert refusal.error.headers["x-request-id"]


async def test_tls_and_a_path_with_the_tenant(sockets: Sockets) -> None:
    fields = {"api-key": sockets.keys["acme"]}
    url = f"wss://{sockets.https}/tenants/acme{PATH}?x=1"
    async with connect(url, additional_headers=fields, ssl=sockets.trust, compression=None) as socket:
        assert (await ask(socket))["type"] == "response.completed"


async def test_upgrades_are_refused_like_requests(sockets: Sockets) -> None:
    key = f"Bearer {sockets.keys['acme']}"
    assert await refused(sockets) == (401, None)
    assert await refused(sockets, authorization="Bearer hg-x") == (401, "invalid_api_key")
    assert await refused(sockets, f"/tenants/globex{PATH}", authorization=key) == (403, "tenant_mismatch")
    assert await refused(sockets, authorization=key, openai_tenant="globex") == (403, "tenant_mismatch")
    for path in (f"{PATH}/resp_1", "/v1/chat/completions", "/v1/realtime", "/", f"/x{PATH}"):
        assert await refused(sockets, path, authorization=key) == (403, "gateway_refused")
    # What Envoy says to the bridge, clients cannot.
    forged = {"x_headgate_tenant": "globex", "x_headgate_kept_authorization": f"Bearer {sockets.keys['globex']}"}
    async with sockets.open("acme", x_headgate_max_body="9", **forged) as socket:
        made = await ask(socket)
    line = sockets.gateway.end_line(made["response"]["id"].removeprefix("resp_"))
    assert line["tenant"] == "acme"


async def test_lanes_run_beside_each_other_and_in_order(sockets: Sockets) -> None:
    slow = {"simulate": {"tokens": 40, "token_s": 0.02}}
    async with sockets.open() as socket:
        for lane, text in (("a", "one"), ("b", "two"), ("a", "three"), (None, "four")):
            await socket.send(create(input=text, **slow, **({"stream_id": lane} if lane else {})))
        kinds: list[tuple[str | None, str]] = []
        while sum(kind == "response.completed" for _, kind in kinds) < 4:
            event = json.loads(await socket.recv())
            kinds.append((event.get("stream_id"), event["type"]))
    marks = [one for one in kinds if one[1] in ("response.created", "response.completed")]
    of_a = [kind for lane, kind in marks if lane == "a"]
    assert of_a == ["response.created", "response.completed"] * 2
    first_end = marks.index(("a", "response.completed"))
    assert {("b", "response.created"), (None, "response.created")} <= set(marks[:first_end])


async def test_what_nobody_keeps_can_be_gone_on_from(sockets: Sockets) -> None:
    async with sockets.open() as socket, sockets.open() as other:
        for model in ("chat", "claude", "vendor/plain"):
            first = (await ask(socket, model=model, input="First words", store=False))["response"]
            more = {"model": model, "input": "Second words", "store": False, "previous_response_id": first["id"]}
            elsewhere = await ask(other, **more)
            assert (elsewhere["status"], elsewhere["error"]["code"]) == (400, "previous_response_not_found")
            fork = await ask(socket, **more, stream_id="fork")
            second = await ask(socket, **more)
            assert second["type"] == fork["type"] == "response.completed"
            body = sockets.engine.request(second["response"]["id"].rpartition("_")[2])["body"]
            assert "First words" in body
            assert "Second words" in body
            gone = await ask(socket, **more)  # the lane has a newer one
            assert gone["error"]["code"] == "previous_response_not_found"


async def test_a_warm_up_asks_no_provider(sockets: Sockets) -> None:
    async with sockets.open() as socket:
        seen = len(sockets.engine.lines.all())
        await socket.send(create(model="vendor/plain", input="Tools are", generate=False, stream_id="w"))
        created, _, completed = await until_end(socket, "w")
        assert created["response"]["status"] == "in_progress"
        warm = completed["response"]
        assert (warm["output"], warm["usage"]["total_tokens"]) == ([], 0)
        assert len(sockets.engine.lines.all()) == seen
        made = await ask(socket, model="vendor/plain", input="Go", previous_response_id=warm["id"], stream_id="w")
        assert "Tools are" in sockets.engine.request(made["response"]["id"].rpartition("_")[2])["body"]
        unknown = await ask(socket, model="nope", generate=False)
        assert (unknown["status"], unknown["error"]["code"]) == (404, "model_not_found")
        missing = await ask(socket, model=None, generate=False)
        assert (missing["status"], missing["error"]["param"]) == (400, "model")


async def test_what_is_no_event_is_an_error_and_the_connection_stays(sockets: Sockets) -> None:
    async with sockets.open() as socket:
        for message, code in (
            (b"\x00\x01", "invalid_message"),
            (create().encode(), "invalid_message"),
            ("{", "invalid_json"),
            ('{"type":"response.steer"}', "unsupported_event"),
            (create(background=True), "unsupported_parameter"),
            (create(stream_id=""), "invalid_stream_id"),
            (create(input=7), "invalid_type"),
            (create(conversation="c"), "unsupported_parameter"),
            (create(previous_response_id="resp_none"), "previous_response_not_found"),
            ('{"type":"response.create","model":"chat","input":"a","input":"b"}', "duplicate_key"),
            ('{"type":"response.create","model":"chat","input":nonsense}', "invalid_json"),
        ):
            await socket.send(message)
            event = json.loads(await socket.recv())
            assert (event["type"], event["status"], event["error"]["code"]) == ("error", 400, code)
        assert (await ask(socket))["type"] == "response.completed"


async def test_the_33rd_lane_is_one_too_many(sockets: Sockets) -> None:
    async with sockets.open() as socket:
        for number in range(32):
            await ask(socket, model="nope", stream_id=f"lane-{number}")
        event = await ask(socket, stream_id="another")
        assert event["error"]["code"] == "websocket_stream_limit_reached"
        assert (await ask(socket, stream_id="lane-7"))["type"] == "response.completed"
        assert (await ask(socket))["type"] == "response.completed"


async def test_providers_errors_and_broken_streams(sockets: Sockets) -> None:
    async with sockets.open() as socket:
        failed = await ask(socket, simulate={"status": 429, "retry_after": 3})
        assert (failed["status"], failed["error"]["headers"]["retry-after"]) == (429, "3")
        assert failed["error"]["headers"]["x-headgate-error-source"] == "provider"
        await socket.send(create(simulate={"cut_after": 5}))
        *events, last = await until_end(socket)
        assert events
        assert (last["type"], last["error"]["code"]) == ("error", "provider_disconnected")
        assert (await ask(socket))["type"] == "response.completed"


async def test_limits_are_the_tenants(sockets: Sockets) -> None:
    async with sockets.open("small") as socket, sockets.open("acme") as other:
        for _ in range(2):
            assert (await ask(socket))["type"] == "response.completed"
        event = await ask(socket)
        assert (event["status"], event["error"]["code"]) == (429, "rate_limit_exceeded")
        assert int(event["error"]["headers"]["retry-after"]) >= 1
        assert (await ask(other))["type"] == "response.completed"


async def test_large_and_fragmented_messages(sockets: Sockets) -> None:
    async with sockets.open() as socket:
        text = "word " * (MAX_BODY // 8)
        assert (await ask(socket, input=text))["type"] == "response.completed"
        whole = create(input="In pieces", metadata={"a": "é" * 2_000})
        await socket.send(whole[index : index + 100] for index in range(0, len(whole), 100))
        assert (await until_end(socket))[-1]["response"]["metadata"] == {"a": "é" * 2_000}
        large = await ask(socket, input="Say much", simulate={"text": "x" * 300_000, "tokens": 1})
        assert large["type"] == "response.completed"
        with pytest.raises(ConnectionClosed) as closed:
            await ask(socket, input="x" * MAX_BODY)
        assert closed.value.rcvd
        assert closed.value.rcvd.code == 1009


async def test_a_connection_is_one_line_and_no_request(sockets: Sockets) -> None:
    before = len(sockets.lines("responses.websocket", status=101))
    async with sockets.open("globex") as socket:
        made = await ask(socket)
        # Who goes before the answer's own end, which comes after its last event, is a client that left.
        own = await asyncio.to_thread(sockets.gateway.end_line, made["response"]["id"].removeprefix("resp_"))
    await until(lambda: len(sockets.lines("responses.websocket", status=101)) > before)
    line = sockets.lines("responses.websocket", status=101)[-1]
    assert (line["tenant"], line["model"], line["prompt_tokens"], line["target"]) == ("globex", None, None, None)
    assert (own["tenant"], own["surface"], own["flags"]) == ("globex", "responses", "-")


async def test_a_key_that_is_taken_away_asks_no_more(sockets: Sockets) -> None:
    path = sockets.gateway.folder / "gateway.yaml"
    whole = path.read_text()
    config = json.loads(whole)
    async with sockets.open("globex") as socket:
        assert (await ask(socket))["type"] == "response.completed"
        config["tenants"]["globex"]["disabled"] = True
        path.write_text(json.dumps(config))
        try:
            async with asyncio.timeout(60):
                while (event := await ask(socket))["type"] == "response.completed":  # noqa: ASYNC110 - a reload
                    await asyncio.sleep(0.1)
            assert (event["status"], event["error"]["code"]) == (401, "invalid_api_key")
        finally:
            path.write_text(whole)
        async with asyncio.timeout(60):
            while (await ask(socket))["type"] != "response.completed":  # noqa: ASYNC110 - a reload
                await asyncio.sleep(0.1)

"""Stored chat completions: what is added for whom, what goes on of an answer, and to which target."""

import asyncio
import json
from collections.abc import Awaitable, Sequence
from typing import Any

import msgspec
import pytest
from ext_proc_client import Reply, ask, snapshot_of
from hypothesis import given
from hypothesis import strategies as st

from extproc import attempt_codec as codec
from extproc.kept import KeptResponses
from extproc.response_id import ResponseId
from extproc.stored import MODEL, TENANT, marks_of, without_marks
from extproc.stored_answer import Owner, StoredAnswer
from headgate.counters.client import Unavailable
from headgate.counters.scripts import KNOWN_RESPONSES, MARK, Argument, Script, tenant_of
from headgate.wire.ext_proc_pb2 import ProcessingRequest, ProcessingResponse

URL = "/v1/chat/completions"
SNAPSHOT = snapshot_of("""\
providers:
  a: {api: openai, base_url: "http://a.test/v1"}
  b: {api: openai, endpoints: ["http://b.test"]}
  groq: {api: openai, preset: groq}
  dated: {api: azure, base_url: "http://d.test", api_version: 2025-04-01-preview}
  azure: {api: azure, base_url: "http://z.test"}
  claude: {api: anthropic, base_url: "http://claude.test"}
models:
  one: {targets: [{provider: a, model: up}]}
  two: {targets: [{provider: a, model: up}, {provider: b, model: over}]}
  mixed: {targets: [{provider: a, model: up}, {provider: dated, model: d}]}
  groq: {targets: [{provider: groq, model: g}, {provider: claude, model: c}]}
  dated: {targets: [{provider: dated, model: d}]}
  azure: {targets: [{provider: azure, model: z}]}
tenants:
  acme: {models: [one, two, mixed, groq, dated, azure]}
  lone: {models: [one, groq]}
""")
MADE = {("acme", "chatcmpl-1"): ("one", "a", "up"), ("acme", "chatcmpl-2"): ("two", "b", "over")}
MADE |= {("acme", "chatcmpl-3"): ("one", "gone", "up"), ("lone", "chatcmpl-4"): ("one", "a", "up")}


class Knows:
    """Counters that know these completions, and no responses; or none at all."""

    def __init__(self, made: dict[tuple[str, str], tuple[str, str, str]] | None) -> None:
        self._made = made

    def is_away(self, _key: str) -> bool:
        return self._made is None

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        if self._made is None:
            raise Unavailable("gone", maybe=False)
        if script is MARK:
            return f"mark-{tenant_of(keys[0])}".encode()
        asked = arguments[1:] if script is KNOWN_RESPONSES else arguments[:1]
        known = self._made if keys[0].endswith(":completions") else {}
        found = [known.get((tenant_of(keys[0]), str(one))) for one in asked]
        texts = [msgspec.json.encode(one) if one else None for one in found]
        return texts if script is KNOWN_RESPONSES else texts[0]


def kept(made: Any = MADE) -> KeptResponses:
    return KeptResponses(Knows(made))  # type: ignore[arg-type]


def create(model: str, made: Any = MADE, **members: Any) -> Reply:
    body = {"model": model, "messages": [{"role": "user", "content": "x"}], **members}
    return ask(URL, json.dumps(body).encode(), snapshot=SNAPSHOT, kept=kept(made))


def about(path: str, method: str = "GET", made: Any = MADE, body: bytes | None = None, **more: Any) -> Reply:
    return ask(URL + path, body, method=method, snapshot=SNAPSHOT, kept=kept(made), **more)


def request_of(reply: Reply) -> dict[str, Any]:
    assert reply.status is None, reply.body
    found: dict[str, Any] = reply.metadata["hg.request"]
    return found


def test_a_stream_bears_the_marks_at_once() -> None:
    """Its events have no metadata, so that nothing has to be taken out again."""
    reply = create("two", store=True, stream=True)
    assert json.loads(reply.body)["metadata"] == marks_of("mark-acme", "two")
    assert request_of(reply)["direct"] == ",1,"
    assert request_of(reply)["watch"] == ",a,b,"


@pytest.mark.parametrize("stream", [False, True])
def test_who_stores_nothing_is_sent_no_marks(stream: bool) -> None:
    """Each attempt is made of what the client wrote then: only those that store have to know."""
    found = request_of(reply := create("mixed", store=True, stream=stream))
    assert "metadata" not in json.loads(reply.body)
    assert (found["direct"], found["watch"]) == (",,", ",a,")
    assert json.loads(found["marks"]) == marks_of("mark-acme", "mixed")
    assert [row[-1] for row in json.loads(found["attempts"])[0]] == [True, False]
    dated = create("dated", store=True, stream=stream)
    assert "metadata" not in json.loads(dated.body)
    assert not {"marks", "watch", "unlisted"} & request_of(dated).keys()


def test_what_is_not_stored_costs_nothing() -> None:
    for members in ({}, {"store": False}, {"store": None}, {"metadata": {TENANT: "x"}}):
        found = request_of(create("one", **members))
        assert not {"marks", "watch", "unlisted"} & found.keys()
        assert found["direct"] == ",1,"


@pytest.mark.parametrize("stream", [False, True])
def test_without_counters_it_goes_on_unmarked(stream: bool) -> None:
    reply = create("one", made=None, store=True, stream=stream)
    assert "metadata" not in json.loads(reply.body)
    assert (request_of(reply)["unlisted"], request_of(reply)["direct"]) == ("true", ",1,")


def test_keys_that_are_ours() -> None:
    for name in (TENANT, MODEL):
        assert create("one", store=True, metadata={name: "x"}).error["param"] == f"metadata.{name}"
        assert about(f"?metadata%5B{name}%5D=x").error["code"] == "invalid_value"
        body = json.dumps({"metadata": {name: "x"}}).encode()
        assert about("/chatcmpl-1", "POST", body=body).error["code"] == "invalid_value"


def test_an_update_keeps_the_marks_of_its_maker() -> None:
    reply = about("/chatcmpl-2", "POST", body=b'{"metadata": {"a": "b"}, "more": 1.50}')
    assert reply.clusters == ["provider/b"]
    assert json.loads(reply.body) == {"metadata": {"a": "b", **marks_of("mark-acme", "two")}, "more": 1.5}
    assert b'"more": 1.50' in reply.body
    found = request_of(reply)
    assert (found["endpoint"], found["surface"], found["direct"]) == (
        "/chat/completions/chatcmpl-2",
        "chat.update",
        ",,",
    )
    full = {f"k{number}": "v" for number in range(16)}
    assert (
        json.loads(about("/chatcmpl-2", "POST", body=json.dumps({"metadata": full}).encode()).body)["metadata"]
        == full
    )


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        ("?model=one", [MODEL]),
        (
            "?model=one&limit=2&order=desc&more=1&metadata%5Ba%5D=b%26",
            ["limit=2", "order=desc", "metadata%5Ba%5D=b%26"],
        ),
        ("?after=chatcmpl-1&model=one", ["after=chatcmpl-1", MODEL]),
        (
            "?after=x&model=one&limit=1;after=x&after=chatcmpl-1&after=&metadata[b]=",
            ["after=chatcmpl-1", "limit=1%3Bafter%3Dx", "metadata%5Bb%5D="],
        ),
        ("?metadata[x]=1&metadata[y]=2&model=one", ["metadata%5Bx%5D=1", "metadata%5By%5D=2"]),
    ],
)
def test_a_list_is_asked_for_by_its_mark(query: str, sent: list[str]) -> None:
    found = request_of(about(query))
    path, _, pairs = found["endpoint"].partition("?")
    mark = f"metadata%5B{MODEL}%5D={marks_of('mark-acme', 'one')[MODEL]}"
    assert path == "/chat/completions"
    assert pairs.split("&") == [*(one for one in sent if one != MODEL), mark]
    assert (found["tenant"], found["surface"], found["direct"]) == ("acme", "chat.list", ",,")


def test_a_list_of_all_models() -> None:
    found = request_of(about("", tenant="lone"))
    assert found["endpoint"] == f"/chat/completions?metadata%5B{TENANT}%5D={marks_of('mark-lone', '')[TENANT]}"
    assert about("?model=groq").status == 200  # empty, and nobody was asked
    assert about("?model=two").error["code"] == "provider_needed"
    assert about("?model=two&after=chatcmpl-2").clusters == ["provider/b"]
    assert about("?model=two", x_headgate_target="b").clusters == ["provider/b"]
    for unknown in ("chatcmpl-3", "chatcmpl-4", "chatcmpl-9", "resp_1"):
        assert about(f"?model=two&after={unknown}").error["code"] == "completion_not_found"
    assert about("?model=one&after=chatcmpl-1", made=None).status == 503


def test_marks_tell_tenants_and_models_apart() -> None:
    found = [one for mark in ("a", "b", "c") for one in marks_of(mark, "m").values()]
    assert len({*found, *marks_of("a", "n").values()}) == 7


# The provider's answers.


def part(name: str, body: bytes = b"", *, ends: bool = False, **headers: str) -> ProcessingRequest:
    message = ProcessingRequest()
    if name == "response_body":
        message.response_body.body, message.response_body.end_of_stream = body, ends
    elif name == "response_trailers":
        message.response_trailers.SetInParent()
    else:
        given = {":status": "200", "content-type": "application/json", **headers}
        for key, value in given.items():
            message.response_headers.headers.headers.add(key=key, raw_value=value.encode())
        message.response_headers.end_of_stream = ends
    return message


def answered(answer: StoredAnswer, *messages: ProcessingRequest) -> tuple[int, bytes]:
    """The status that goes on, and the body."""
    status, body = 200, b""
    for message in messages:
        reply = answer.on_message(message)
        replies, _ = reply if isinstance(reply, tuple) else asyncio.run(_awaited(reply))
        for one in [replies] if isinstance(replies, bytes) else replies or []:
            sent = ProcessingResponse.FromString(one)
            for option in sent.response_headers.response.header_mutation.set_headers:
                if option.header.key == ":status":
                    status = int(option.header.raw_value)
            body += sent.response_body.response.body_mutation.streamed_response.body
    return status, body


async def _awaited(reply: Awaitable[Any]) -> Any:
    return await reply


def listed(
    body: bytes, made: Any = MADE, *, trailers: bool = False, cut: int = 7, **headers: str
) -> tuple[int, bytes]:
    pieces = [part("response_body", body[:cut]), part("response_body", body[cut:], ends=not trailers)]
    end = [part("response_trailers")] if trailers else []
    answer = StoredAnswer("r-1", Owner("acme", "a", kept(made)))
    return answered(answer, part("response_headers", **headers), *pieces, *end)


def page(*ids: str) -> bytes:
    data = [{"id": one, "temperature": 1.0, "metadata": {"k": "v", **marks_of("mark-acme", "one")}} for one in ids]
    ends = {"first_id": ids[0], "last_id": ids[-1]} if ids else {"first_id": None, "last_id": None}
    return json.dumps({"object": "list", "data": data, **ends, "has_more": True}).encode()


@pytest.mark.parametrize("trailers", [False, True])
def test_a_list_has_what_is_the_tenants_at_this_provider(trailers: bool) -> None:
    """Whatever the provider says: some know no filter."""
    status, body = listed(page("chatcmpl-4", "chatcmpl-1", "chatcmpl-2", "x", ".."), trailers=trailers)
    found = json.loads(body)
    assert status == 200
    assert found["data"] == [{"id": "chatcmpl-1", "temperature": 1.0, "metadata": {"k": "v"}}]
    assert (found["first_id"], found["last_id"], found["has_more"]) == ("chatcmpl-1", "chatcmpl-1", True)
    assert b'"temperature":1.0' in body
    found = json.loads(listed(page("chatcmpl-4"))[1])
    assert (found["data"], found["first_id"], found["last_id"]) == ([], None, None)
    assert json.loads(listed(page())[1])["data"] == []


def test_what_cannot_be_looked_up_does_not_go_on() -> None:
    status, body = listed(page("chatcmpl-1"), made=None)
    assert (status, json.loads(body)["error"]["code"]) == (503, "completion_ids_unavailable")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"data":1}', b'{"data":[1]}', b'{"data":[{}]}', b"data: {}\n\n"]
)
@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
def test_what_is_no_list_does_not_go_on(body: bytes, kind: str) -> None:
    status, found = listed(body, **{"content-type": kind})
    assert (status, json.loads(found)["error"]["code"]) == (502, "provider_malformed_answer")


def test_errors_go_on_as_they_are() -> None:
    assert listed(b'{"error": 1}', **{":status": "400"})[1] == b'{"error": 1}'


def test_one_that_cannot_be_read_goes_on_as_it_is() -> None:
    pieces = part("response_body", b'{"metadata": {"headgate'), part("response_body", b"", ends=True)
    assert answered(StoredAnswer("r-1"), part("response_headers"), *pieces) == (200, b'{"metadata": {"headgate')


PAIRS = st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=4)
VALUES = st.recursive(st.none() | st.floats() | st.text(max_size=4), lambda inner: st.lists(inner, max_size=3))


@given(PAIRS, st.dictionaries(st.text(max_size=3), VALUES.filter(lambda value: "nan" not in str(value).lower())))
def test_marks_are_taken_out_and_nothing_else(pairs: dict[str, str], others: dict[str, Any]) -> None:
    others = {name: value for name, value in others.items() if name != "metadata" and "inf" not in str(value)}
    told = {**others, "metadata": pairs, "a": {"metadata": marks_of("a", "b")}}
    assert without_marks(json.dumps(told).encode()) == json.dumps(told).encode()
    marked = json.dumps({**told, "metadata": {**marks_of("a", "b"), **pairs}}).encode()
    assert json.loads(without_marks(marked)) == told


def test_azures_first_event_has_an_empty_id() -> None:
    """An id that is none is not the completion's."""
    finder = ResponseId(streams=True, at=(b"id",))
    assert finder.feed(b'data: {"choices":[],"id":"","object":""}\n\n') is None
    assert finder.feed(b'data: {"choices":[{"id":"no"}],"id":"chatcmpl-1"') == "chatcmpl-1"


def test_a_call_with_a_body_lets_it_go_on() -> None:
    message = ProcessingRequest()
    message.request_body.body = b"{}"
    assert StoredAnswer("r-1").on_message(message) == (codec.BODY_GOES_ON, False)

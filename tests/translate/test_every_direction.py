"""What must hold for each direction that there is: this table of tests is the table of extproc.translate.

A direction without a golden folder, without requests of its client or without a schema of its provider fails here.
"""

import gzip
import json
from collections.abc import Callable
from itertools import pairwise

import anthropic
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.refusal import BadRequest
from extproc.translate import DIRECTIONS, failures_of
from extproc.translate.direction import StreamDecoder, Target
from extproc.translate.failure import Failure
from tests.translate.cutting import fed, same_however_cut
from tests.translate.directions import ASSEMBLED, PARSED, STREAMED, WAYS, Way
from tests.translate.golden import KNOWN, Case, cases

slow = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
every_way = pytest.mark.parametrize("way", WAYS, ids=str)
every_stream = pytest.mark.parametrize("way", STREAMED, ids=str)

# The SDKs' types are strict about what others of that API write and take; and what comes after an error is not read.
ERRORS = (openai.APIError, anthropic.APIError, RuntimeError)


CASES = [(way, case) for way in WAYS for case in cases(way.folder)]
FILES = ("request.provider.json", "answer.provider.json", "answer.client.json", "dropped.json", "failure.json")


def having(condition: Callable[[Way, Case], object]) -> pytest.MarkDecorator:
    found = [pytest.param(way, case, id=f"{way}-{case}") for way, case in CASES if condition(way, case)]
    return pytest.mark.parametrize(("way", "case"), found)


@every_way
def test_it_has_a_golden_folder(way: Way) -> None:
    found = cases(way.folder)
    assert "plain" in map(str, found)
    for file in FILES:
        assert any(case.has(file) for case in found), file
    assert any(way.stream_of(case) for case in found) == way.streams


def test_no_golden_folder_is_of_nothing() -> None:
    folders = {path.name for path in cases(WAYS[0].folder)[0].folder.parents[1].iterdir()}
    assert folders == {way.folder for way in WAYS}


@having(lambda _, case: case.has("request.client.json", "request.provider.json"))
def test_a_request_becomes_the_providers(way: Way, case: Case) -> None:
    body = case.json("request.client.json")
    made = way.direction.request(body, case.target)
    assert json.loads(made.body) == case.json("request.provider.json")
    assert way.direction.unsupported(body, case.target) == case.dropped
    assert made.dropped == case.dropped + case.left_out
    assert body == case.json("request.client.json")
    assert KNOWN.request_id not in f"{made}"


@having(lambda _, case: case.has("answer.provider.json"))
def test_a_whole_answer_becomes_the_clients_and_its_sdk_reads_it(way: Way, case: Case) -> None:
    made = way.direction.whole(case.read("answer.provider.json"), way.known(case))
    if not isinstance(made, bytes):
        assert made == case.failure
        return
    assert json.loads(made) == case.json("answer.client.json")
    assert PARSED[way.surface](made)


@having(lambda way, case: way.stream_of(case))
def test_a_stream_becomes_the_clients_however_it_is_cut_and_its_sdk_reads_it(way: Way, case: Case) -> None:
    stream = way.stream_of(case)
    assert stream is not None
    outcome = same_however_cut(lambda: way.direction.stream(way.known(case)), stream)
    expected = case.read("stream.client.sse") if case.has("stream.client.sse") else b""
    assert outcome.output.decode() == expected.decode()
    assert outcome.failure == case.failure
    assert outcome.started == bool(expected)
    if outcome.failure is None:
        assert ASSEMBLED[way.surface](outcome.output)
    elif outcome.started:
        with pytest.raises(ERRORS):
            ASSEMBLED[way.surface](outcome.output)


@every_way
@slow
@given(data=st.data())
def test_any_valid_request_becomes_a_valid_one(way: Way, data: st.DataObject) -> None:
    body = data.draw(way.bodies())
    target = Target("provider", data.draw(st.sampled_from(way.models)), max_output_tokens=4096)
    before = json.dumps(body)
    unsupported = way.direction.unsupported(body, target)
    try:
        made = way.direction.request(body, target)
    except BadRequest:  # nothing is left to ask
        assert unsupported or way.surface == "responses"
        return
    way.check(made, target.model)
    assert made.dropped[: len(unsupported)] == unsupported
    assert json.dumps(body) == before


PAGE = b"<!doctype html>\n<html>\n\n<body>Sign in</body></html>\n"
NO_ANSWERS = {
    "nothing": b"",
    "html": PAGE,
    "gzip": gzip.compress(b"{}"),
    "cut short": b'{"id":"x","choices":[{"message":{"content":"H',
    "not utf-8": b'{"message":"\xff","text":"\xfe"}',
    "null": b"null",
    "a list": b"[]",
    "nothing in it": b"{}",
    "nested deeply": b'{"message":' * 20_000,
    "of other types": b'{"id":5,"choices":5,"content":5,"candidates":5,"output":5,"message":5,"embeddings":5,'
    b'"embedding":5,"results":5,"finish_reason":5,"usage":"x"}',
    "lists of null": b'{"choices":[null],"content":[null],"candidates":[null],"embeddings":[null],"results":[null]}',
}


@pytest.mark.parametrize("body", NO_ANSWERS.values(), ids=NO_ANSWERS)
@every_way
def test_a_body_that_is_no_answer_is_a_failure(way: Way, body: bytes) -> None:
    made = way.direction.whole(body, KNOWN)
    assert isinstance(made, Failure)
    assert (made.kind, made.status) == ("malformed", 502)


@pytest.mark.parametrize("status", [400, 401, 429, 500, 503])
@pytest.mark.parametrize("body", NO_ANSWERS.values(), ids=NO_ANSWERS)
@pytest.mark.parametrize("api", sorted({api for _, api in DIRECTIONS}))
def test_an_error_of_any_form_is_one(api: str, body: bytes, status: int) -> None:
    failure = failures_of(api)(status, body, "provider")
    assert failure.status == status
    assert failure.message


@pytest.mark.parametrize("stream", NO_ANSWERS.values(), ids=NO_ANSWERS)
@every_stream
def test_what_is_no_stream_leaves_room_for_another_attempt(way: Way, stream: bytes) -> None:
    found = fed(way.direction.stream(KNOWN), [stream])
    assert (found.output, found.started) == (b"", False)
    assert found.failure is not None
    assert (found.failure.kind, found.failure.status) == ("malformed", 502)


def plain_of(way: Way) -> bytes:
    (case,) = (case for case in cases(way.folder) if str(case) == "plain")
    stream = way.stream_of(case)
    assert stream is not None
    return stream


@every_stream
def test_a_stream_that_breaks_off_anywhere_is_an_error_or_nothing_was_left(way: Way) -> None:
    """What had begun ends in an error that the client's SDK raises; what is there when all has been said is whole."""
    whole, stream = ASSEMBLED[way.surface], plain_of(way)
    complete = fed(way.direction.stream(KNOWN), [stream])
    outcomes = [fed(way.direction.stream(KNOWN), [stream[:end]]) for end in range(len(stream))]
    broken = {found.output: found for found in outcomes}  # each once: an event makes a difference when it is whole
    for found in broken.values():
        if found.failure is None:
            assert whole(found.output)["id"] == whole(complete.output)["id"]
        elif found.started:
            with pytest.raises(ERRORS):
                whole(found.output)
        else:
            assert found.output == b""


@every_stream
def test_two_streams_at_once_have_nothing_to_do_with_each_other(way: Way) -> None:
    """Answers of two tenants that one worker translates."""
    found = [case for case in cases(way.folder) if way.stream_of(case)]
    for first, second in pairwise(found):
        apart = [fed(way.direction.stream(way.known(case)), [way.stream_of(case) or b""]) for case in (first, second)]
        decoders: list[StreamDecoder] = [way.direction.stream(way.known(case)) for case in (first, second)]
        outputs = alternating(decoders, [way.stream_of(case) or b"" for case in (first, second)])
        assert outputs == [outcome.output for outcome in apart]
        assert [decoder.failure for decoder in decoders] == [outcome.failure for outcome in apart]


def alternating(decoders: list[StreamDecoder], streams: list[bytes]) -> list[bytes]:
    """What the decoders make of their streams, which come piece by piece in turn."""
    outputs = [b"", b""]
    for at in range(0, max(map(len, streams)), 50):
        for number, (decoder, stream) in enumerate(zip(decoders, streams, strict=True)):
            outputs[number] += decoder.feed(stream[at : at + 50]) if at < len(stream) else b""
    return [output + decoder.end() for output, decoder in zip(outputs, decoders, strict=True)]


def mixed(data: st.DataObject, way: Way) -> list[bytes]:
    """A real stream with events swapped, bytes changed and anything put in, in any pieces."""
    real = [stream for case in cases(way.folder) if (stream := way.stream_of(case))]
    separator = b"\r\n\r\n" if way.api == "gemini" else b"\n\n"
    events = [part + separator for part in data.draw(st.sampled_from(real)).split(separator)]
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(events) - 1))
        events.insert(at, events.pop(data.draw(st.integers(0, len(events) - 1))))
    changed = bytearray(b"".join(events))
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(changed)))
        changed[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(changed)), max_size=4)))
    return [bytes(changed[a:b]) for a, b in zip([0, *cuts], [*cuts, len(changed)], strict=True)]


@every_stream
@slow
@given(data=st.data())
def test_no_bytes_make_a_decoder_fall_over(way: Way, data: st.DataObject) -> None:
    pieces = mixed(data, way)
    found = fed(way.direction.stream(KNOWN), pieces)
    assert found == fed(way.direction.stream(KNOWN), [b"".join(pieces)])
    assert found.failure is None or found.failure.message
    assert found.started or not found.output

"""Which answers are metered, what the access log is told after every frame, and what becomes of headers."""

from typing import Any

import pytest
from stand_in import CHAT, JSON, SSE, Answer, answer, bytewise
from streams import DONE, FINAL, SMALL_USAGE, STREAMS, USAGE, chunk, event, stream, words

HIDE = {**CHAT, "hide_usage_chunk": True, "hide_usage_member": True}


def ended(headers: dict[str, str], request: dict[str, Any] | None, frames: list[bytes]) -> Answer:
    """Ended by an empty frame, as HTTP/1.1 does."""
    return answer(headers, request, [*frames, b""])


def test_a_stream() -> None:
    passed = ended(SSE, HIDE, bytewise(stream(*words("Hello", " you", usage=SMALL_USAGE), FINAL)))
    assert passed.out == stream(*words("Hello", " you"))
    assert passed.log == {"prompt": 12, "completion": 7, "cached": 5, "reasoning": 3, "events": 2, "bytes": 9}
    assert (passed.unmetered, passed.unhidden) == (0, 0)


def test_a_json_answer() -> None:
    body = b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}'
    passed = ended(JSON, CHAT, bytewise(body))
    assert passed.out == body
    assert passed.log == {"prompt": 3, "completion": 4, "events": 1, "bytes": len(body)}


def test_the_log_has_the_counts_whenever_the_stream_ends() -> None:
    reports = [{"prompt_tokens": 5, "completion_tokens": done} for done in (1, 2, 3)]
    frames = [event(chunk({"content": "w"}, usage=report)) for report in reports]
    for count in (1, 2, 3):
        log = answer(SSE, HIDE, frames[:count]).log
        assert log == {"prompt": 5, "completion": count, "events": count, "bytes": count}


def test_a_number_is_written_once_at_the_end() -> None:
    """Not with every frame: it is an entry of a map of Envoy's."""
    report = {"prompt_tokens": 5, "completion_tokens": 1}
    passed = ended(SSE, HIDE, [event(chunk({"content": "w"}, usage=report))] * 3)
    assert sorted(key for _, key, _ in passed.history) == ["bytes", "completion", "events", "prompt"]


def test_a_number_that_the_last_report_leaves_out_is_unknown() -> None:
    passed = ended(SSE, HIDE, [event(chunk(usage=report)) for report in (USAGE, SMALL_USAGE)])
    assert passed.metered.counts == (12, 1, None, None, None)
    assert not {"cached", "reasoning"} & passed.log.keys()


def test_choices_that_report_the_same_numbers_add_up() -> None:
    report = {"prompt_tokens": 5, "completion_tokens": 1}
    frames = [event(chunk({"content": "w"}, index, usage=report)) for index in (0, 1)]
    assert ended(SSE, {**HIDE, "answers": 2, "prompts": 1}, frames).log["completion"] == 2


def test_several_prompts_and_their_answers_add_up() -> None:
    """Two answers to each of two prompts, of 5 and of 7 tokens; the stream is cut after six events."""
    reports = [(0, 5, 1), (1, 5, 1), (2, 7, 1), (3, 7, 1), (0, 5, 2), (2, 7, 2)]
    frames = [
        event(chunk({"content": "w"}, index, usage={"prompt_tokens": prompt, "completion_tokens": done}))
        for index, prompt, done in reports
    ]
    log = ended(SSE, {**HIDE, "answers": 2, "prompts": 2}, frames).log
    assert (log["prompt"], log["completion"]) == (12, 6)


@pytest.mark.parametrize(
    ("headers", "request_metadata", "counted"),
    [
        ({**SSE, "content-encoding": "gzip"}, HIDE, 1),
        ({":status": "200"}, HIDE, 1),
        ({":status": "200", "content-type": "text/plain"}, HIDE, 1),
        ({**SSE, ":status": "500"}, HIDE, 0),
        ({**SSE, ":status": "304"}, HIDE, 0),
        ({**SSE, ":status": "20"}, HIDE, 0),
        (SSE, None, 0),
        (SSE, {"surface": "models"}, 0),
    ],
    ids=["compressed", "no type", "another type", "an error", "a redirect", "no status", "no plan", "answered here"],
)
def test_what_is_not_metered_passes(
    headers: dict[str, str], request_metadata: dict[str, Any] | None, counted: int
) -> None:
    """A provider's answer that is not metered is counted: it is money."""
    text = STREAMS["continuous usage"]
    passed = ended(headers, request_metadata, [text])
    assert (passed.out, passed.log, passed.unmetered) == (text, {}, counted)


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
def test_an_encoding_that_is_none_is_metered(encoding: str) -> None:
    passed = ended({**SSE, "content-encoding": encoding}, HIDE, [STREAMS["continuous usage"]])
    assert passed.log["completion"] == USAGE["completion_tokens"]


def test_a_stream_that_may_become_shorter_has_no_length() -> None:
    headers = {**SSE, "content-length": "5000"}
    assert "content-length" not in ended(headers, HIDE, [DONE]).headers
    assert ended(headers, CHAT, [DONE]).headers["content-length"] == "5000"
    assert ended({**JSON, "content-length": "5000"}, HIDE, [b"{}"]).headers["content-length"] == "5000"


@pytest.mark.parametrize(
    ("headers", "source"),
    [
        ({":status": "200"}, None),
        ({":status": "399"}, None),
        ({":status": "429"}, "provider"),
        ({":status": "503"}, "provider"),
        ({":status": "503", "x-headgate-error-source": "gateway"}, "gateway"),
    ],
)
def test_who_refused(headers: dict[str, str], source: str | None) -> None:
    assert ended(headers, CHAT, [DONE]).headers.get("x-headgate-error-source") == source


LIMITS = "x-ratelimit-limit-requests:9\nx-headgate-warning:rpm; used=5: soft=4\n"


@pytest.mark.parametrize("status", ["200", "503"])
def test_clients_are_told_of_their_limits(status: str) -> None:
    """Whatever the answer is. What stands behind the last end of a line, or has no name, is none."""
    shown = {"x-ratelimit-limit-requests": "9", "x-headgate-warning": "rpm; used=5: soft=4"}
    for said in (LIMITS, LIMITS + "left:over", LIMITS + "\nnothing\n"):
        headers = ended({":status": status, "server": "one"}, {**CHAT, "limits": said}, [DONE]).headers
        assert {name: headers[name] for name in headers if name not in (":status", "x-headgate-error-source")} == {
            "server": "one",
            **shown,
        }


def test_an_adapter_that_no_replica_has_is_503_to_clients() -> None:
    marked = ended({":status": "404", "x-headgate-unloaded": "5", "content-type": "application/json"}, CHAT, [b"{}"])
    assert marked.headers == {
        ":status": "503",
        "content-type": "application/json",
        "retry-after": "5",
        "x-headgate-error-source": "gateway",
    }
    assert ended({":status": "404"}, CHAT, [b"{}"]).headers[":status"] == "404"


def test_the_first_token_is_timed_where_that_is_asked_for_once() -> None:
    """Not the first event: heads, roles and pings say nothing of how fast a model is."""
    frames = [event(chunk({"role": "assistant", "content": ""})), *(event(chunk({"content": "w"})) for _ in range(3))]
    passed = ended(SSE, {**CHAT, "timed": True}, frames)
    ((at, _, after_ms),) = [one for one in passed.history if one[1] == "first_ms"]
    assert at == 1
    assert after_ms is not None
    assert after_ms >= 0
    assert "first_ms" not in ended(SSE, CHAT, frames).log
    assert "first_ms" not in ended(SSE, {**CHAT, "timed": True}, frames[:1]).log

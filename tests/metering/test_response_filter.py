"""envoy_on_response: which answers are metered and what the access log is told, after every frame.

Envoy is stood in for by the few calls that the filter makes, under Envoy's rule that what it hands out for one frame
is gone with the next.
"""

from typing import Any

import pytest
from lua_meter import RUNTIME, bytewise
from streams import DONE, FINAL, SMALL_USAGE, STREAMS, USAGE, chunk, event, stream, words

STAND_IN = rb"""
return function(headers, request, frames, on_frame)
  local generation, current, out, at = 0, nil, {}, 0
  local function mine(methods)
    local born = generation
    return setmetatable({}, { __index = function(_, name)
      assert(born == generation, "object used outside of proper scope")
      return function(_, ...) return methods[name](...) end
    end })
  end
  local metadata = {
    get = function(namespace) return namespace == "hg.request" and request or nil end,
    set = function(namespace, key, value) on_frame(namespace, key, value) end,
  }
  local handle = {
    headers = function() return mine({
      get = function(name) return headers[name] end,
      add = function(name, value) headers[name] = value end,
    }) end,
    streamInfo = function() return mine({ dynamicMetadata = function() return mine(metadata) end }) end,
    bodyChunks = function()
      return function()
        at, generation = at + 1, generation + 1
        if current then out[#out + 1] = current end
        current = frames[at]
        return current and mine({
          length = function() return #current end,
          getBytes = function(from, size) return string.sub(current, from + 1, from + size) end,
          setBytes = function(bytes) current = bytes end,
        })
      end
    end,
  }
  envoy_on_response(handle)
  for _ in handle.bodyChunks() do end -- what the filter did not ask for passes
  return table.concat(out)
end
"""
RESPOND = RUNTIME.execute(STAND_IN)
SSE = {":status": "200", "content-type": "text/event-stream; charset=utf-8"}
JSON = {":status": "200", "content-type": "application/json"}
CHAT = {"endpoint": "/chat/completions"}
HIDE = {**CHAT, "hide_usage_chunk": True, "hide_usage_member": True}


class Answer:
    """One answer through the filter, and the log's view of it."""

    def __init__(self, headers: dict[str, str], request: dict[str, Any] | None, frames: list[bytes]) -> None:
        self.log: dict[bytes, Any] = {}
        self.history: list[tuple[bytes, dict[bytes, int]]] = []
        lua_headers = table({name: value.encode() for name, value in headers.items()})
        lua_request = (
            None
            if request is None
            else table({name: value.encode() if isinstance(value, str) else value for name, value in request.items()})
        )
        self.out = RESPOND(lua_headers, lua_request, RUNTIME.table_from([*frames, b""]), self._set)
        self.headers = {name.decode(): value.decode() for name, value in dict(lua_headers).items()}

    def _set(self, namespace: bytes, key: bytes, value: Any) -> None:
        assert namespace == b"hg.usage"
        self.log[key] = dict(value)
        self.history.append((key, dict(value)))


def table(members: dict[str, Any]) -> Any:
    return RUNTIME.table_from({name.encode(): value for name, value in members.items()})


def test_a_stream() -> None:
    answer = Answer(SSE, HIDE, bytewise(stream(*words("Hello", " you", usage=SMALL_USAGE), FINAL)))
    assert answer.out == stream(*words("Hello", " you"))
    assert answer.log == {
        b"report": {b"prompt": 12, b"cached": 5, b"reasoning": 3},
        b"live": {b"completion": 7, b"events": 2, b"bytes": 9},
    }


def test_a_json_answer() -> None:
    body = b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}'
    answer = Answer(JSON, CHAT, bytewise(body))
    assert answer.out == body
    assert answer.log[b"report"] == {b"prompt": 3}
    assert answer.log[b"live"] == {b"completion": 4, b"events": 1, b"bytes": len(body)}


def test_the_log_has_the_counts_after_every_frame() -> None:
    reports = [{"prompt_tokens": 5, "completion_tokens": done} for done in (1, 2, 3)]
    frames = [event(chunk({"content": "w"}, usage=report)) for report in reports]
    answer = Answer(SSE, HIDE, frames)
    live = [(value[b"completion"], value[b"bytes"]) for key, value in answer.history if key == b"live"]
    assert live == [(1, 1), (2, 2), (3, 3), (3, 3)]


def test_choices_that_report_the_same_numbers_add_up() -> None:
    report = {"prompt_tokens": 5, "completion_tokens": 1}
    frames = [event(chunk({"content": "w"}, index, usage=report)) for index in (0, 1)]
    assert Answer(SSE, {**HIDE, "answers": 2, "prompts": 1}, frames).log[b"live"][b"completion"] == 2


def test_several_prompts_and_their_answers_add_up() -> None:
    """Two answers to each of two prompts, of 5 and of 7 tokens; the stream is cut after six events."""
    reports = [(0, 5, 1), (1, 5, 1), (2, 7, 1), (3, 7, 1), (0, 5, 2), (2, 7, 2)]
    frames = [
        event(chunk({"content": "w"}, index, usage={"prompt_tokens": prompt, "completion_tokens": done}))
        for index, prompt, done in reports
    ]
    answer = Answer(SSE, {**HIDE, "answers": 2, "prompts": 2}, frames)
    assert answer.log[b"report"] == {b"prompt": 12}
    assert answer.log[b"live"][b"completion"] == 6


@pytest.mark.parametrize(
    ("headers", "request_metadata"),
    [
        ({**SSE, "content-encoding": "gzip"}, HIDE),
        ({":status": "200"}, HIDE),
        ({":status": "200", "content-type": "text/plain"}, HIDE),
        ({**SSE, ":status": "500"}, HIDE),
        ({**SSE, ":status": "304"}, HIDE),
        (SSE, None),
        (SSE, {"surface": "models"}),
    ],
    ids=["compressed", "no type", "another type", "an error", "a redirect", "no plan", "answered here"],
)
def test_what_is_not_metered_passes(headers: dict[str, str], request_metadata: dict[str, Any] | None) -> None:
    text = STREAMS["continuous usage"]
    answer = Answer(headers, request_metadata, [text])
    assert (answer.out, answer.log) == (text, {})


@pytest.mark.parametrize("encoding", ["identity", ""])
def test_an_encoding_that_is_none_is_metered(encoding: str) -> None:
    headers = {**SSE, "content-encoding": encoding} if encoding else SSE
    assert (
        Answer(headers, HIDE, [STREAMS["continuous usage"]]).log[b"live"][b"completion"] == USAGE["completion_tokens"]
    )


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
    assert Answer(headers, CHAT, [DONE]).headers.get("x-headgate-error-source") == source

"""The ways in which a scripted provider answers: a table of steps, no IO.

An upstream model is named after the way in which it answers, with anything behind a `#`.
"""

import gzip
from collections.abc import Callable
from typing import Any, Literal

import h11
from provider_answers import Asked, encoded, error_body, error_event, events, up_to_a_token, whole

# A head; a piece of the body; the end, a reset, silence until the client goes, time for the rest to leave.
Step = h11.Response | bytes | Literal["end", "reset", "silence", "pause"]

RETRY_AFTER_S = 7
CONTEXT_WINDOW = {
    "openai": "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens. "
    "Please reduce the length of the messages.",
    "anthropic": "prompt is too long: 208310 tokens > 200000 maximum",
}

Way = Callable[[Asked], list[Step]]


def ok(asked: Asked) -> list[Step]:
    return _streamed(*events(asked), "end") if asked.stream else _json(200, whole(asked))


def _error(status: int, message: str, kind: str, code: str | None = None, **headers: str) -> Way:
    """An error in the provider's own shape; `kind` and `code` are OpenAI's, Anthropic's type follows the status."""

    def answer(asked: Asked) -> list[Step]:
        return _json(status, error_body(asked, status, message, kind, code), **headers)

    return answer


def _context_window(asked: Asked) -> list[Step]:
    body = error_body(
        asked, 400, CONTEXT_WINDOW[asked.api], "invalid_request_error", "context_length_exceeded", "messages"
    )
    return _json(400, body)


def _context_window_otherwise(asked: Asked) -> list[Step]:
    """vLLM's words, and Anthropic's for a prompt that would fit without `max_tokens`."""
    if asked.api == "anthropic":
        message = (
            "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, "
            "decrease input length or `max_tokens` and try again"
        )
        return _json(400, error_body(asked, 400, message, "invalid_request_error"))
    message = (
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens in the messages."
    )
    return _json(400, {"object": "error", "message": message, "type": "BadRequestError", "param": None, "code": 400})


def _reset_after_headers(asked: Asked) -> list[Step]:
    head = _streamed()[0] if asked.stream else _head(200, "application/json", 100)
    return [head, "pause", "reset"]


def _headers_then_silence(asked: Asked) -> list[Step]:
    if asked.stream:
        return _streamed("silence")
    return [_head(200, "application/json", 100), "silence"]


def _reset_in_answer(asked: Asked) -> list[Step]:
    return [*_half(asked), "pause", "reset"]


def _silence_in_answer(asked: Asked) -> list[Step]:
    return [*_half(asked), "silence"]


def _half(asked: Asked) -> list[Step]:
    """The first half of a JSON answer, or a stream as far as its first token."""
    if asked.stream:
        return _streamed(*up_to_a_token(asked))
    body = encoded(whole(asked))
    return [_head(200, "application/json", len(body)), body[: len(body) // 2]]


def _error_event_first(asked: Asked) -> list[Step]:
    body = error_body(asked, 529, "Overloaded", "server_error")
    return _streamed(error_event(asked, body), "end") if asked.stream else _json(200, body)


def _error_event_after_nothing(asked: Asked) -> list[Step]:
    """Behind what looks like a token, but has no text."""
    if not asked.stream:
        return _error_event_first(asked)
    nothing = [event.replace(b"Hello", b"") for event in up_to_a_token(asked)]
    body = error_body(asked, 529, "Overloaded", "server_error")
    return _streamed(*nothing, "pause", error_event(asked, body), "end")


def _limit_event_first(asked: Asked) -> list[Step]:
    body = error_body(asked, 429, "Slow down.", "rate_limit_error", "rate_limit_exceeded")
    if not asked.stream:
        return _json(200, body)
    told = error_event(asked, body)
    middle = told.index(b'"error"') + 9  # what went wrong is told first, that it is a limit in a later piece
    return _streamed(told[:middle], "pause", told[middle:], "end")


def _error_event_later(asked: Asked) -> list[Step]:
    if not asked.stream:
        return _error_event_first(asked)
    body = error_body(asked, 529, "Overloaded", "server_error")
    return [*_half(asked), "pause", error_event(asked, body), "end"]


def _html(asked: Asked) -> list[Step]:
    body = b"<!doctype html>\n<html><body><h1>Please log in</h1></body></html>\n"
    return [_head(200, "text/html; charset=utf-8", len(body)), body, "end"]


def _gzip(asked: Asked) -> list[Step]:
    if asked.stream:
        body = gzip.compress(b"".join(events(asked)))
        return [_head(200, "text/event-stream", len(body), content_encoding="gzip"), body, "end"]
    body = gzip.compress(encoded(whole(asked)))
    return [_head(200, "application/json", len(body), content_encoding="gzip"), body, "end"]


def _bad_json(asked: Asked) -> list[Step]:
    if asked.stream:
        first, *rest = events(asked)
        return _streamed(first[:-12] + b"\n\n", *rest, "end")
    return _json(200, encoded(whole(asked))[:-20])


def _truncated(asked: Asked) -> list[Step]:
    """An answer that ends in good order of the transport, but half-way."""
    return [*_half(asked), "pause", "end"] if asked.stream else _json(200, encoded(whole(asked))[:40])


def _wrong_order(asked: Asked) -> list[Step]:
    if asked.stream:
        first, *rest = events(asked)
        return _streamed(*rest[-1:], first, *rest[:-1], "end")
    return _json(200, {"type": "message", "object": "chat.completion", "usage": []})


def _empty(asked: Asked) -> list[Step]:
    return _streamed("end") if asked.stream else [_head(200, "application/json", 0), "end"]


WAYS: dict[str, Way] = {
    "ok": ok,
    "status_500": _error(500, "It broke.", "server_error"),
    "status_503": _error(503, "Not now.", "server_error"),
    "status_429": _error(
        429, "Slow down.", "rate_limit_error", "rate_limit_exceeded", retry_after=str(RETRY_AFTER_S)
    ),
    "status_401": _error(401, "Incorrect API key.", "invalid_request_error", "invalid_api_key"),
    "status_400": _error(400, "Temperature is wrong.", "invalid_request_error", "invalid_value"),
    "context_window": _context_window,
    "context_window_otherwise": _context_window_otherwise,
    "reset_before_headers": lambda _asked: ["reset"],
    "reset_after_headers": _reset_after_headers,
    "reset_in_answer": _reset_in_answer,
    "silent": lambda _asked: ["silence"],
    "headers_then_silence": _headers_then_silence,
    "silence_in_answer": _silence_in_answer,
    "error_event_first": _error_event_first,
    "error_event_after_nothing": _error_event_after_nothing,
    "error_event_later": _error_event_later,
    "limit_event_first": _limit_event_first,
    "html": _html,
    "gzip": _gzip,
    "bad_json": _bad_json,
    "truncated": _truncated,
    "wrong_order": _wrong_order,
    "empty": _empty,
}

LARGE_PIECES, LARGE_BYTES = 40, 100_000


def large(asked: Asked) -> list[Step]:
    """A stream of more than Envoy buffers for a client, all of it at once."""
    found, at = events(asked), 1 if asked.api == "openai" else 2
    piece = found[at].replace(b"Hello", b"x" * LARGE_BYTES)
    return _streamed(b"".join([*found[:at], *[piece] * LARGE_PIECES, *found[at + 1 :]]), "end")


OTHER_WAYS: dict[str, Way] = {"large": large}


def _head(status: int, content_type: str, length: int | None = None, **headers: str) -> h11.Response:
    fields = {"content-type": content_type} | {name.replace("_", "-"): value for name, value in headers.items()}
    if length is not None:
        fields["content-length"] = str(length)
    return h11.Response(status_code=status, headers=list(fields.items()))


def _json(status: int, body: Any, **headers: str) -> list[Step]:
    raw = body if isinstance(body, bytes) else encoded(body)
    return [_head(status, "application/json", len(raw), **headers), raw, "end"]


def _streamed(*steps: Step) -> list[Step]:
    return [_head(200, "text/event-stream"), *steps]

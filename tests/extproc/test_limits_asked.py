"""What the limiter of the same worker decides on a request that has its plan, and what Envoy is told of it."""

import json

import pytest
from counted import CHAT, SNAPSHOT
from ext_proc_client import Limiter, ask, chat

from headgate.limiting import Denied, Granted

LIMITS = "envoy.filters.http.ratelimit"
TOLD = (("x-ratelimit-limit-requests", "9"), ("x-headgate-warning", "rpm; used=5; soft=4"))


def test_what_is_said_of_limits_goes_along_with_the_plan() -> None:
    reply = ask(CHAT, chat(), limiter=Limiter(Granted(True, TOLD)))
    assert (reply.status, reply.clusters[0]) == (None, "provider/local")
    lines = "x-ratelimit-limit-requests:9\nx-headgate-warning:rpm; used=5; soft=4\n"
    assert reply.metadata[LIMITS] == {"reserved": True, "headers": lines}
    assert not {name for name, _ in TOLD} & reply.headers.keys(), "they are for the client"


@pytest.mark.parametrize(("reserved", "said"), [(False, {"reserved": False}), (None, None)])
def test_whether_something_is_reserved(reserved: bool | None, said: dict[str, bool] | None) -> None:
    assert ask(CHAT, chat(), limiter=Limiter(Granted(reserved))).metadata.get(LIMITS) == said


def test_a_request_without_room_ends_here_with_what_its_line_has() -> None:
    body = b'{"error": {}}'
    denied = Denied(429, body, (("content-type", "application/json"), ("retry-after", "3")))
    reply = ask(CHAT, chat(user="u"), limiter=Limiter(denied))
    assert (reply.status, reply.body, reply.headers) == (429, body, dict(denied.headers))
    assert reply.metadata[LIMITS] == {"answered": True, "reserved": False}
    request = reply.metadata["hg.request"]
    assert (request["model"], request["surface"], request["user"]) == ("chat", "chat", "u")
    assert "answered" not in request
    assert "hg.plan" not in reply.metadata


@pytest.mark.parametrize(("granted", "shown"), [(7, "7"), (10_000, "200")])
def test_the_lowest_limit_of_the_answer_holds(granted: int, shown: str) -> None:
    """The plan's, since no target writes more, or what the limiter grants."""
    body = json.dumps({**json.loads(chat(model="bounded")), "max_tokens": 5000}).encode()
    reply = ask(CHAT, body, snapshot=SNAPSHOT, limiter=Limiter(Granted(True, (), granted)))
    assert reply.headers["x-headgate-max-tokens"] == shown

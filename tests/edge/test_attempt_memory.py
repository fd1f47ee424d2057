"""The filter `attempt` of envoy/module where memory is short, and what it is told is wrong."""

import pytest
from attempt_script import Script, cluster, side
from attempt_side import Side
from test_attempt_script import CHAIN, CREDENTIALS, OF_CHAT, PLAIN


@pytest.fixture
def config() -> int:
    script = Script(cluster("base_url: 'http://p.test/v1', api_key: env:OPENAI_API_KEY"))
    return script.number


@pytest.mark.parametrize("plan", [OF_CHAT, CHAIN], ids=["single", "chain"])
def test_without_memory_nothing_leaves(config: int, plan: dict[str, str]) -> None:
    headers = [*PLAIN.items(), *CREDENTIALS.items()]
    metadata = {("hg.request", key): value for key, value in plan.items()}
    assert side().ask(config, 0, headers, metadata, starves=True)[2] == 503


@pytest.mark.parametrize(
    "text", ["x\nno such thing\n", "x\nkeep\x00\n", "x\nstatus 4034 Name\n", "x\npath /v1\nplain\n"]
)
def test_what_it_does_not_know_is_refused(text: str) -> None:
    assert side().configure(text) is None


def test_headers_that_come_twice_stay_here(config: int) -> None:
    headers = [*PLAIN.items(), ("x-hint", "a"), ("x-hint", "b"), ("cookie", "a"), ("cookie", "b")]
    sent, metadata, _ = side().ask(config, 0, headers, {("hg.request", key): value for key, value in CHAIN.items()})
    assert not {"x-hint", "cookie"} & dict(sent).keys()
    assert {key: value for (space, key), value in metadata.items() if space == "hg.aside"} == {"x-hint": "b"}


def test_nothing_is_left_behind() -> None:
    own = Side()
    own.configure("\npath /v1\nhost p.test\nkeep :path\nstream text/event-stream\nbroken {}\nkey_file /none\n")
    own.ask(0, 0, [(":path", "/v1/x"), ("cookie", "a")], {("hg.request", "endpoint"): "/x"})
    own.answer(0, [(":status", "400")], {}, b"<html>", size=2)
    assert own.end() == 0

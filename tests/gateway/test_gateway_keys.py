"""Providers with several keys: drawn by weight, rested when limited or refused, replaced while requests run."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_hex, token_urlsafe
from typing import Any

import httpx2
import pytest
from keyed_provider import KeyedProvider, keyed_provider
from running_gateway import RunningGateway, running_gateway
from test_gateway_secrets import holders

from tests.counters.valkey_server import valkey_server

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
POOLS = ("weights", "limited", "refused", "claude", "spent", "denied", "shared", "kept", "edited")
IN_FILES = ("refused", "edited")
DRAWS = 80


@dataclass
class Setup:
    """A gateway whose providers have two keys each, `a` and `b`; those of `refused` and `edited` are in files."""

    folder: Path
    gateway: RunningGateway
    other: RunningGateway
    provider: KeyedProvider
    caller: str
    values: dict[str, str]  # "POOL/KEY": what it is

    def ask(self, pool: str, gateway: RunningGateway | None = None, **more: Any) -> httpx2.Response:
        body = {"model": pool, "messages": [{"role": "user", "content": "hi"}], **more}
        return (gateway or self.gateway).post(CHAT, body, self.caller)

    def keys_of(self, reply: httpx2.Response) -> list[str]:
        """The names of the keys that a request's attempts went with."""
        names = {value: name.partition("/")[2] for name, value in self.values.items()}
        return [names[value] for value in self.provider.asked(reply.headers["x-request-id"])]

    def says(self, name: str, status: int | None, model: str | None = None) -> None:
        key: Any = (self.values[name], model) if model else self.values[name]
        self.provider.says.pop(key, None)
        if status:
            self.provider.says[key] = status

    def first_keys(self, pool: str, count: int = 12, **more: Any) -> Counter[str]:
        """With which keys requests of this pool go first."""
        found: Counter[str] = Counter()
        for _ in range(count):
            reply = self.ask(pool, **more)
            assert reply.status_code == 200, reply.text
            found[self.keys_of(reply)[0]] += 1
        return found

    def edit(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change gateway.yaml, and wait until that runs."""
        path, before = self.gateway.folder / "gateway.yaml", self.gateway.readyz()["config"]["generation"]
        config = json.loads(path.read_text())
        change(config)
        path.write_text(json.dumps(config, indent=2))
        within(lambda: self.gateway.readyz()["config"]["generation"] > before, self.gateway.log)


def within(condition: Callable[[], Any], said: Callable[[], str] = str, within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, said()
        time.sleep(0.05)


def ledger_lines(gateway: RunningGateway, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(text) for text in (gateway.state / "log/ledger.log").read_text().splitlines()]
    return [line for line in lines if line["event"] == event]


def metric(gateway: RunningGateway, *parts: str) -> float:
    """The sum of all series that have these parts in their names."""
    text = httpx2.get(f"http://{gateway.admin_address}/metrics").text
    lines = [line for line in text.splitlines() if all(part in line for part in parts) and line[0] != "#"]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def entry(provider: KeyedProvider, pool: str) -> dict[str, Any]:
    root = f"http://{provider.address}/{pool}"
    in_file = pool in IN_FILES
    keys = [{"key": f"file:keys/{pool}-{key}" if in_file else f"env:POOL_{pool}_{key}", "name": key} for key in "ab"]
    keys[0]["weight"] = 3 if pool == "weights" else 1
    if pool == "claude":
        return {"api": "anthropic", "base_url": root, "api_keys": keys}
    return {"api": "openai", "base_url": f"{root}/v1", "api_keys": keys}


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    folder, caller = tmp_path_factory.mktemp("keys"), f"hg-{token_urlsafe(32)}"
    values = {f"{pool}/{key}": f"sk-{pool}-{key}-{token_hex(12)}" for pool in POOLS for key in "abc"}
    folders = [folder / "one", folder / "two"]
    for each in folders:
        (each / "keys").mkdir(parents=True)
        for name, value in values.items():
            (each / "keys" / name.replace("/", "-")).write_text(value)
    environ = {
        f"POOL_{name.replace('/', '_')}": value
        for name, value in values.items()
        if not name.startswith(IN_FILES) and not name.endswith("/c")
    }
    with keyed_provider() as provider, valkey_server(folder) as counters:
        models: dict[str, Any] = {pool: {"targets": [{"provider": pool, "model": "m"}]} for pool in POOLS}
        models["refused-2"] = {"targets": [{"provider": "refused", "model": "m-2"}]}
        models["limited-2"] = {"targets": [{"provider": "limited", "model": "m-2"}]}
        tenant = {"models": list(models), "keys": [{"name": "ci", "sha256": sha256(caller.encode()).hexdigest()}]}
        config = {
            "providers": {pool: entry(provider, pool) for pool in POOLS},
            "models": models,
            "tenants": {"acme": tenant},
            "services": {"counters": f"unix://{counters.socket}"},
        }
        with (
            running_gateway(folders[0], config, environ) as one,
            running_gateway(folders[1], config, environ, workers=1) as two,
        ):
            time.sleep(2.1)  # for so long what is said of a key may be about the one before
            yield Setup(folder, one, two, provider, caller, values)


def test_keys_are_drawn_by_weight_and_the_spool_says_which(setup: Setup) -> None:
    found: Counter[str] = Counter()
    for _ in range(DRAWS):
        reply = setup.ask("weights")
        (key,) = setup.keys_of(reply)
        found[key] += 1
    assert abs(found["a"] - 0.75 * DRAWS) <= 6.5 * (DRAWS * 0.75 * 0.25) ** 0.5
    line = setup.gateway.end_line(reply.headers["x-request-id"])
    assert (line["target"], line["provider_key"]) == ("weights", key)
    name, label = "headgate_provider_requests_total", 'provider="weights"'
    assert metric(setup.gateway, name, label, 'provider_key="a"') == found["a"]
    assert metric(setup.gateway, name, label) == DRAWS


def test_a_limited_key_is_followed_by_the_other_and_rests_for_its_model(setup: Setup) -> None:
    setup.provider.retry_after_s = 5
    setup.says("limited/a", 429, "m")
    replies = []
    within(lambda: replies.append(setup.ask("limited")) or len(setup.keys_of(replies[-1])) == 2)
    assert {reply.status_code for reply in replies} == {200}
    assert setup.keys_of(replies[-1]) == ["a", "b"]
    assert replies[-1].headers["x-headgate-attempts"] == "2"
    within(lambda: metric(setup.gateway, "headgate_rests_total", 'provider="limited"', 'provider_key="a"') == 1)
    within(lambda: set(setup.first_keys("limited", 6)) == {"b"}, within_s=4)
    assert set(setup.first_keys("limited-2", 20)) == {"a", "b"}
    setup.says("limited/a", None, "m")
    within(lambda: "a" in setup.first_keys("limited", 6))
    (file,) = (setup.gateway.state / "spool").glob("*.attempts")
    attempts = [json.loads(text) for text in file.read_text().splitlines()]
    (line,) = [one for one in attempts if one["request_id"] == replies[-1].headers["x-request-id"]]
    assert (line["target"], line["provider_key"], line["status"], line["retry"]) == ("limited", "a", 429, None)


def test_a_refused_key_rests_with_all_its_models_until_it_is_renewed(setup: Setup) -> None:
    setup.says("refused/a", 401)
    replies = []
    within(lambda: replies.append(setup.ask("refused")) or len(setup.keys_of(replies[-1])) == 2)
    assert {reply.status_code for reply in replies} == {200}
    assert setup.keys_of(replies[-1]) == ["a", "b"]
    within(lambda: ledger_lines(setup.gateway, "a provider refuses a key: it rests"))
    within(lambda: set(setup.first_keys("refused", 10)) == {"b"})
    assert set(setup.first_keys("refused-2", 10)) == {"b"}
    (line,) = ledger_lines(setup.gateway, "a provider refuses a key: it rests")
    assert (line["provider"], line["key_name"], line["status"], line["rest_s"]) == ("refused", "a", 401, 30)
    assert metric(setup.gateway, "headgate_key_refusals_total", 'provider="refused"', 'provider_key="a"') == 1
    setup.values["refused/c"] = f"sk-new-{token_hex(12)}"
    (setup.gateway.folder / "keys/refused-a").write_text(setup.values["refused/c"])
    within(lambda: "c" in setup.first_keys("refused", 6), within_s=20)  # sooner than its rest would end


def test_a_refused_key_is_followed_where_answers_are_translated(setup: Setup) -> None:
    setup.says("claude/b", 401)
    replies = []
    within(lambda: replies.append(setup.ask("claude")) or len(setup.keys_of(replies[-1])) == 2)
    assert (replies[-1].status_code, setup.keys_of(replies[-1])) == (200, ["b", "a"])
    assert replies[-1].json()["choices"][0]["message"]["content"] == "ok"


@pytest.mark.parametrize(
    ("pool", "status", "code"), [("spent", 429, None), ("denied", 401, "provider_refused_credential")]
)
def test_when_no_key_is_left_the_provider_is_heard(setup: Setup, pool: str, status: int, code: str | None) -> None:
    setup.provider.retry_after_s = 60
    for key in "ab":
        setup.says(f"{pool}/{key}", status)
    for _ in range(5):
        reply = setup.ask(pool)
        assert (reply.status_code, sorted(setup.keys_of(reply))) == (status, ["a", "b"])
        assert reply.headers["x-headgate-error-source"] == "provider"
        assert reply.headers.get("retry-after") == ("60" if status == 429 else None)
        assert reply.json()["error"]["code"] == code
        assert (pool == "denied") is ("sk-" not in reply.text)  # what a provider says of limits is its own
        time.sleep(0.3)


def test_a_rest_is_every_gateways(setup: Setup) -> None:
    setup.says("shared/b", 401)
    within(lambda: setup.ask("shared") and metric(setup.gateway, "key_refusals_total", 'provider="shared"') == 1)
    within(lambda: {setup.keys_of(setup.ask("shared", setup.other))[0] for _ in range(8)} == {"a"})
    assert ledger_lines(setup.other, "a provider refuses a key: it rests") == []


def test_a_response_is_asked_for_with_the_key_that_made_it(setup: Setup) -> None:
    made: dict[str, str] = {}
    while len(made) < 2:
        reply = setup.gateway.post(RESPONSES, {"model": "kept", "input": "hi"}, setup.caller)
        made[setup.keys_of(reply)[0]] = reply.json()["id"]
    for key, response_id in made.items():
        for _ in range(4):
            assert setup.keys_of(setup.gateway.get(f"{RESPONSES}/{response_id}", setup.caller)) == [key]
            body = {"model": "kept", "input": "more", "previous_response_id": response_id}
            assert setup.keys_of(setup.gateway.post(RESPONSES, body, setup.caller)) == [key]


def test_keys_come_and_go_while_requests_run(setup: Setup) -> None:
    made: dict[str, str] = {}
    while "a" not in made:
        reply = setup.gateway.post(RESPONSES, {"model": "edited", "input": "hi"}, setup.caller)
        made[setup.keys_of(reply)[0]] = reply.json()["id"]
    headers = {"authorization": f"Bearer {setup.caller}"}
    body = {"model": "edited", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    with (
        httpx2.Client(timeout=60) as client,
        client.stream("POST", setup.gateway.url + CHAT, json=body, headers=headers) as stream,
    ):
        pieces = stream.iter_text()
        text = next(pieces)

        def replace(config: dict[str, Any]) -> None:
            keys = config["providers"]["edited"]["api_keys"]
            keys[:] = [{"key": "file:keys/edited-c", "name": "c"}, keys[1]]

        setup.edit(replace)
        assert set(setup.first_keys("edited", 20)) == {"b", "c"}
        setup.provider.goes_on.set()
        text += "".join(pieces)
    assert text.rstrip().endswith("[DONE]")
    reply = setup.gateway.get(f"{RESPONSES}/{made['a']}", setup.caller)
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "response_not_found")
    assert "credential" in reply.json()["error"]["message"]
    again = {"model": "edited", "input": "more", "previous_response_id": made["a"]}
    reply = setup.gateway.post(RESPONSES, again, setup.caller)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "previous_response_elsewhere")


def test_no_key_is_in_any_output_and_none_goes_to_another_provider(setup: Setup) -> None:
    """Last: of all that the others have done."""
    values = list(setup.values.values())
    for gateway in (setup.gateway, setup.other):
        assert holders(gateway.state, *values) == []
        shown = [gateway.admin(path).decode() for path in ("/config_dump", "/stats", "/clusters?format=json")]
        shown += [gateway.log(), httpx2.get(f"http://{gateway.admin_address}/metrics").text, str(gateway.readyz())]
        shown += [Path(f"/proc/{pid}/environ").read_text() for pid in gateway.pids("").values()]
        assert not [value for value in values for text in shown if value in text]
    for pool in POOLS:
        own = {value for name, value in setup.values.items() if name.startswith(f"{pool}/")}
        assert setup.provider.credentials(pool) <= own
        assert setup.provider.credentials(pool)

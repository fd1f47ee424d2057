"""A gateway that is given every kind of secret there is, each a known text, and that is made to use all of them."""

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex, token_urlsafe
from typing import Any

import httpx2
from collector import Collector, collector
from running_gateway import RunningGateway, free_address, headgate, running_gateway
from secret_search import Search
from tenants import CHAT, COMPLETIONS, EMBEDDINGS, Keys, chat, configuration, new_keys
from upstreams import Engine, closing_address, refused_address
from websocket_gateway import PATH, create, until_end
from websockets.asyncio.client import connect

from tests.control.postgres_server import USER, PostgresServer, postgres_server
from tests.counters.valkey_server import ValkeyServer, valkey_server
from tests.issuer import Issuer, Signer, serving

ENV = {
    "provider key": "SECRETIVE_PROVIDER",
    "claude's key": "SECRETIVE_CLAUDE",
    "first of the pool": "SECRETIVE_FIRST",
    "second of the pool": "SECRETIVE_SECOND",
    "AWS key id": "SECRETIVE_AWS_ID",
    "AWS key": "SECRETIVE_AWS_KEY",
    "webhook secret": "SECRETIVE_WEBHOOK",
    "pepper": "SECRETIVE_PEPPER",
}
OF_PROVIDERS = frozenset(ENV) - {"webhook secret", "pepper"} | {"provider key in a file", "stored provider key"}
FILED = ("provider key in a file", "stored provider key", "previous pepper")
PASSWORDS = ("counters' password", "database's password")


@dataclass
class Secretive:
    """`secrets` by name; what was answered and printed on the way is in `said`."""

    gateway: RunningGateway
    secrets: dict[str, str]
    prompts: dict[str, str]
    keys: Keys
    environ: dict[str, str]
    sink: Collector
    valkey: ValkeyServer
    postgres: PostgresServer
    issuer: Issuer
    said: list[tuple[str, bytes]]

    def post(self, path: str, body: Any, key: str | None, **headers: str) -> httpx2.Response | None:
        """A request whose answer is kept, if there is one."""
        try:
            reply = self.gateway.post(path, body, key, **headers)
        except httpx2.RemoteProtocolError:
            return None
        self._keep(f"answer to {path}", reply)
        return reply

    def get(self, path: str, key: str | None) -> int:
        reply = self.gateway.get(path, key)
        self._keep(f"answer to {path}", reply)
        return reply.status_code

    def run(self, *arguments: str) -> None:
        """A command of the operator's, who has all secrets in the environment."""
        done = headgate(*arguments, **self.environ)
        self.said.append((f"headgate {arguments[0]}", (done.stdout + done.stderr).encode()))

    def operator(self, key: str) -> dict[str, str]:
        """The environment of somebody who has this key of the admin API."""
        return {"HEADGATE_ADMIN_KEY": key, "HEADGATE_STATE": str(self.gateway.state), "HEADGATE_TENANT": ""}

    def administer(self, key: str, *arguments: str) -> None:
        """A command of theirs."""
        done = headgate(*arguments, **self.operator(key))
        self.said.append((f"headgate {arguments[0]}", (done.stdout + done.stderr).encode()))

    def _keep(self, what: str, reply: httpx2.Response) -> None:
        headers = b"".join(name + b": " + value + b"\n" for name, value in reply.headers.raw)
        self.said.append((what, headers + reply.content))


@contextmanager
def secretive_gateway(folder: Path, engine: Engine, other: Engine) -> Iterator[Secretive]:
    made = {name: f"sk-{token_urlsafe(24)}" for name in (*ENV, *FILED, *PASSWORDS)}
    prompts = {name: f"{name}-{token_hex(12)}" for name in ("prompt", "query", "model")}
    keys = new_keys()
    (folder / "provider-key").write_text(made["provider key in a file"])
    (folder / "previous-pepper").write_text(made["previous pepper"])
    environ = {variable: made[name] for name, variable in ENV.items()}
    password = made["counters' password"]
    user = ("--user", "tests", "on", f">{password}", "~*", "&*", "+@all")
    (folder / "valkey").mkdir()
    database = free_address()
    with (
        collector() as sink,
        valkey_server(folder / "valkey", *user) as valkey,
        postgres_server(int(database.rpartition(":")[2])) as postgres,
        serving(Issuer(Signer("ES256", "e"))) as issuer,
        refused_address() as dead,
        closing_address() as closing,
    ):
        config = configuration(keys, engine.address, other.address, dead, closing)
        _add_secrets(config, folder, other.address)
        config |= {
            "services": {
                "counters": f"unix://tests:{password}@{valkey.socket}",
                "database": f"postgresql://{USER}:{made[PASSWORDS[1]]}@{database}/postgres",
            },
            "auth": {
                "pepper": "env:SECRETIVE_PEPPER",
                "previous_peppers": [f"file:{folder}/previous-pepper"],
                "oidc": {
                    "issuer": issuer.url,
                    "audience": "headgate",
                    "tenant_claim": "org.tenant",
                    "roles_claim": "org.role",
                    "roles": {"platform": "admin", "dev": "developer"},
                },
            },
            "alerts": {"webhook": f"{sink.url}/hook", "secret": "env:SECRETIVE_WEBHOOK"},
            "telemetry": {"otlp": sink.url, "sample": 1},
            "plans": {"watched": {"monthly_tokens": {"soft": 1}, "rpm": 100_000}},
        }
        postgres.execute(f"ALTER USER {USER} PASSWORD '{made[PASSWORDS[1]]}'")
        with running_gateway(folder, config, environ) as gateway:
            virtual = {f"virtual key {name}": getattr(keys, name) for name in keys.__dataclass_fields__}
            yield Secretive(gateway, made | virtual, prompts, keys, environ, sink, valkey, postgres, issuer, [])


def _add_secrets(config: dict[str, Any], folder: Path, other: str) -> None:
    there = f"http://{other}"
    config["providers"]["keyed"]["api_key"] = "env:SECRETIVE_PROVIDER"
    config["providers"]["filed"] = {
        "api": "openai",
        "base_url": f"{there}/v1",
        "api_key": f"file:{folder}/provider-key",
    }
    config["providers"]["stored"] = {"api": "openai", "base_url": f"{there}/v1", "api_key": "stored"}
    config["providers"]["claude"] = {"api": "anthropic", "base_url": there, "api_key": "env:SECRETIVE_CLAUDE"}
    pool = [{"name": name.lower(), "key": f"env:SECRETIVE_{name}"} for name in ("FIRST", "SECOND")]
    config["providers"]["pool"] = {"api": "openai", "base_url": f"{there}/v1", "api_keys": pool}
    config["providers"]["bedrock"] = {
        "api": "bedrock",
        "base_url": there,
        "region": "eu-central-1",
        "aws": {"access_key_id": "env:SECRETIVE_AWS_ID", "secret_access_key": "env:SECRETIVE_AWS_KEY"},
    }
    for name in ("filed", "stored", "claude", "pool", "bedrock"):
        config["models"][name] = {"targets": [{"provider": name, "model": "m"}]}
        config["tenants"]["acme"]["models"].append(name)
    config["tenants"]["acme"] |= {"plan": "watched", "store_prompts": True}


def work(secretive: Secretive) -> None:
    """Requests of every kind, most of which go wrong somewhere, and what operators do."""
    keys, prompts = secretive.keys, secretive.prompts
    said = {"messages": [{"role": "user", "content": prompts["prompt"]}], "user": "somebody"}
    bodies: list[Any] = [
        {**chat(model, stream=stream), **said}
        for model in ("chat", "keyed", "filed", "stored", "pool", "claude", "bedrock", "dead", "closing", "nameless")
        for stream in (False, True)
    ]
    echo = f"{prompts['prompt']} was wrong"
    bodies += [
        chat("keyed", simulate={"status": 400, "error": {"message": echo}}) | said,
        chat("pool", simulate={"status": 401, "error": {"message": echo}}) | said,
        chat("claude", simulate={"status": 500}) | said,
        chat("keyed", stream=True, simulate={"cut_after": 1}) | said,
        chat(prompts["model"]) | said,
        chat(temperature=prompts["prompt"]) | said,
        chat(tools=prompts["prompt"]) | said,
        json.dumps(said).encode()[:-1],
        f'{{"{prompts["prompt"]}": 1, "{prompts["prompt"]}": 2}}'.encode(),
    ]
    for body in bodies:
        secretive.post(f"{CHAT}?q={prompts['query']}", body, keys.acme)
    secretive.post(COMPLETIONS, {"model": "keyed", "prompt": prompts["prompt"]}, keys.acme)
    secretive.post(EMBEDDINGS, {"model": "keyed", "input": prompts["prompt"]}, keys.acme)
    secretive.post("/v1/responses", {"model": "chat", "input": prompts["prompt"]}, keys.acme)
    message = {"model": "claude", "max_tokens": 9, "messages": said["messages"]}
    secretive.post("/v1/messages", message, None, x_api_key=keys.acme)
    for key in (*keys.unusable, keys.acme[:-1], f"{keys.acme}{prompts['prompt']}", f"Basic {keys.acme}"):
        secretive.post(CHAT, chat() | said, key)
    secretive.post(f"{CHAT}?api_key={keys.acme}", chat() | said, None)
    secretive.post(CHAT, chat() | said, keys.acme, x_request_id=keys.acme, traceparent=keys.acme, baggage=keys.acme)
    secretive.get("/v1/models/unknown", keys.acme)  # paths are in traces, and say nothing of a prompt
    with contextlib.suppress(httpx2.TransportError):
        secretive.post(CHAT, b"\x00" * 64, f"{keys.acme}\x01")
    asyncio.run(_over_a_websocket(secretive))
    _operate(secretive)


async def _over_a_websocket(secretive: Secretive) -> None:
    headers = {"authorization": f"Bearer {secretive.keys.acme}"}
    async with connect(f"ws://{secretive.gateway.http}{PATH}", additional_headers=headers) as socket:
        for model in ("keyed", secretive.prompts["model"]):
            await socket.send(create(model=model, input=secretive.prompts["prompt"]))
            events = await until_end(socket)
            secretive.said.append(("WebSocket", json.dumps(events).encode()))


def _operate(secretive: Secretive) -> None:
    gateway = secretive.gateway
    state, config = ["--state", str(gateway.state)], gateway.folder / "gateway.yaml"
    for arguments in (
        ["status", *state],
        ["status", *state, "--json"],
        ["render", str(config)],
        ["check", str(config)],
        ["limits", "show", "acme", *state],
        ["limits", "show", "acme", *state, "--json", "--user", "somebody"],
        ["restart", *state, "--drain-timeout", "1s"],
    ):
        secretive.run(*arguments)
    text = config.read_text()
    broken = json.loads(text)
    broken["providers"]["keyed"]["api_key"] = secretive.secrets["provider key"]  # as people do
    broken["services"]["counters"] = f"redis://:{secretive.environ['SECRETIVE_CLAUDE']}@[broken"
    draft = gateway.folder / "broken.yaml"
    draft.write_text(json.dumps(broken))
    secretive.run("check", str(draft))
    secretive.run("check", "--json", str(draft))
    secretive.run("render", str(draft))
    draft.replace(config)
    _wait_for_config(gateway, broken=True)
    secretive.run("status", *state, "--json")
    config.write_text(text)
    _wait_for_config(gateway, broken=False)


def _wait_for_config(gateway: RunningGateway, *, broken: bool) -> None:
    deadline = time.monotonic() + 60
    while (gateway.readyz()["config"]["error"] is not None) is not broken:
        assert time.monotonic() < deadline, gateway.readyz()
        time.sleep(0.1)


def shown_by(secretive: Secretive) -> Iterator[tuple[str, bytes]]:
    """All that processes tell of themselves, and what their kernel tells of them."""
    gateway = secretive.gateway
    for path in (
        "/config_dump",
        "/config_dump?include_eds",
        "/stats",
        "/stats/prometheus",
        "/clusters?format=json",
        "/certs",
        "/listeners",
        "/server_info",
        "/runtime",
        "/init_dump",
    ):
        yield f"Envoy's {path}", gateway.admin(path)
    for path in ("/metrics", "/readyz", "/healthz", "/none"):
        yield path, httpx2.get(f"http://{gateway.admin_address}{path}", timeout=30).content
    for name, pid in {**gateway.pids(""), "supervisor": gateway.process.pid}.items():
        yield f"command line of {name}", Path(f"/proc/{pid}/cmdline").read_bytes()


def search_of(secretive: Secretive) -> Search:
    return Search(secretive.secrets | secretive.prompts)

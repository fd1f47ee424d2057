"""`headgate serve ratelimit` in a process of its own, asked as Envoy asks it, and what it answered."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import grpc
from redis import Redis

from headgate.config.given_limits import given_limits
from headgate.config.limits import PlanLimits
from headgate.contract import WORKERS_ENV
from headgate.counters.limits import TenantLimits
from headgate.counters.settlement import settle_call
from headgate.limits import GivenLimits, LimitsRow
from headgate.tenant_limits import limits_of
from headgate.wire.ratelimit_pb2 import RateLimitRequest, RateLimitResponse
from tests.counters.valkey_server import ValkeyServer

HEADGATE = str(Path(sys.executable).with_name("headgate"))
METHOD = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
PRICE = {"input": 2.5, "output": 10}  # USD per million tokens: 2500 and 10,000 nano-USD each
EPOCH = "20260101T000000-aaaaaa"
Entries = str | int


@dataclass(frozen=True)
class Answer:
    """One RateLimitResponse, as Envoy goes by it."""

    response: RateLimitResponse

    @property
    def is_ok(self) -> bool:
        return bool(self.response.overall_code == RateLimitResponse.OK)

    @cached_property
    def headers(self) -> dict[str, str]:
        return {entry.key: entry.value for entry in self.response.response_headers_to_add}

    def all(self, name: str) -> list[str]:
        return [entry.value for entry in self.response.response_headers_to_add if entry.key == name]

    @property
    def max_tokens(self) -> str | None:
        """What the metering filter is told to write into the body."""
        return {entry.key: entry.value for entry in self.response.request_headers_to_add}.get("x-headgate-max-tokens")

    @property
    def reserved(self) -> bool | None:
        fields = self.response.dynamic_metadata.fields
        return fields["reserved"].bool_value if "reserved" in fields else None

    @property
    def body(self) -> Any:
        return json.loads(self.response.raw_body)

    @property
    def error(self) -> Any:
        return self.body["error"]


class Worker:
    """One process. `others` share what it may give out by itself."""

    def __init__(self, folder: Path, config: Path, name: str = "w", workers: int = 1) -> None:
        self._socket = folder / f"{name}.sock"
        self._path = folder / f"{name}.log"
        self._log = self._path.open("ab")
        self.process = subprocess.Popen(
            [HEADGATE, "serve", "ratelimit", "-c", str(config), "--address", f"unix:{self._socket}"],
            env={**os.environ, WORKERS_ENV: str(workers)},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        self._channel = grpc.insecure_channel(f"unix:{self._socket}")
        self.call = self._channel.unary_unary(
            METHOD,
            request_serializer=RateLimitRequest.SerializeToString,
            response_deserializer=RateLimitResponse.FromString,
        )
        grpc.channel_ready_future(self._channel).result(timeout=30)

    def ask(self, tenant: str, request_id: str, **entries: Entries) -> Answer:
        return Answer(self.call(asked(tenant, request_id, **entries), timeout=10))

    def logged(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self._path.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if event in line["event"]]

    def reload(self) -> None:
        self.process.send_signal(signal.SIGHUP)

    def close(self) -> None:
        self._channel.close()
        self.process.terminate()
        try:
            assert self.process.wait(20) == 0, self._path.read_text()
        finally:
            self.process.kill()
            self._log.close()


def asked(tenant: str, request_id: str, **entries: Entries) -> RateLimitRequest:
    """What Envoy asks; what is "" is not there."""
    request = RateLimitRequest(domain=EPOCH)
    descriptor = request.descriptors.add()
    known = {"tenant": tenant, "key_id": "ci", "model": "chat", "request_id": request_id, **entries}
    for key, value in known.items():
        if value != "":
            descriptor.entries.add(key=key, value=str(value))
    return request


def write_config(
    path: Path,
    server: ValkeyServer,
    plans: Mapping[str, Any],
    engines: Mapping[str, Any] = MappingProxyType({}),
    models: Mapping[str, Any] = MappingProxyType({}),
) -> Path:
    """A tenant for each plan, with the models chat and big, and one without limits, with `models`, too."""
    model = {"targets": [{"provider": "p", "model": "m"}], "timeouts": {"total": "2m"}, "price": PRICE}
    tenants = {name: {"plan": name, "models": ["chat", "big"]} for name in plans}
    config = {
        "providers": {"p": {"api": "openai", "endpoints": ["http://127.0.0.1:9"]}},
        "models": {"chat": model, "big": model, **models},
        "plans": plans,
        "engines": dict(engines),
        "tenants": {**tenants, "free": {"models": ["chat", *models]}},
        "services": {"counters": f"unix://{server.socket}"},
    }
    path.write_text(json.dumps(config))
    return path


def rows_of(plans: Mapping[str, Any], *names: str) -> dict[str, LimitsRow]:
    """The limits of these tenants, as the tables carry them."""
    exact = json.loads(json.dumps(plans), parse_float=Decimal)
    rows = {
        name: limits_of(given_limits(PlanLimits.model_validate(exact[name])), GivenLimits(), {}) for name in names
    }
    return {name: row for name, row in rows.items() if row}


@contextmanager
def limiting(
    folder: Path, server: ValkeyServer, plans: Mapping[str, Any], number: int = 1, workers: int = 1, **more: Any
) -> Iterator[list[Worker]]:
    """So many processes, each of which believes that there are `workers`. `more`: see `write_config`."""
    config = write_config(folder / "gateway.yaml", server, plans, **more)
    running = [Worker(folder, config, f"w{at}", workers) for at in range(number)]
    yield running
    for worker in running:
        worker.close()


def know_sums(valkey: Redis, limits: Mapping[str, LimitsRow]) -> None:
    """As a ledger does: its sums of all calendar windows of these tenants are there, nothing used."""
    for tenant, row in limits.items():
        base = TenantLimits(tenant, row).base_key
        script, keys, arguments = settle_call(tenant, (), gateway="g", base=base)
        valkey.eval(script.text, len(keys), *keys, *arguments)

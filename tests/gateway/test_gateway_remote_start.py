"""A gateway that starts hands its own tables over, and not those that an earlier one has left."""

import json
import time
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe

from remote_workers import Credentials, remote_workers
from running_gateway import RunningGateway, free_address, running_gateway
from upstreams import Engine

from tests.counters.valkey_server import valkey_server

DEADLINE_S = 60.0


def healthy(gateway: RunningGateway) -> int:
    stats = gateway.admin("/stats?filter=headgate/filters.membership_healthy&format=json")
    return int(json.loads(stats)["stats"][0]["value"])


def test_a_worker_never_begins_with_what_an_earlier_gateway_has_left(engine: Engine, tmp_path: Path) -> None:
    credentials, address = Credentials(tmp_path), free_address()
    (tmp_path / "valkey").mkdir()
    keys = [{"name": f"k{n}", "sha256": sha256(token_urlsafe(32).encode()).hexdigest()} for n in range(2)]
    with (
        valkey_server(tmp_path / "valkey", "--port", address.rpartition(":")[2]),
        remote_workers(tmp_path, credentials, count=1) as (worker,),
    ):
        for generation in (1, 2):
            config = {
                "providers": {"local": {"api": "openai", "endpoints": [f"http://{engine.address}"]}},
                "models": {"chat": {"targets": [{"provider": "local", "model": "m"}]}},
                "tenants": {"acme": {"models": ["chat"], "keys": keys[:generation]}},
                "services": {
                    "counters": f"redis://{address}",
                    "filters": credentials.of_gateway([worker.address]),
                },
            }
            with running_gateway(tmp_path, config, {}, workers=None) as gateway:
                began = time.monotonic()
                while not healthy(gateway):
                    assert time.monotonic() - began < DEADLINE_S
                    time.sleep(0.05)
            lines = [json.loads(line) for line in worker.log.read_text().splitlines()]
            assert [line["generation"] for line in lines if line["event"] == "worker started"][-1] == generation
            worker.kill()
            worker.start()

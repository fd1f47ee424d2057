"""The scripts on a node of a real cluster, which carries out nothing on keys of several slots."""

from pathlib import Path

import pytest
from redis.exceptions import ResponseError

from headgate.counters.reservation import Wish
from headgate.counters.settlement import Settled, Sum
from headgate.limits import NANO, LimitRow
from tests.counters.tenant import EPOCH, START, Tenant, limits_of
from tests.counters.valkey_server import valkey_server

ROWS = (LimitRow("daily_tokens", 5000, soft=10, by=("key", "model", "user")), LimitRow("tpm", 5000, soft=10))


def test_a_tenants_keys_are_on_one_node(tmp_path: Path) -> None:
    with valkey_server(tmp_path, "--cluster-enabled", "yes") as server, server.raw_client() as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        while b"cluster_state:ok" not in client.execute_command("CLUSTER", "INFO"):
            pass
        with pytest.raises(ResponseError, match="same slot"):
            client.eval("return 1", 2, "a", "b")
        tenant = Tenant(client, limits_of(*ROWS, monthly_usd=NANO, concurrency=1))
        caller = tenant.applying("ci", "chat", "ann {x}")
        assert not tenant.reserve(Wish("a", EPOCH, 20, 100), applying=caller).refused
        assert tenant.reserve(Wish("b", EPOCH, 20, 100), applying=caller).refused
        tokens = caller.limits[2]
        reply = tenant.settle(
            Settled("a", EPOCH, START, caller, 1, 20, 50), sums=[Sum(tokens, tokens.window_ms(START)[0], 70, 1)]
        )
        assert reply.freed == 1
        assert len(reply.alerts) == 2
        assert [one.used for one in tenant.standing(caller).values()] == [0, 0, 70, 70]

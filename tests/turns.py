"""Which files of tests come first, and which of them stay together, when several processes share them.

Whole files go to one process each. What takes long comes first: begun last, it would be waited for by everybody.
Files that share a gateway for the whole run stay together: apart, each process would start one, and keep it to the
end. A file that is missing here is no mistake: it comes somewhere in the middle.
"""

from xdist.scheduler import LoadFileScheduling

TOGETHER: dict[str, tuple[str, ...]] = {
    "gateway": (
        "test_gateway_provider_failures.py",
        "test_gateway_spool.py",
        "test_gateway_limits.py",
        "test_gateway_sdk.py",
        "test_gateway_transparency.py",
        "test_gateway_refusals.py",
        "test_gateway_anthropic_refusals.py",
        "test_gateway_headers.py",
        "test_gateway_secrets.py",
        "test_gateway_worker_loss.py",
    ),
    "chains": (
        "test_chain_states.py",
        "test_chain_ways.py",
        "test_chain_isolation.py",
        "test_chain_control.py",
        "test_chain_large.py",
    ),
}
# More than half a minute, in order.
LONG = (
    "test_gateway_ledger.py",
    "test_admin_openapi.py",
    "test_no_secret_anywhere.py",
    "test_store_server.py",
    *TOGETHER["gateway"],
    *TOGETHER["chains"],
    "test_gateway_queue.py",
    "test_gateway_provider_limits.py",
    "test_gateway_order.py",
    "test_gateway_identity.py",
    "test_gateway_websocket_ends.py",
    "test_gateway_counters_loss.py",
    "test_gateway_usage_outage.py",
    "test_up.py",
    "test_reload.py",
    "test_restart_end.py",
    "test_restart_translated.py",
    "test_reload_deaths.py",
    "test_store_kills.py",
    "test_publisher.py",
    "test_store_migrations.py",
    "test_deletion.py",
    "test_gateway_remote_workers.py",
    "test_gateway_keys.py",
    "test_gateway_budgets.py",
    "test_gateway_tls.py",
    "test_adapter_steps.py",
    "test_gateway_hostile_bodies.py",
    "test_gateway_websocket.py",
    "test_gateway_responses.py",
    "test_managed_engines.py",
)
_TURN = {name: turn for turn, name in enumerate(LONG)}
_GROUP = {name: group for group, names in TOGETHER.items() for name in names}


def turn_of(file: str) -> int:
    """Where among the files this one comes; the same for all whose turn does not matter."""
    return _TURN.get(file.rpartition("/")[2], len(LONG))


class Turns(LoadFileScheduling):
    """As `--dist=loadfile`, but for the files that stay together."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return _GROUP.get(file.rpartition("/")[2], file)

"""What a running gateway's workers hear of the replicas of its engines."""

from collections.abc import Mapping
from pathlib import Path
from time import monotonic

from redis import Redis

from headgate.feed.messages import decoded, gateway_channel
from tests.feed.ends import WITHIN_S


def wait_for_states(state: Path, cluster: str, wanted: Mapping[str, str]) -> None:
    """Until it is said that this engine's replicas, by their addresses, are so. `state` is the gateway's folder."""
    channel, found = gateway_channel((state / "gateway-id").read_text().strip()), {}
    deadline = monotonic() + WITHIN_S
    with Redis(unix_socket_path=str(state / "run/counters.sock"), socket_timeout=WITHIN_S) as counters:
        heard = counters.pubsub(ignore_subscribe_messages=True)
        heard.subscribe(channel)  # after the workers: they have read what is read here
        while found != wanted:
            assert monotonic() < deadline, found
            message = heard.get_message(timeout=1.0)
            said = decoded(message["data"]) if message else None
            if said and said.replicas is not None:
                found = {one.address: one.state for one in said.replicas.get(cluster, ())}

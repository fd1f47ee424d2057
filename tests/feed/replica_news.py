"""What a running gateway's workers hear of the replicas of its engines."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread
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


@contextmanager
def silences(state: Path) -> Iterator[Callable[[], float]]:
    """For how many seconds at most nobody has spoken of replicas since this began."""
    channel, ended = gateway_channel((state / "gateway-id").read_text().strip()), Event()
    said = [monotonic()]

    def listen() -> None:
        with Redis(unix_socket_path=str(state / "run/counters.sock"), socket_timeout=WITHIN_S) as counters:
            heard = counters.pubsub(ignore_subscribe_messages=True)
            heard.subscribe(channel)
            while not ended.is_set():
                message = heard.get_message(timeout=0.1)
                news = decoded(message["data"]) if message else None
                if news and news.replicas is not None:
                    said.append(monotonic())

    listener = Thread(target=listen)
    listener.start()
    try:
        yield lambda: max(after - before for before, after in pairwise([*said, monotonic()]))
    finally:
        ended.set()
        listener.join()

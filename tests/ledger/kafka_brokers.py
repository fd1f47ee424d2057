"""Kafka's brokers in a process of their own: librdkafka's mock cluster, real TCP, that can be stopped and killed."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message

_CLUSTER = """
import sys
from confluent_kafka import Producer
cluster = Producer({"bootstrap.servers": "none:1", "test.mock.num.brokers": 2, "log_level": 0})
print(",".join(f"{b.host}:{b.port}" for b in cluster.list_topics(timeout=10).brokers.values()), flush=True)
sys.stdin.read()
"""


@dataclass
class Brokers:
    """`addresses` as a client's `bootstrap.servers` has them."""

    addresses: str
    process: subprocess.Popen[str]

    def url(self, options: str = "") -> str:
        return f"kafka://{self.addresses}{options}"

    def read(self, topic: str, at_least: int, within_s: float = 60) -> list[Message]:
        """All that is there: until so many have come, and then whatever else comes at once."""
        found: list[Message] = []
        deadline = time.monotonic() + within_s
        with _consumer(self.addresses, topic) as consumer:
            some = consumer.consume(1000, 1.0)
            while some or len(found) < at_least:
                found += [message for message in some if not _is_early(message)]
                assert time.monotonic() < deadline, f"{len(found)} of {at_least} messages"
                some = consumer.consume(1000, 1.0)
        assert not [message for message in found if message.error()]
        return found


def _is_early(message: Message) -> bool:
    """Who asks before anything was told hears that there is no such topic, and then goes on."""
    error = message.error()
    return error is not None and error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART


@contextlib.contextmanager
def brokers() -> Iterator[Brokers]:
    process = subprocess.Popen(
        [sys.executable, "-c", _CLUSTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout
        yield Brokers(process.stdout.readline().strip(), process)
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def _consumer(addresses: str, topic: str) -> Iterator[Consumer]:
    consumer = Consumer(
        {
            "bootstrap.servers": addresses,
            "group.id": f"reader-{time.monotonic_ns()}",
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 6000,
            "log_level": 0,
        }
    )
    try:
        consumer.subscribe([topic])
        yield consumer
    finally:
        consumer.close()


def event_of(message: Message) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(message.value() or b"")
    return found

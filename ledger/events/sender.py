"""Messages to Kafka: idempotent producer, all replicas, tried for as long as it takes. Blocks: for one thread.

What librdkafka gives up for good (a topic that may not be written, a fatal error of its own) is given back to the
caller, who sends it again later with a new producer.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from headgate.kafka_url import KafkaTarget
from ledger.events.event import Message

CLIENT_ID = "headgate"
LINGER_MS = 20  # what waits longer than a journal's entry is no batch
MOST_QUEUED_KB = 32 * 1024
POLL_S = 0.1
GIVES_UP_S = 5.0  # at the end, for what is under way

OnProblem = Callable[[str], None]

_quiet = logging.getLogger("headgate.kafka")  # what goes wrong comes by callbacks; its own lines go nowhere
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


class Undelivered(Exception):  # noqa: N818 - what happened, not what went wrong
    """At least one message was given up; the text is Kafka's name of the reason."""


class Sender:
    """A producer that is made with the first messages. `on_problem` hears what it meets while it goes on trying."""

    def __init__(self, target: KafkaTarget, on_problem: OnProblem) -> None:
        self._target = target
        self._on_problem = on_problem
        self._producer: Producer | None = None

    def send(self, messages: Sequence[Message], stop: threading.Event) -> bool:
        """Whether all of them were taken by the brokers; False where `stop` came first. Raises Undelivered."""
        producer = self._producer = self._producer or self._made()
        round_ = _Round(len(messages))
        try:
            for message in messages:
                if not self._queue(producer, message, round_, stop):
                    return False
            while round_.open and not round_.refusal:
                if stop.is_set():
                    return False
                producer.poll(POLL_S)
        except KafkaException as error:
            self._let_go()
            raise Undelivered(_name(error.args[0])) from error
        if round_.refusal:
            self._let_go()
            raise Undelivered(round_.refusal)
        return True

    def close(self) -> None:
        """What is under way is given a moment; what was not taken by then is sent again by the next process."""
        if self._producer:
            self._producer.flush(GIVES_UP_S)
            self._let_go()

    def _queue(self, producer: Producer, message: Message, round_: "_Round", stop: threading.Event) -> bool:
        while not stop.is_set() and not round_.refusal:
            try:
                producer.produce(
                    self._target.topic,
                    key=message.key,
                    value=message.value,
                    headers=message.headers,
                    on_delivery=round_.on_delivery,
                )
            except BufferError:  # as much waits as may
                producer.poll(POLL_S)
            else:
                producer.poll(0)
                return True
        return not stop.is_set()

    def _made(self) -> Producer:
        return Producer(_settings(self._target) | {"error_cb": self._on_error}, logger=_quiet)

    def _on_error(self, error: KafkaError) -> None:
        self._on_problem(_name(error))

    def _let_go(self) -> None:
        producer, self._producer = self._producer, None
        if producer:
            producer.purge()
            producer.poll(0)


class _Round:
    """What became of the messages of one `send`."""

    def __init__(self, messages: int) -> None:
        self.open = messages
        self.refusal = ""

    def on_delivery(self, error: KafkaError | None, _message: object) -> None:
        self.open -= 1
        if error is not None:
            self.refusal = self.refusal or _name(error)


def _settings(target: KafkaTarget) -> dict[str, Any]:
    security = ("SASL_" if target.user else "") + ("SSL" if target.tls else "PLAINTEXT")
    settings: dict[str, Any] = {
        "bootstrap.servers": ",".join(target.brokers),
        "client.id": CLIENT_ID,
        "security.protocol": security,
        "enable.idempotence": True,  # and with it acks=all, and order under retries
        "message.timeout.ms": 0,  # for as long as it takes
        "compression.type": "lz4",
        "linger.ms": LINGER_MS,
        "queue.buffering.max.kbytes": MOST_QUEUED_KB,
        "partitioner": "murmur2_random",  # as Java's clients: a tenant is in the same partition, whoever writes
    }
    if target.user:
        settings |= {
            "sasl.mechanism": target.mechanism,
            "sasl.username": target.user,
            "sasl.password": target.password,
        }
    if target.ca:
        settings["ssl.ca.location"] = target.ca
    return settings


def _name(error: object) -> str:
    """Without addresses: this goes into answers, too."""
    return error.name() if isinstance(error, KafkaError) else type(error).__name__

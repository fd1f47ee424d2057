"""Requests through a whole gateway are events in Kafka, once each, with what the spool says and what was charged."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from quotas import ask, asked, quotas
from running_gateway import RunningGateway, running_gateway

from headgate.kafka_url import TOPIC
from tests.ledger.kafka_brokers import Brokers, brokers, event_of

REQUESTS = 12


@pytest.fixture(scope="module")
def kafka() -> Iterator[Brokers]:
    with brokers() as found:
        yield found


@pytest.fixture(scope="module")
def answered(engine: Any, kafka: Brokers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The `end` lines of requests that were made, by their ids; one of two tenants', and one that was refused."""
    found = quotas(engine, {"one": {"monthly_usd": 5}, "two": {}})
    found.config["services"] = {"events": kafka.url()}
    found.config["models"]["chat"]["price"] = {"input": "1", "output": "2"}
    with running_gateway(tmp_path_factory.mktemp("events"), found.config, {}) as gateway:
        replies = [
            ask(gateway, found.keys["one" if at % 3 else "two"], asked(tokens=at + 1)) for at in range(REQUESTS)
        ]
        assert {reply.status_code for reply in replies} == {200}
        refused = ask(gateway, found.keys["one"], asked(tokens=1) | {"model": "unknown"})
        assert refused.status_code == 404
        yield {
            reply.headers["x-request-id"]: end_line(gateway, reply.headers["x-request-id"])
            for reply in [*replies, refused]
        }


def end_line(gateway: RunningGateway, request_id: str) -> dict[str, Any]:
    found: dict[str, Any] = gateway.end_line(request_id)
    return found


def test_each_request_is_one_event_as_it_was_charged(answered: dict[str, Any], kafka: Brokers) -> None:
    events = [event_of(message) for message in kafka.read(TOPIC, len(answered))]
    assert sorted(event["id"] for event in events) == sorted(answered)
    for event in events:
        line, data = answered[event["id"]], event["data"]
        assert (event["subject"], data["key_id"], data["model"]) == (line["tenant"], line["key_id"], line["model"])
        assert data["status"] == line["status"]
        if line["status"] == 200:
            tokens = (line["prompt_tokens"], line["completion_tokens"])
            assert (data["prompt_tokens"], data["completion_tokens"]) == tokens
            assert Decimal(data["price_usd"]) == Decimal(tokens[0] + 2 * tokens[1]) / 10**6
            assert (data["requests"], data["estimated"]) == (1, False)
        else:
            assert (data["requests"], data["price_usd"]) == (0, "0")

"""What an event says, and where it goes."""

import re
from decimal import Decimal

import msgspec
import pytest

from headgate.kafka_url import kafka_target
from ledger.events.event import message_of
from tests.ledger.test_journal_reader import row


def event(changed: dict[str, object]) -> dict[str, object]:
    message = message_of(msgspec.structs.replace(row(1), **changed), "headgate/g")
    found: dict[str, object] = msgspec.json.decode(message.value)
    return found


def test_it_is_a_cloudevent_of_its_tenant() -> None:
    message = message_of(row(1), "headgate/g")
    assert message.key == b"acme"
    assert dict(message.headers)["content-type"] == b"application/cloudevents+json; charset=UTF-8"
    found = event({})
    assert {name: found[name] for name in ("specversion", "id", "source", "type", "subject", "time")} == {
        "specversion": "1.0",
        "id": "r1",
        "source": "headgate/g",
        "type": "headgate.usage",
        "subject": "acme",
        "time": "2026-09-21T14:13:20.001Z",
    }


def test_money_is_exact_text() -> None:
    data = event({"price_nano": 2**53 - 1, "cost": Decimal("0.000000000001")})["data"]
    assert isinstance(data, dict)
    assert (data["price_usd"], data["cost_usd"]) == ("9007199.254740991", "0.000000000001")
    free = event({"price_nano": 0, "cost": Decimal("10.000")})["data"]
    assert isinstance(free, dict)
    assert (free["price_usd"], free["cost_usd"]) == ("0", "10")


def test_an_estimate_what_takes_it_back_and_the_record_are_three_events() -> None:
    estimate = event({"reason": "lease"})
    back = event({"reason": "lease", "sign": -1})
    record = event({})
    assert [one["id"] for one in (estimate, back, record)] == ["r1/lease", "r1/reversed", "r1"]
    assert [one["type"] for one in (estimate, back, record)] == [
        "headgate.usage",
        "headgate.usage.reversed",
        "headgate.usage",
    ]


def test_texts_that_are_too_long_are_cut() -> None:
    """A message that no broker takes would hold up everybody's."""
    message = message_of(msgspec.structs.replace(row(1), user="ü" * 2**19, model="m" * 2**20), "headgate/g")
    data = msgspec.json.decode(message.value)["data"]
    assert (data["user"], data["model"]) == ("ü" * 512, "m" * 1024)
    assert len(message.value) < 8192


@pytest.mark.parametrize(
    ("url", "brokers"),
    [
        ("kafka://a", ("a:9092",)),
        ("kafka://a:1,b:2,[::1]:3", ("a:1", "b:2", "[::1]:3")),
        ("kafkas://u:p%40w@a?mechanism=PLAIN&ca=/etc/ca.pem&topic=usage", ("a:9092",)),
    ],
)
def test_urls(url: str, brokers: tuple[str, ...]) -> None:
    assert kafka_target(url).brokers == brokers


def test_a_password_is_decoded_and_shown_nowhere() -> None:
    target = kafka_target("kafkas://user:s3cret%40@broker")
    assert (target.user, target.password, target.mechanism, target.tls) == ("user", "s3cret@", "SCRAM-SHA-512", True)
    assert "s3cret" not in f"{target!r}{target}"


@pytest.mark.parametrize(
    "url",
    [
        None,
        7,
        "",
        "kafka://",
        "http://a",
        "kafka://a/topic",
        "kafka://a#x",
        "kafka://a,a:9092",
        "kafka://a:0",
        "kafka://a:65536",
        "kafka://a:",
        "kafka://a,,b",
        "kafka://s3cret@a",
        "kafka://:s3cret@a",
        "kafka://a?ca=/x",
        "kafka://a?mechanism=PLAIN",
        "kafkas://u:s3cret@a?mechanism=GSSAPI",
        "kafkas://a?ca=x.pem",
        "kafka://a?topic=a b",
        "kafka://a?topic=..",
        "kafka://a?topic=a&topic=b",
        "kafka://a?acks=0",
        "kafka://a\nb",
    ],
)
def test_what_is_no_url_is_refused_without_being_quoted(url: object) -> None:
    with pytest.raises(ValueError, match=r"\w") as refused:
        kafka_target(url)
    assert not re.search("s3cret|GSSAPI", str(refused.value))

"""`services.events`: which brokers, how to sign in, which topic. Pure.

    kafka://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…][?topic=…&mechanism=…&ca=…]

`kafkas://` is the same over TLS. The texts of errors quote nothing of the URL: a password may stand in it.
"""

import re
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import msgspec

TOPIC = "llm.usage.events"
MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")

_OPTIONS = ("topic", "mechanism", "ca")
_TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")  # as Kafka names topics
_BROKER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?)(:[0-9]{1,5})?")
_PORT = 9092


class KafkaTarget(msgspec.Struct, frozen=True):
    """Where events go. `password` is in no repr."""

    brokers: tuple[str, ...]  # host:port
    topic: str
    tls: bool
    user: str | None
    password: str | None
    mechanism: str
    ca: str | None  # a file with the CA of the brokers' certificates; None: the system's

    def __repr__(self) -> str:
        return f"KafkaTarget({','.join(self.brokers)}, {self.topic})"


def kafka_target(value: Any) -> KafkaTarget:
    """The URL, read. Raises ValueError with a text for the operator."""
    if not isinstance(value, str) or not re.fullmatch(r"kafkas?://[!-~]+", value):
        raise ValueError("expected a URL that starts with kafka:// or kafkas://")
    parts = urlsplit(value)
    if parts.path not in ("", "/") or parts.fragment:
        raise ValueError("expected a URL without a path: the topic is ?topic=")
    options = _options(parts)
    user, password = _credentials(parts)
    tls = parts.scheme == "kafkas"
    if "mechanism" in options and user is None:
        raise ValueError("mechanism is how a user signs in: expected user:password@ before the brokers")
    if "ca" in options and not tls:
        raise ValueError("ca is for kafkas://, which is over TLS")
    return KafkaTarget(
        brokers=_brokers(parts),
        topic=options.get("topic", TOPIC),
        tls=tls,
        user=user,
        password=password,
        mechanism=options.get("mechanism", MECHANISMS[0]),
        ca=options.get("ca"),
    )


def kafka_url(value: Any) -> str:
    """The URL as it is, if it can be read. Raises ValueError."""
    kafka_target(value)
    return str(value)


def _options(parts: SplitResult) -> dict[str, str]:
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    options = dict(pairs)
    if len(options) < len(pairs) or not set(options) <= set(_OPTIONS):
        raise ValueError(f"expected no other options than {', '.join(_OPTIONS)}, each once")
    if not _TOPIC.fullmatch(options.get("topic", TOPIC)):
        raise ValueError("expected a topic of at most 249 letters, digits, dots, underscores and hyphens")
    if options.get("mechanism", MECHANISMS[0]) not in MECHANISMS:
        raise ValueError(f"expected mechanism to be one of {', '.join(MECHANISMS)}")
    if not options.get("ca", "/").startswith("/"):
        raise ValueError("expected ca to be an absolute path")
    return options


def _credentials(parts: SplitResult) -> tuple[str | None, str | None]:
    given, at, _ = parts.netloc.rpartition("@")
    if not at:
        return None, None
    user, colon, password = given.partition(":")
    if not user or not colon or not password:
        raise ValueError("expected user:password@ before the brokers; other characters as %XX")
    return unquote(user), unquote(password)


def _brokers(parts: SplitResult) -> tuple[str, ...]:
    named = parts.netloc.rpartition("@")[2].split(",")
    matches = [_BROKER.fullmatch(name) for name in named]
    if not all(match and 0 < int((match[3] or f":{_PORT}")[1:]) < 65_536 for match in matches):
        raise ValueError("expected brokers as host:port, between commas")
    brokers = tuple(match[0] if match[3] else f"{match[0]}:{_PORT}" for match in matches if match)
    if len(set(brokers)) < len(brokers):
        raise ValueError("expected a URL that names every broker once")
    return brokers

"""The scalar values of gateway.yaml: durations, sizes, prices, names, dates. Those of secrets are in secret_refs.py.

Each parser takes what the tree holds (str, int, Decimal, bool, None, dict, list) and returns the value in its
unit, or raises ValueError (pydantic would not collect a TypeError) with a text for the operator. Parsers of
secret-like fields never quote what they were given. No IO here.
"""

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from headgate.config.wording import found, nearest, quoted
from headgate.limits import NANO
from headgate.virtual_key import KEY as VIRTUAL_KEY

# 2^53 - 1: the counters compute in Lua, whose numbers are doubles; beyond it they would not add up.
MAX_WHOLE = 2**53 - 1
MAX_DURATION_S = 86_400
MAX_RETENTION_S = 366 * 86_400
MAX_SIZE = 2**30
DAYS = "([1-9][0-9]{0,2}|[12][0-9]{3}|3[0-5][0-9]{2}|36[0-4][0-9]|3650)d"
MAX_MEMORY = 2**40

_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(ms|s|m|h)")
_SIZE = re.compile(r"([0-9]{1,15})(B|KiB|MiB|GiB)")
_DECIMAL = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")
_PERCENT = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,4})?)%")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MODEL_NAME = re.compile(r"[A-Za-z0-9._:-]+(/[A-Za-z0-9._:-]+)*")
_VAULT_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_CREDENTIALS = ("authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie", "proxy-authorization")
_HOP_BY_HOP = (  # RFC 9110, 7.6.1
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
    "expect",
)
_REWRITTEN = ("host", "content-length", "forwarded", "x-request-id", "openai-tenant")
_NEVER_FORWARDED = frozenset(_CREDENTIALS + _HOP_BY_HOP + _REWRITTEN)
_OWN_HEADERS = ("x-headgate-", "x-envoy-", "x-forwarded-", "x-amz-")  # the last are signed
_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}
_BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def duration(value: Any) -> float:
    """`250ms`, `10s`, `5m`, `1h` or a number of seconds -> seconds; from one millisecond to a day."""
    seconds = _seconds(value)
    if seconds is None:
        raise ValueError(f"expected a duration such as 250ms, 10s, 5m or 1h, found {found(value)}")
    if not _SECONDS["ms"] <= seconds <= MAX_DURATION_S:
        raise ValueError(f"expected a duration from 1ms to 24h, found {found(value)}")
    return float(seconds)


def retention(value: Any) -> float:
    """`24h`, `720h`: how long something is kept -> seconds; from nothing to 8784h, a year."""
    seconds = _seconds(value)
    if seconds is None or not 0 <= seconds <= MAX_RETENTION_S:
        raise ValueError(f"expected a duration from 0s to 8784h, found {found(value)}")
    return float(seconds)


def days(value: Any) -> int:
    """`400d`: how long something is kept -> days; from one to 3650, ten years."""
    if not isinstance(value, str) or not re.fullmatch(DAYS, value):
        raise ValueError(f"expected whole days such as 400d, from 1d to 3650d, found {found(value)}")
    return int(value[:-1])


def size(value: Any) -> int:
    """`32MiB`, `64KiB` or a number of bytes -> bytes; from one byte to 1GiB."""
    number = _bytes(value)
    if not 1 <= number <= MAX_SIZE:
        raise ValueError(f"expected a size from 1 byte to 1GiB, found {found(value)}")
    return number


def memory(value: Any) -> int:
    """A size as large as a machine's memory -> bytes; from 1MiB to 1TiB."""
    number = _bytes(value)
    if not _BYTES["MiB"] <= number <= MAX_MEMORY:
        raise ValueError(f"expected a size from 1MiB to 1TiB, found {found(value)}")
    return number


def _bytes(value: Any) -> int:
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match:
        return int(match[1]) * _BYTES[match[2]]
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"expected a size such as 64KiB, 32MiB or a number of bytes, found {found(value)}")


def usd(value: Any) -> Decimal:
    """Money of at least 0, exactly as written; a string or a number."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        if value < 0:
            raise ValueError(f"expected an amount of at least 0, found {found(value)}")
        # as in 1e-7: `f` writes it out; a huge exponent is refused before it is written out
        text = format(Decimal(value), "f") if -12 <= Decimal(value).adjusted() < 12 else ""
    else:
        text = value if isinstance(value, str) else ""
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"expected an amount such as 0.15 (at most 12 digits on each side), found {found(value)}")
    return Decimal(text)


def nano_usd(value: Any) -> int:
    """Money of at least 0 -> nano-USD, as the counters hold it: exactly, and as far as they count."""
    amount = usd(value) * NANO
    if amount != amount.to_integral_value():
        raise ValueError(f"expected an amount with at most 9 digits after the point, found {found(value)}")
    if amount > MAX_WHOLE:
        raise ValueError(f"expected an amount of at most {MAX_WHOLE // NANO}, found {found(value)}")
    return int(amount)


def positive_nano_usd(value: Any) -> int:
    """The same, above 0."""
    amount = nano_usd(value)
    if amount == 0:
        raise ValueError(f"expected an amount above 0, found {found(value)}")
    return amount


def signed_nano_usd(value: Any) -> int:
    """The same, below 0 too: `-25`."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return -nano_usd(-value) if value < 0 else nano_usd(value)
    if isinstance(value, str) and value.startswith("-"):
        return -nano_usd(value[1:])
    return nano_usd(value)


def percent(high: int) -> Callable[[Any], Decimal]:
    """A parser of `10%`, from 0% to `high`, exactly as written."""

    def parse(value: Any) -> Decimal:
        match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ValueError(f"expected a percentage such as 10% or 2.5%, found {found(value)}")
        if Decimal(match[1]) > high:
            raise ValueError(f"expected a percentage of at most {high}%, found {found(value)}")
        return Decimal(match[1])

    return parse


markup, discount = percent(1000), percent(100)  # on top of prices, and off them


def moment_ms(value: Any) -> int:
    """A date (its first moment, UTC) or a date and time with a time zone -> Unix milliseconds."""
    text = value if isinstance(value, str) else ""
    wanted = f"expected a date (2027-01-31) or a time with its zone (2027-01-31T12:00:00Z), found {found(value)}"
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].{1,40})?", text):
        raise ValueError(wanted)
    try:
        moment = dt.datetime.fromisoformat(text if len(text) > len("2027-01-31") else f"{text}T00:00:00Z")
    except ValueError:
        raise ValueError(wanted) from None
    if moment.tzinfo is None or moment < _EPOCH:
        raise ValueError(wanted)
    return (moment - _EPOCH) // dt.timedelta(milliseconds=1)


def whole(low: int, high: int = MAX_WHOLE) -> Callable[[Any], int]:
    """A parser of whole numbers from `low` to `high`; text and fractions are refused."""
    wanted = f"of at least {low}" if high == MAX_WHOLE else f"from {low} to {high}"

    def parse(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            raise ValueError(f"expected a whole number {wanted}, found {found(value)}")
        if value > high:
            raise ValueError(f"expected a whole number of at most {high}, found {found(value)}")
        return value

    return parse


def share(value: Any) -> float:
    """A number from 0 to 1."""
    if not isinstance(value, int | Decimal) or isinstance(value, bool) or not 0 <= value <= 1:
        raise ValueError(f"expected a number from 0 to 1, found {found(value)}")
    return float(value)


def flag(value: Any) -> bool:
    """True or false, written so."""
    if isinstance(value, bool):
        return value
    raise ValueError(f"expected true or false, found {found(value)}")


def one_of(*allowed: str) -> Callable[[Any], str]:
    """A parser of one word out of `allowed`; the number 429 counts as the word."""

    def parse(value: Any) -> str:
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if text in allowed:
            return str(text)
        problem = f"expected one of {', '.join(allowed)}, found {found(value)}"
        if isinstance(text, str):
            problem = f"unknown value {quoted(text)}{nearest(text, allowed, label='allowed')}"
        raise ValueError(problem)

    return parse


def name(value: Any) -> str:
    """The name of a provider, plan, tenant or zone."""
    return _named(value, "a name of 1 to 64 letters, digits, '.', '_' or '-' that starts with a letter or digit")


def model_name(value: Any) -> str:
    """The name of a model as clients send it; `/` and `:` are allowed."""
    if not isinstance(value, str) or len(value) > 128 or not _MODEL_NAME.fullmatch(value):
        raise ValueError(
            "expected a model name of 1 to 128 letters, digits, '.', '_', '-', ':' or inner '/', "
            f"found {found(value)}"
        )
    return value


def upstream_model(value: Any) -> str:
    """The name of a model as the provider knows it: any printable text."""
    if not isinstance(value, str) or not 0 < len(value) <= 256 or not value.isprintable():
        raise ValueError(f"expected the provider's name of a model, found {found(value)}")
    return value


def key_name(value: Any) -> str:
    """What the operator calls a virtual key; a key pasted here by mistake is refused and not quoted."""
    if not isinstance(value, str) or not 0 < len(value) <= 64 or not value.isprintable():
        raise ValueError("expected a name of 1 to 64 printable characters")
    if "," in value or "=" in value:  # they separate the parts of a limit's name, headgate/limits.py
        raise ValueError("expected a name without ',' and '='")
    if VIRTUAL_KEY.search(value):
        raise ValueError("expected a name for the key, found what looks like the key itself")
    return value


def sha256(value: Any) -> str:
    """64 hex digits, returned in lower case; never quoted, a key may stand here by mistake."""
    if isinstance(value, str) and VIRTUAL_KEY.search(value):
        raise ValueError("expected the SHA-256 of the key, found what looks like the key itself")
    if not isinstance(value, str) or not re.fullmatch(r"[0-9A-Fa-f]{64}", value):
        raise ValueError("expected 64 hex digits, the SHA-256 of the whole key (`headgate keys new` prints them)")
    return value.lower()


def expiry(value: Any) -> dt.datetime:
    """A date (the key works through the end of that day, UTC) or a date and time with a time zone."""
    text = value if isinstance(value, str) else ""
    wanted = f"expected a date (2027-01-31) or a time with its zone (2027-01-31T12:00:00Z), found {found(value)}"
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].{1,40})?", text):
        raise ValueError(wanted)
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(wanted) from None
    if len(text) == len("2027-01-31"):
        return dt.datetime.combine(moment.date(), dt.time.max, dt.UTC)
    if moment.tzinfo is None:
        raise ValueError(wanted)
    return moment


def forwarded_header(value: Any) -> str:
    """The lower-case name of a client's header that may go to a provider."""
    if not isinstance(value, str) or not _HEADER.fullmatch(value):
        raise ValueError(f"expected the name of a request header, found {found(value)}")
    header = value.lower()
    if header in _NEVER_FORWARDED or header.startswith(_OWN_HEADERS):
        raise ValueError(f"header {quoted(header)} is never forwarded to a provider")
    return header


def file_path(value: Any) -> Path:
    """A path, relative to the folder of the configuration file unless it is absolute."""
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError(f"expected the path of a file, found {found(value)}")
    return Path(value)


def request_path(value: Any) -> str:
    """The path of an HTTP request."""
    if not isinstance(value, str) or not re.fullmatch(r"/[!-~]{0,255}", value) or "#" in value:
        raise ValueError(f"expected a path that starts with /, such as /health, found {found(value)}")
    return value


def api_version(value: Any) -> str:
    """A version of Azure's API: a day, which may be one of a preview."""
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?", value):
        raise ValueError(f"expected a version such as 2024-10-21 or 2025-04-01-preview, found {found(value)}")
    return value


def vault_path(value: Any) -> str:
    """A name or path in Vault, without a slash at its ends."""
    if not isinstance(value, str) or len(value) > 256 or not _VAULT_PATH.fullmatch(value):
        raise ValueError(f"expected a name or path in Vault, such as headgate or team/headgate, found {found(value)}")
    return value


def region(value: Any) -> str:
    """A region of AWS's."""
    if not isinstance(value, str) or not re.fullmatch(r"[a-z]{2,5}(-[a-z]{2,12}){1,2}-[0-9]{1,2}", value):
        raise ValueError(f"expected a region of AWS's such as eu-central-1, found {found(value)}")
    return value


def deployment(value: Any) -> str:
    """What a deployment of Azure's is called: it stands in the path."""
    expected = "the name of a deployment, letters, digits, '.', '_' or '-' (with api_version it stands in the path)"
    return _named(value, expected)


def _named(value: Any, expected: str) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(f"expected {expected}, found {found(value)}")
    return value


def _seconds(value: Any) -> Decimal | None:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Decimal(value)
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    return Decimal(match[1]) * _SECONDS[match[2]] if match else None

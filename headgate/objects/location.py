"""Where objects are, as `services.objects` says it. Pure; no credential is in it.

file:///srv/objects
s3://bucket/prefix?endpoint=https://minio.example:9000&region=eu-central-1
"""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from headgate.objects.names import checked_name

MOST_BYTES = 5 * 2**30  # in one request of S3: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REGION = re.compile(r"[a-z0-9-]{1,64}")
_ENDPOINT = re.compile(r"https?://[^/?#@\s]+")
_FORM = "s3://bucket/prefix?endpoint=https://HOST:PORT&region=REGION"


@dataclass(frozen=True, slots=True)
class S3Place:
    """A bucket, and what names begin with in it ("" or ending with a slash). Without an `endpoint` it is AWS's."""

    bucket: str
    prefix: str
    endpoint: str | None
    region: str | None


def parse(text: str) -> Path | S3Place:
    """Raises ValueError with a text for the operator, which quotes nothing: a password may stand in a wrong URL."""
    if not re.fullmatch(r"[!-~]+", text):
        raise ValueError("expected a URL of printable ASCII without spaces")
    parts = urlsplit(text)
    if parts.scheme == "file":
        return _directory(parts.netloc, unquote(parts.path), parts.query or parts.fragment)
    if parts.scheme != "s3":
        raise ValueError("expected a URL that starts with s3:// or file://")
    if "@" in parts.netloc:
        raise ValueError("expected a URL without credentials: they are found where AWS's own tools look")
    if not _BUCKET.fullmatch(parts.netloc):
        raise ValueError(f"expected the name of a bucket after s3://, such as {_FORM}")
    query = _query_of(parts.query)
    return S3Place(parts.netloc, _prefix_of(parts.path), query.get("endpoint"), query.get("region"))


def _directory(host: str, path: str, more: str) -> Path:
    folder = Path(path)
    if host or more or not folder.is_absolute() or folder == Path("/") or ".." in folder.parts:
        raise ValueError("expected an absolute path, such as file:///srv/objects")
    return folder


def _prefix_of(path: str) -> str:
    prefix = path.strip("/")
    try:
        return f"{checked_name(prefix)}/" if prefix else ""
    except ValueError:
        raise ValueError("expected a prefix of letters, digits, '.', '_', '-', ':' and '@' between slashes") from None


def _query_of(text: str) -> dict[str, str]:
    pairs = parse_qsl(text, keep_blank_values=True)
    query = dict(pairs)
    if len(query) < len(pairs) or not set(query) <= {"endpoint", "region"}:
        raise ValueError("expected nothing after ? but endpoint=URL and region=NAME, each once")
    if "endpoint" in query and not _ENDPOINT.fullmatch(query["endpoint"]):
        raise ValueError("expected http:// or https://, a host and a port after endpoint=")
    if "region" in query and not _REGION.fullmatch(query["region"]):
        raise ValueError("expected a region such as eu-central-1 after region=")
    return query

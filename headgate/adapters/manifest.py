"""What is signed of an adapter: which one it is, what it was made for and from, and the digests of its files. Pure.

The canonical form is what is stored and signed: JSON without white space, keys sorted. A manifest in any other form
is refused, so that there is one text, and one signature, for one manifest.
"""

import hashlib
import math
import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from headgate.adapters.failures import Untrusted
from headgate.adapters.layout import AdapterId

MAX_BYTES = 64 * 1024
MAX_METRICS, MAX_MODULES = 64, 256

Sha256 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Text = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"\A[^\x00-\x1f\x7f]*\Z")]
Count = Annotated[int, Meta(ge=1)]
MetricName = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._/-]{0,63}\Z")]


class Base(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The model that it changes, as engines serve it; `revision` is theirs, or what it was trained on."""

    model: Text
    revision: Text | None = None


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file's digest and length."""

    sha256: Sha256
    size_bytes: Annotated[int, Meta(ge=1)]


class Lineage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where it comes from, as far as is known: an earlier version, a training job, the SHA-256 of its data set."""

    parent: Count | None = None
    job: Text | None = None
    data_sha256: Sha256 | None = None


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`created` is a time of UTC, RFC 3339 with whole seconds. `metrics` are free: losses, scores."""

    format: Literal[1] = 1
    tenant: Text
    adapter: Text
    version: Count
    base: Base
    rank: Count
    alpha: float
    target_modules: Annotated[tuple[Text, ...], Meta(min_length=1, max_length=MAX_MODULES)]
    weights: File
    config: File
    created: Annotated[str, Meta(pattern=r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")]
    lineage: Lineage = Lineage()
    metrics: Annotated[dict[MetricName, float], Meta(max_length=MAX_METRICS)] = {}

    @property
    def id(self) -> AdapterId:
        """Raises ValueError for names that are none."""
        return AdapterId(self.tenant, self.adapter, self.version)

    @property
    def engine_name(self) -> str:
        """What engines call it."""
        return self.id.engine_name(self.weights.sha256)


def canonical(manifest: Manifest) -> bytes:
    """What is stored and signed. Raises ValueError for a manifest that breaks its own rules."""
    if not all(math.isfinite(number) for number in (manifest.alpha, *manifest.metrics.values())):
        raise ValueError("metrics and alpha are finite numbers")
    content = msgspec.json.encode(manifest, order="sorted")
    try:
        decoded = msgspec.json.decode(content, type=Manifest)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    if decoded != manifest or len(content) > MAX_BYTES:
        raise ValueError(f"a manifest has at most {MAX_BYTES} bytes, and nothing but what its fields allow")
    _ = decoded.id
    return content


def digest_of(manifest: Manifest) -> str:
    """By which a version is known for good: the SHA-256 of its canonical form, in hex."""
    return hashlib.sha256(canonical(manifest)).hexdigest()


def read_manifest(content: bytes) -> Manifest:
    """Raises Untrusted for what is no manifest in its canonical form."""
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
        if canonical(manifest) == content:
            return manifest
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Untrusted(f"manifest.json: {_shown(error)}") from None
    raise Untrusted("manifest.json: not in its canonical form")


def _shown(error: Exception) -> str:
    return re.sub(r"[^ -~]", "?", str(error))[:200]

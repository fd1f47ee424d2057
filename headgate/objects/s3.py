"""Objects in S3, or in what speaks its API, through botocore, which only this module imports.

Credentials are found where AWS's own tools look; nothing of them is in a text. What is to be stored waits in an
unnamed file until it is whole, then it is one request with its SHA-256, which S3 compares: there are no parts that
could stay. botocore tries again what fails on the way. One request takes 5 GiB at most.
"""

import base64
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import botocore.session  # type: ignore[import-untyped]
from botocore import exceptions
from botocore.config import Config  # type: ignore[import-untyped]

from headgate.objects.failures import NoSuchObject, ObjectsError, StoreAway, StoreFull, StoreRefuses, TooLarge
from headgate.objects.location import MOST_BYTES, S3Place
from headgate.objects.names import checked_name, checked_prefix
from headgate.objects.store import CHUNK_BYTES, Counted, Listed, Written, free_bytes_of

_IN_MEMORY_BYTES = 2**20
_NONE = {"404", "NoSuchKey", "NotFound"}
_REFUSED = {
    "403": "permission denied",
    "AccessDenied": "permission denied",
    "AllAccessDisabled": "permission denied",
    "ExpiredToken": "the AWS credentials have expired",
    "InvalidAccessKeyId": "the AWS credentials are not valid",
    "InvalidToken": "the AWS credentials are not valid",
    "NoSuchBucket": "there is no such bucket",
    "PermanentRedirect": "the bucket is in another region",
    "AuthorizationHeaderMalformed": "the bucket is in another region",
    "SignatureDoesNotMatch": "the AWS credentials are not valid",
}
_FULL = {"XMinioStorageFull", "QuotaExceeded", "InsufficientStorage"}


class S3Store:
    """A bucket, or what is below a prefix in it. `spool` is a folder for what is being stored."""

    def __init__(self, place: S3Place, spool: Path) -> None:
        self._place, self._spool = place, spool
        self._making = threading.Lock()
        self._client: Any = None

    def put(self, name: str, chunks: Iterable[bytes], most_bytes: int) -> Written:
        """As ObjectStore says."""
        key, counted = self._key(name), Counted(chunks, min(most_bytes, MOST_BYTES))
        with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES, dir=str(self._spool)) as whole:
            for chunk in counted:
                try:
                    whole.write(chunk)
                except OSError as error:
                    raise StoreFull(f"{name}: {error.strerror}, in the state directory") from None
            whole.seek(0)
            with self._asking(name) as client:
                client.put_object(
                    Bucket=self._place.bucket,
                    Key=key,
                    Body=whole,
                    ContentLength=counted.size_bytes,
                    ChecksumSHA256=base64.b64encode(counted.sha256).decode(),
                )
        return counted.written

    @contextmanager
    def reading(self, name: str) -> Iterator[Iterator[bytes]]:
        """As ObjectStore says. An answer that breaks off is StoreAway."""
        key = self._key(name)
        with self._asking(name) as client:
            body = client.get_object(Bucket=self._place.bucket, Key=key)["Body"]
        try:
            yield self._chunks_of(body, name)
        finally:
            body.close()

    def head(self, name: str) -> Listed | None:
        """As ObjectStore says."""
        key = self._key(name)
        try:
            with self._asking(name) as client:
                found = client.head_object(Bucket=self._place.bucket, Key=key)
        except NoSuchObject:
            return None
        return Listed(name, int(found["ContentLength"]), found["LastModified"].timestamp())

    def listed(self, prefix: str) -> Iterator[Listed]:
        """As ObjectStore says."""
        whole = self._place.prefix + checked_prefix(prefix)
        after = ""
        while True:
            with self._asking(prefix) as client:
                page = client.list_objects_v2(Bucket=self._place.bucket, Prefix=whole, StartAfter=after)
            found = page.get("Contents", [])
            for entry in found:
                name = entry["Key"].removeprefix(self._place.prefix)
                yield Listed(name, int(entry["Size"]), entry["LastModified"].timestamp())
            if not page.get("IsTruncated") or not found:
                return
            after = found[-1]["Key"]

    def delete(self, name: str) -> None:
        """As ObjectStore says."""
        key = self._key(name)
        with self._asking(name) as client:
            client.delete_object(Bucket=self._place.bucket, Key=key)

    def free_bytes(self) -> int:
        """As ObjectStore says: nobody knows what S3 has, and it is the spool's that counts."""
        with _failures("the state directory"):
            return free_bytes_of(self._spool)

    def _key(self, name: str) -> str:
        return self._place.prefix + checked_name(name)

    def _chunks_of(self, body: Any, name: str) -> Iterator[bytes]:
        with _failures(name):
            yield from body.iter_chunks(CHUNK_BYTES)

    @contextmanager
    def _asking(self, name: str) -> Iterator[Any]:
        with _failures(name):
            yield self._connected()

    def _connected(self) -> Any:
        """Made once; until AWS credentials are found, each time."""
        with self._making:
            if self._client is None:
                session = botocore.session.Session()
                if session.get_credentials() is None:
                    raise exceptions.NoCredentialsError
                self._client = session.create_client(
                    "s3",
                    region_name=self._place.region,
                    endpoint_url=self._place.endpoint,
                    config=_config(self._place.endpoint),
                )
            return self._client


def _config(endpoint: str | None) -> Config:
    """Four attempts. Others than AWS have no name for each bucket, and not all know the newer checksums."""
    return Config(
        connect_timeout=3,
        read_timeout=30,
        retries={"total_max_attempts": 4, "mode": "standard"},
        s3={"addressing_style": "path"} if endpoint else {},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


@contextmanager
def _failures(name: str) -> Iterator[None]:
    """What botocore raises becomes an ObjectsError; what S3 says is not quoted."""
    try:
        yield
    except exceptions.ClientError as error:
        raise _said(name, str(error.response.get("Error", {}).get("Code", ""))) from None
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError):
        raise StoreRefuses(f"{name}: no AWS credentials are found") from None
    except exceptions.NoRegionError:
        raise StoreRefuses(f"{name}: services.objects needs region=, or AWS_REGION") from None
    except (exceptions.BotoCoreError, OSError) as error:
        raise StoreAway(f"{name}: S3 cannot be reached ({type(error).__name__})") from None


def _said(name: str, code: str) -> ObjectsError:
    if code in _NONE:
        return NoSuchObject(f"{name}: there is no such object")
    if code in _REFUSED:
        return StoreRefuses(f"{name}: {_REFUSED[code]}")
    if code in _FULL:
        return StoreFull(f"{name}: no room left")
    if code == "EntityTooLarge":
        return TooLarge(f"{name}: larger than the store allows")
    return StoreAway(f"{name}: S3 answered {code[:40] or 'an error'}")

"""Data keys wrapped by a key of AWS KMS (control/wrapping.py), through botocore, which only this module imports.

AWS credentials are found where AWS's own tools look; nothing of them, and nothing that AWS says, is in a text. KMS
keeps the old material of a key that it rotates, so that nothing has to be wrapped anew then.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import botocore.session  # type: ignore[import-untyped]
from botocore import exceptions
from botocore.config import Config  # type: ignore[import-untyped]

from control.credential_seal import KEY_BYTES, Broken, WrappingAway
from control.wrapping import PURPOSE
from headgate.sealing import KmsSettings

_KIND = "kms:"
# Each of three attempts: 7 s at most; with the waits between them a question takes 24 s at most.
_CONFIG = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 3, "mode": "standard"})

_NOT_OPENED = {"InvalidCiphertextException", "IncorrectKeyException"}
_REFUSED = {  # by the code of KMS's, or STS's, answer
    "AccessDenied": "permission denied",
    "AccessDeniedException": "permission denied",
    "DisabledException": "it is disabled",
    "KMSInvalidStateException": "it cannot be used in its state",
    "InvalidKeyUsageException": "it is not a key that encrypts and decrypts",
    "NotFoundException": "there is none",
    "ThrottlingException": "KMS is overloaded",
    "ExpiredTokenException": "the AWS credentials have expired",
    "IncompleteSignature": "the AWS credentials are not valid",
    "InvalidSignatureException": "the AWS credentials are not valid",
    "UnrecognizedClientException": "the AWS credentials are not valid",
    "InvalidIdentityToken": "the AWS credentials are not valid",
}
_FAILED: tuple[tuple[type[Exception], str], ...] = (
    (exceptions.NoCredentialsError, "no AWS credentials are found"),
    (exceptions.PartialCredentialsError, "the AWS credentials are not whole"),
    (exceptions.CredentialRetrievalError, "the AWS credentials cannot be read"),
    (exceptions.SSLError, "KMS's certificate is not valid for us"),
    (exceptions.ConnectTimeoutError, "KMS does not answer in time"),
    (exceptions.ReadTimeoutError, "KMS does not answer in time"),
    (exceptions.HTTPClientError, "KMS cannot be reached"),
    (exceptions.ConnectionError, "KMS cannot be reached"),
    (Exception, "what answers is no KMS, or AWS's own settings cannot be used"),
)


class KmsKey:
    """A key of AWS KMS. The encryption context holds the data key's id, so no row's opens in another one."""

    def __init__(self, settings: KmsSettings) -> None:
        self._settings = settings
        self._made = threading.Lock()
        self._client: Any = None
        self._arn = ""

    @property
    def name(self) -> str:
        """With its ARN, as KMS has it. An alias that is moved to another key is followed with a new start."""
        return f"{_KIND}{self._arn or self._described(self._settings.key)}"

    def wraps(self, wrapped_by: str) -> bool:
        """Whether a key of KMS did."""
        return wrapped_by.startswith(_KIND)

    def wrap(self, data_key_id: str, key: bytes) -> bytes:
        """What KMS makes of it, which says the version of its key."""
        arn = self.name.removeprefix(_KIND)
        with self._asking(arn, data_key_id) as client:
            answer = client.encrypt(KeyId=arn, Plaintext=key, EncryptionContext=_context(data_key_id))
            wrapped: bytes = answer["CiphertextBlob"]
            return wrapped

    def unwrap(self, data_key_id: str, wrapped: bytes, wrapped_by: str) -> bytes:
        """Raises WrappingAway, Broken. Another key of this KMS opens what it has wrapped."""
        arn = wrapped_by.removeprefix(_KIND)
        with self._asking(arn, data_key_id) as client:
            answer = client.decrypt(KeyId=arn, CiphertextBlob=wrapped, EncryptionContext=_context(data_key_id))
            opened: bytes = answer["Plaintext"]
        if len(opened) != KEY_BYTES:
            raise Broken(f"the data key {data_key_id} does not open: it was changed or moved")
        return opened

    def renewed(self, data_key_id: str, wrapped: bytes, wrapped_by: str) -> bytes | None:
        """By this key if another one has wrapped it. Otherwise asks whether the key can still be used."""
        if wrapped_by != self.name:
            return self.wrap(data_key_id, self.unwrap(data_key_id, wrapped, wrapped_by))
        self._described(self._arn)
        return None

    def _described(self, key: str) -> str:
        """Its ARN, which stays the same from the first answer on."""
        with self._asking(key) as client:
            found = client.describe_key(KeyId=key)["KeyMetadata"]
            state, arn = str(found["KeyState"]), str(found["Arn"])
        if state != "Enabled":
            raise WrappingAway(f"KMS key {key}: it is disabled, or is to be deleted")
        self._arn = self._arn or arn
        return self._arn

    @contextmanager
    def _asking(self, key: str, data_key_id: str = "") -> Iterator[Any]:
        """A client; whatever goes wrong becomes a failure of sealing."""
        try:
            yield self._connected()
        except exceptions.ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _NOT_OPENED:
                raise Broken(f"the data key {data_key_id} does not open: it was changed or moved") from None
            raise WrappingAway(f"KMS key {key}: {_REFUSED.get(code, 'KMS refuses it, or is broken')}") from None
        except (exceptions.BotoCoreError, OSError, KeyError, TypeError, ValueError) as error:
            text = next(text for kind, text in _FAILED if isinstance(error, kind))
            raise WrappingAway(f"KMS key {key}: {text}") from None

    def _connected(self) -> Any:
        """Made once; until AWS credentials are found, each time."""
        with self._made:
            if self._client is None:
                session = botocore.session.Session()
                session.set_default_client_config(_CONFIG)  # STS's too, where a web identity or a role is used
                session.set_config_variable("region", self._settings.region)
                if session.get_credentials() is None:
                    raise exceptions.NoCredentialsError
                self._client = session.create_client("kms", endpoint_url=self._settings.endpoint)
            return self._client


def _context(data_key_id: str) -> dict[str, str]:
    """What a wrapped key is bound to. It stands in CloudTrail, and may be a condition of the key's policy."""
    return {"purpose": PURPOSE, "data_key": data_key_id}

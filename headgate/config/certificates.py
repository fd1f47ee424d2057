"""Certificates and private keys of files: read, checked, and handed on in one plain form.

Errors name the file and what is wrong with it, never what it holds. What is handed on was written anew: a key that
somebody pasted into a certificate's file is not in the chain, which Envoy shows to operators.
"""

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from headgate.config.secrets import SecretError
from headgate.config.wording import quoted

MAX_FILE_BYTES = 2**20
EXPIRES_SOON = dt.timedelta(days=14)

# What Envoy's TLS library takes: https://www.envoyproxy.io/docs/envoy/v1.40.0/intro/arch_overview/security/ssl
_MIN_RSA_BITS = 2048
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)


class CertificateError(SecretError):
    """The file cannot be used; `about_key` tells a private key's problem from a certificate's."""

    def __init__(self, text: str, *, about_key: bool = False) -> None:
        super().__init__(text)
        self.about_key = about_key


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate chain and its private key, PEM."""

    chain: str
    key: str = field(repr=False)
    expires: dt.datetime


@dataclass(frozen=True, slots=True)
class Authorities:
    """Certificates of CAs, PEM; `expires` is when the last one does."""

    chain: str
    expires: dt.datetime


def read_pair(base: Path, cert: Path, key: Path) -> Pair:
    """The pair, if a server or client can use it now. Raises CertificateError."""
    chain = _certificates(base, cert)
    private = _private_key(base, key)
    _require_valid(chain[0], quoted(str(cert)))
    if private.public_key() != chain[0].public_key():
        raise CertificateError(
            f"file {quoted(str(key))} is not the key of the first certificate in {quoted(str(cert))}", about_key=True
        )
    plain = serialization.NoEncryption()
    pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    return Pair(_pem(chain), pem.decode(), chain[0].not_valid_after_utc)


def read_authorities(base: Path, path: Path) -> Authorities:
    """The CA certificates of a file; bundles may hold some that have expired. Raises CertificateError."""
    chain = _certificates(base, path)
    last = max(chain, key=lambda certificate: certificate.not_valid_after_utc)
    _require_valid(last, quoted(str(path)))
    return Authorities(_pem(chain), last.not_valid_after_utc)


def expiry_text(path: Path, expires: dt.datetime) -> str | None:
    """A warning when the certificate at `path` expires soon."""
    left = expires - dt.datetime.now(dt.UTC)
    if left > EXPIRES_SOON:
        return None
    return f"the certificate in {quoted(str(path))} expires at {_shown(expires)}, in {max(left.days, 0)} days"


def _certificates(base: Path, path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(base / path, quoted(str(path))))
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError(f"file {quoted(str(path))} holds no certificate in PEM form") from None


def _private_key(base: Path, path: Path) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    shown = quoted(str(path))
    content = _read(base / path, shown, about_key=True)
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except TypeError:
        text = f"the key in {shown} is encrypted: give it without a password"
        raise CertificateError(text, about_key=True) from None
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError(f"file {shown} holds no private key in PEM form", about_key=True) from None
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _MIN_RSA_BITS:
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, _CURVES):
        return key
    raise CertificateError(
        f"the key in {shown} is of a kind that Envoy does not take: expected RSA of at least {_MIN_RSA_BITS} bits, "
        "or ECDSA on P-256, P-384 or P-521",
        about_key=True,
    )


def _require_valid(certificate: x509.Certificate, shown: str) -> None:
    now = dt.datetime.now(dt.UTC)
    if certificate.not_valid_after_utc < now:
        raise CertificateError(f"the certificate in {shown} expired at {_shown(certificate.not_valid_after_utc)}")
    if certificate.not_valid_before_utc > now:
        begins = _shown(certificate.not_valid_before_utc)
        raise CertificateError(f"the certificate in {shown} is not valid before {begins}")


def _read(path: Path, shown: str, *, about_key: bool = False) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise CertificateError(f"file {shown} cannot be read: {error.strerror}", about_key=about_key) from None
    if len(content) > MAX_FILE_BYTES:
        raise CertificateError(f"file {shown} is larger than {MAX_FILE_BYTES} bytes", about_key=about_key)
    return content


def _pem(chain: list[x509.Certificate]) -> str:
    return "".join(certificate.public_bytes(serialization.Encoding.PEM).decode() for certificate in chain)


def _shown(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

"""Clients that are known by their certificates, which Envoy has verified and hands over with the question.

Nothing that a client can write in a header counts here. A name counts as a whole, and a certificate whose names lead
to different tenants or roles is nobody's.
"""

from collections import OrderedDict
from urllib.parse import unquote_to_bytes

import msgspec
import structlog
from cryptography import x509

from authz.caller import Caller, Known
from authz.tenants import closed
from headgate.clients import ClientRow, dns_name, uri_name
from headgate.directory.directory import Directory
from headgate.snapshot import Snapshot

REMEMBERED = 4096  # certificates, of some 2 kB each

log = structlog.get_logger()


class _Read(msgspec.Struct, frozen=True):
    """What a certificate says: who it is of those that are known, and until when."""

    rows: tuple[ClientRow, ...]
    ends: float


class ClientCallers:
    """What one snapshot makes of certificates."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._rows = {row.san: row for row in snapshot.clients}
        self._known = {row: Known(Caller("client", row.san, row.tenant, row.role)) for row in snapshot.clients}
        self._read: OrderedDict[str, _Read] = OrderedDict()

    def find(self, certificate: str, directory: Directory, now: float) -> Known | str | None:
        """Whose certificate it is, why it can't be used, or None for one that gateway.yaml does not name.

        `certificate` is as Envoy writes it, PEM with percent signs. `now` is epoch seconds.
        """
        found = self._read.get(certificate)
        if found is None:
            found = self._remember(certificate, self._look(certificate))
        if not found.rows:
            return None
        if found.ends <= now:  # the connection may live longer
            return "expired_certificate"
        row = found.rows[0]
        if any((other.tenant, other.role) != (row.tenant, row.role) for other in found.rows):
            return "ambiguous_certificate"
        if closed(row.tenant, self._snapshot, directory):
            return "no_tenant"
        return self._known[row]

    def _look(self, certificate: str) -> _Read:
        try:
            read = x509.load_pem_x509_certificate(unquote_to_bytes(certificate))
            names = _names(read)
        except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension) as error:
            log.warning("certificate of a client can't be read", error=type(error).__name__)
            return _Read((), 0.0)
        rows = tuple(row for name in names if (row := self._rows.get(name)))
        return _Read(rows, read.not_valid_after_utc.timestamp())

    def _remember(self, certificate: str, read: _Read) -> _Read:
        self._read[certificate] = read
        if len(self._read) > REMEMBERED:
            self._read.popitem(last=False)
        return read


def _names(certificate: x509.Certificate) -> list[str]:
    """In the form of `auth.clients`. Raises ValueError, or x509's own errors for odd extensions."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return [*map(uri_name, uris), *map(dns_name, names.get_values_for_type(x509.DNSName))]

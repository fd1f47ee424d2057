"""TLS between the gateway's host and its workers': 1.3 alone, both sides verified, made of what the files say now.

Keys are handed to OpenSSL by way of memory: what was checked is what is used, whatever the files say a moment later.
"""

import os
import ssl
from collections.abc import Callable
from pathlib import Path

import structlog

from headgate.config.certificates import Authorities, CertificateError, Pair, read_authorities, read_pair
from headgate.remote.network import TlsFiles

log = structlog.get_logger()


class Renewed:
    """A context that is made anew when its files change. What can't be used changes nothing, and is tried again."""

    def __init__(self, files: TlsFiles, made: Callable[[], ssl.SSLContext]) -> None:
        """Raises OSError and CertificateError: there is none yet that could stay."""
        self._files, self._made = files, made
        self._looks, self._authorities = files.looks(), files.ca.read_bytes()
        self._problem: str | None = None
        self.context = made()

    def look(self) -> bool:
        """Takes over files that have changed; whether others are trusted now."""
        try:
            looks, authorities = self._files.looks(), self._files.ca.read_bytes()
            if looks == self._looks:
                return False
            self.context = self._made()
        except Exception as error:  # noqa: BLE001 - files hold what they like, and looking must go on
            self._say(_problem_of(error))
            return False
        trusts_others = authorities != self._authorities
        self._looks, self._authorities, self._problem = looks, authorities, None
        log.info("certificate renewed", trusts_others=trusts_others)
        return trusts_others

    def _say(self, problem: str) -> None:
        """One line per change."""
        if problem != self._problem:
            self._problem = problem
            log.error("certificate not renewed, the one in use stays", problem=problem)


def server_context(files: TlsFiles, protocols: list[str]) -> ssl.SSLContext:
    """For connections that are accepted; `protocols` as ALPN calls them. Raises CertificateError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = 0  # a session that is resumed shows no certificate again
    _fill(context, files, protocols)
    return context


def client_context(files: TlsFiles, protocols: list[str]) -> ssl.SSLContext:
    """For connections to others, whose certificate has to name who is called. Raises CertificateError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.hostname_checks_common_name = False  # an alternative name, as for Envoy
    _fill(context, files, protocols)
    return context


def _fill(context: ssl.SSLContext, files: TlsFiles, protocols: list[str]) -> None:
    pair, authorities = read_pair(Path(), files.cert, files.key), read_authorities(Path(), files.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(protocols)
    _load(context, pair, authorities)


def _load(context: ssl.SSLContext, pair: Pair, authorities: Authorities) -> None:
    context.load_verify_locations(cadata=authorities.chain)
    memory = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(memory), "w") as file:
            file.write(pair.chain + pair.key)
        context.load_cert_chain(f"/proc/self/fd/{memory}")
    finally:
        os.close(memory)


def _problem_of(error: Exception) -> str:
    """Names a file, never what it holds."""
    if isinstance(error, CertificateError):
        return str(error)
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else type(error).__name__

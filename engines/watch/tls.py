"""TLS to a replica as Envoy does it: the chain against the CA, the certificate against the name.

What it takes is in the files that were made for Envoy, SDS responses as JSON.
"""

import os
import ssl

import msgspec

from headgate.contract import SECRETS


class _Inline(msgspec.Struct, frozen=True):
    inline_string: str = ""


class _Context(msgspec.Struct, frozen=True):
    trusted_ca: _Inline = _Inline()


class _Pair(msgspec.Struct, frozen=True):
    certificate_chain: _Inline = _Inline()
    private_key: _Inline = _Inline()


class _Secret(msgspec.Struct, frozen=True):
    validation_context: _Context = _Context()
    tls_certificate: _Pair = _Pair()


class _Response(msgspec.Struct, frozen=True):
    resources: list[_Secret]


def client_context(ca_file: str | None, pair_file: str | None) -> ssl.SSLContext:
    """What a client goes by now. Raises OSError (ssl.SSLError is one) or ValueError."""
    authorities = _read(ca_file).validation_context.trusted_ca.inline_string if ca_file else None
    context = ssl.create_default_context(cadata=authorities)
    if pair_file:
        pair = _read(pair_file).tls_certificate
        _show(context, pair.certificate_chain.inline_string + "\n" + pair.private_key.inline_string)
    return context


def _read(file: str) -> _Secret:
    try:
        return msgspec.json.decode((SECRETS / file).read_bytes(), type=_Response).resources[0]
    except (msgspec.DecodeError, IndexError) as error:
        raise ValueError(f"{file} is no secret of Envoy's") from error


def _show(context: ssl.SSLContext, pair: str) -> None:
    """The library reads certificates from files alone: this one is never on a disk."""
    memory = os.memfd_create("pair")
    try:
        os.write(memory, pair.encode())
        context.load_cert_chain(f"/proc/self/fd/{memory}")
    finally:
        os.close(memory)

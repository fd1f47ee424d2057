"""TLS on both sides: what clients are served with, and how providers are verified and shown who we are.

No certificate and no key stands in what is made here: `headgate.edge.secrets` hands them over by SDS, so that they
can be renewed while connections live.
"""

import ssl

from envoy_data_plane.envoy.config.core.v3 import DataSource, TransportSocket
from envoy_data_plane.envoy.extensions.transport_sockets.quic.v3 import QuicDownstreamTransport
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CertificateValidationContext,
    CommonTlsContext,
    CommonTlsContextCombinedCertificateValidationContext,
    DownstreamTlsContext,
    SubjectAltNameMatcher,
    SubjectAltNameMatcherSanType,
    TlsParameters,
    TlsParametersTlsProtocol,
    UpstreamTlsContext,
)
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher

from headgate.config.addresses import is_address
from headgate.config.filter_hosts import FilterHosts
from headgate.config.model import Https, Provider
from headgate.edge.messages import pack
from headgate.edge.secrets import (
    CLIENT_CA,
    FILTERS_CA,
    FILTERS_PAIR,
    SERVER_PAIR,
    sds_secret,
)
from headgate.key_files import provider_ca_name, provider_pair_name


def downstream_tls(https: Https, *, inline: bool) -> TransportSocket:
    """What the TLS listener speaks: TLS 1.3, HTTP/2 or HTTP/1.1."""
    context = _server_context(https, ["h2", "http/1.1"], inline=inline)
    return TransportSocket(name="envoy.transport_sockets.tls", typed_config=pack(context))


def downstream_quic(https: Https, *, inline: bool) -> TransportSocket:
    """The same over QUIC. No early data: what is sent there can be sent again by somebody who listened."""
    transport = QuicDownstreamTransport(
        downstream_tls_context=_server_context(https, ["h3"], inline=inline),
        enable_early_data=False,
        enable_resumption=https.client_ca is None,
    )
    return TransportSocket(name="envoy.transport_sockets.quic", typed_config=pack(transport))


def _server_context(https: Https, alpn: list[str], *, inline: bool) -> DownstreamTlsContext:
    mutual = https.client_ca is not None
    return DownstreamTlsContext(
        common_tls_context=CommonTlsContext(
            tls_params=TlsParameters(
                tls_minimum_protocol_version=TlsParametersTlsProtocol.TLSv1_3,
                tls_maximum_protocol_version=TlsParametersTlsProtocol.TLSv1_3,
            ),
            tls_certificate_sds_secret_configs=[sds_secret(SERVER_PAIR, inline=inline)],
            validation_context_sds_secret_config=sds_secret(CLIENT_CA, inline=inline) if mutual else None,
            alpn_protocols=alpn,
        ),
        # Without it, one that is shown is verified all the same, or the handshake fails.
        require_client_certificate=https.require_client_cert if mutual else None,
        # A session that is resumed shows no certificate again, and it may have expired since.
        disable_stateless_session_resumption=mutual,
    )


def upstream_tls(cluster: str, provider: Provider, *, inline: bool) -> TransportSocket:
    """Verified TLS: the chain against the CA, the certificate against the name that we connect to."""
    names = not all_addresses(provider)
    validation = CertificateValidationContext(
        # Without a server name Envoy checks none: an address has to be among the certificate's.
        match_typed_subject_alt_names=[] if names else [_address_of(url.host) for url in provider.urls],
    )
    common = CommonTlsContext(alpn_protocols=["h2", "http/1.1"])
    if provider.ca is None:
        validation.trusted_ca = DataSource(filename=ssl.get_default_verify_paths().cafile or "")
        common.validation_context = validation
    else:
        common.combined_validation_context = CommonTlsContextCombinedCertificateValidationContext(
            default_validation_context=validation,
            validation_context_sds_secret_config=sds_secret(provider_ca_name(cluster), inline=inline),
        )
    if provider.client_cert is not None:
        common.tls_certificate_sds_secret_configs = [sds_secret(provider_pair_name(cluster), inline=inline)]
    context = UpstreamTlsContext(
        auto_host_sni=names,  # each endpoint is asked for, and verified, by its own name
        auto_sni_san_validation=names,
        common_tls_context=common,
    )
    return TransportSocket(name="envoy.transport_sockets.tls", typed_config=pack(context))


def filters_tls(hosts: FilterHosts, *, inline: bool) -> TransportSocket:
    """TLS 1.3 to filter workers on other hosts: they show one of their names, and we show who we are."""
    kinds = SubjectAltNameMatcherSanType
    names = [
        SubjectAltNameMatcher(
            san_type=kinds.IP_ADDRESS if is_address(name) else kinds.DNS, matcher=StringMatcher(exact=name)
        )
        for name in hosts.names
    ]
    common = CommonTlsContext(
        tls_params=TlsParameters(
            tls_minimum_protocol_version=TlsParametersTlsProtocol.TLSv1_3,
            tls_maximum_protocol_version=TlsParametersTlsProtocol.TLSv1_3,
        ),
        tls_certificate_sds_secret_configs=[sds_secret(FILTERS_PAIR, inline=inline)],
        combined_validation_context=CommonTlsContextCombinedCertificateValidationContext(
            default_validation_context=CertificateValidationContext(match_typed_subject_alt_names=names),
            validation_context_sds_secret_config=sds_secret(FILTERS_CA, inline=inline),
        ),
        alpn_protocols=["h2"],
    )
    context = UpstreamTlsContext(sni=hosts.server_name or "", common_tls_context=common)
    return TransportSocket(name="envoy.transport_sockets.tls", typed_config=pack(context))


def all_addresses(provider: Provider) -> bool:
    """Whether no endpoint has a name."""
    return all(is_address(url.host) for url in provider.urls)


def _address_of(host: str) -> SubjectAltNameMatcher:
    return SubjectAltNameMatcher(san_type=SubjectAltNameMatcherSanType.IP_ADDRESS, matcher=StringMatcher(exact=host))

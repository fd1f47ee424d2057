"""All of Envoy's configuration for a checked gateway, as the files that Envoy reads and as one inline document.

The bootstrap holds what a reload never changes; clusters, routes and credentials are files that Envoy watches.
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envoy_data_plane.envoy.config.bootstrap.v3 import (
    Admin,
    Bootstrap,
    BootstrapApplicationLogConfig,
    BootstrapApplicationLogConfigLogFormat,
    BootstrapDynamicResources,
    BootstrapStaticResources,
)
from envoy_data_plane.envoy.config.core.v3 import ApiVersion, ConfigSource, Node, PathConfigSource
from envoy_data_plane.envoy.service.discovery.v3 import DiscoveryResponse
from envoy_data_plane.google.protobuf import Struct

from headgate.config.addresses import Address
from headgate.config.model import Gateway
from headgate.contract import CLUSTERS, ENVOY_ADMIN_SOCKET
from headgate.edge.clusters import provider_clusters
from headgate.edge.listener import edge_listener
from headgate.edge.messages import document, pack, unix
from headgate.edge.routes import route_configuration
from headgate.edge.secrets import placeholders, secret_files
from headgate.edge.workers import own_clusters

_LOG_LINE = {"time": "%Y-%m-%dT%T.%eZ", "level": "%l", "part": "envoy", "logger": "%n", "event": "%j"}


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """What the configuration needs to know beside gateway.yaml. `spool` is relative to the state directory."""

    workers: int
    spool: str
    generation: int


@dataclass(frozen=True, slots=True)
class Rendering:
    """Proto-JSON, ready to be written. Only `secrets` (file name -> SDS response) holds secrets."""

    bootstrap: dict[str, Any]
    clusters: dict[str, Any]
    routes: dict[str, Any]
    secrets: dict[str, dict[str, object]]
    _inline: dict[str, Any]

    def inline(self) -> dict[str, Any]:
        """Everything in one bootstrap, for people and for `envoy --mode validate`; credentials are redacted."""
        return self._inline


def render(gateway: Gateway, settings: EdgeSettings, base: Path, environ: Mapping[str, str]) -> Rendering:
    """Envoy's files. `base` is the folder of gateway.yaml. Raises SecretError for a credential that is not there."""
    version = str(settings.generation)
    routes = route_configuration(gateway)
    clusters = DiscoveryResponse(version_info=version, resources=[pack(c) for c in provider_clusters(gateway, base)])
    return Rendering(
        bootstrap=document(_bootstrap(gateway, settings, base, inline=False)),
        clusters=document(clusters),
        routes=document(DiscoveryResponse(version_info=version, resources=[pack(routes)])),
        secrets=secret_files(gateway, base, environ, settings.generation),
        _inline=document(_bootstrap(gateway, settings, base, inline=True)),
    )


def render_inline(gateway: Gateway, settings: EdgeSettings, base: Path) -> dict[str, Any]:
    """The inline document alone; resolves no secret."""
    return document(_bootstrap(gateway, settings, base, inline=True))


def _bootstrap(gateway: Gateway, settings: EdgeSettings, base: Path, *, inline: bool) -> Bootstrap:
    address = _resolved(gateway.listen.http or Address("127.0.0.1", 8080))
    routes = route_configuration(gateway) if inline else None
    return Bootstrap(
        node=Node(id="headgate", cluster="headgate"),
        admin=Admin(address=unix(str(ENVOY_ADMIN_SOCKET))),
        static_resources=BootstrapStaticResources(
            listeners=[edge_listener(address, settings.spool, gateway.listen.max_body_bytes, routes)],
            clusters=[
                *own_clusters(settings.workers),
                *(provider_clusters(gateway, base, inline=True) if inline else []),
            ],
            secrets=placeholders(gateway) if inline else [],
        ),
        dynamic_resources=None if inline else BootstrapDynamicResources(cds_config=_clusters_file()),
        application_log_config=BootstrapApplicationLogConfig(
            log_format=BootstrapApplicationLogConfigLogFormat(json_format=Struct.from_dict(_LOG_LINE))
        ),
    )


def _clusters_file() -> ConfigSource:
    return ConfigSource(resource_api_version=ApiVersion.V3, path_config_source=PathConfigSource(path=str(CLUSTERS)))


def _resolved(address: Address) -> Address:
    """Envoy listens on IP addresses only; a name such as localhost is looked up once, here."""
    ip = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0][4][0]
    return Address(str(ip), address.port)

"""All of Envoy's configuration for a checked gateway, as the files that Envoy reads and as one inline document.

The bootstrap holds what a reload never changes; clusters, routes and credentials are files that Envoy watches.
"""

import copy
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from betterproto2 import Message
from envoy_data_plane.envoy.config.bootstrap.v3 import (
    Admin,
    Bootstrap,
    BootstrapApplicationLogConfig,
    BootstrapApplicationLogConfigLogFormat,
    BootstrapDynamicResources,
    BootstrapStaticResources,
    Watchdog,
    Watchdogs,
)
from envoy_data_plane.envoy.config.core.v3 import ApiVersion, ConfigSource, Node, PathConfigSource
from envoy_data_plane.envoy.service.discovery.v3 import DiscoveryResponse
from envoy_data_plane.google.protobuf import Struct

from headgate.config.model import Gateway
from headgate.contract import CLUSTERS, ENVOY_ADMIN_SOCKET
from headgate.edge.clusters import differs_inline, provider_accounts, provider_cluster, provider_clusters
from headgate.edge.listener import edge_listeners
from headgate.edge.messages import document, pack, seconds, unix
from headgate.edge.overload import overload_manager
from headgate.edge.routes import route_configuration
from headgate.edge.secrets import placeholders, secret_files
from headgate.edge.tracing import collector_cluster
from headgate.edge.workers import own_clusters

_LOG_LINE = {"time": "%Y-%m-%dT%T.%eZ", "level": "%l", "part": "envoy", "logger": "%n", "event": "%j"}

# Envoy counts threads that answer nobody for so long, and does nothing else about it. By its own 0.2 s and 1 s each
# thread is woken ten times a second, and two more to look.
_WATCHED = Watchdog(miss_timeout=seconds(2), megamiss_timeout=seconds(10))


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """What the configuration needs to know beside gateway.yaml. `spool` is relative to the state directory."""

    workers: int
    spool: str
    generation: int


@dataclass(frozen=True, slots=True)
class Rendering:
    """Proto-JSON, ready to be written. Only `secrets` (file name -> content) holds secrets."""

    bootstrap: dict[str, Any]
    clusters: dict[str, Any]
    routes: dict[str, Any]
    secrets: dict[str, bytes]
    _inline: dict[str, Any]

    def inline(self) -> dict[str, Any]:
        """Everything in one bootstrap, for people and for `envoy --mode validate`; secrets are redacted."""
        return self._inline


def render(gateway: Gateway, settings: EdgeSettings, base: Path, environ: Mapping[str, str]) -> Rendering:
    """Envoy's files. `base` is the folder of gateway.yaml. Raises SecretError for a credential that is not there."""
    version = str(settings.generation)
    routes = route_configuration(gateway)
    clusters = DiscoveryResponse(version_info=version, resources=[pack(c) for c in provider_clusters(gateway)])
    bootstrap, clusters_file = document(_bootstrap(gateway, settings)), document(clusters)
    routes_file = document(DiscoveryResponse(version_info=version, resources=[pack(routes)]))
    return Rendering(
        bootstrap=bootstrap,
        clusters=clusters_file,
        routes=routes_file,
        secrets=secret_files(gateway, base, environ),
        _inline=_whole(gateway, settings, bootstrap, clusters_file.get("resources", []), routes_file["resources"][0]),
    )


def render_inline(gateway: Gateway, settings: EdgeSettings) -> dict[str, Any]:
    """The inline document alone; resolves no secret."""
    clusters, routes = _resources(provider_clusters(gateway)), _resources([route_configuration(gateway)])
    return _whole(gateway, settings, document(_bootstrap(gateway, settings)), clusters, routes[0])


def _whole(
    gateway: Gateway,
    settings: EdgeSettings,
    bootstrap: dict[str, Any],
    clusters: Sequence[dict[str, Any]],
    routes: dict[str, Any],
) -> dict[str, Any]:
    """All of it in one document. Making a message takes long: only what is another one here is made again."""
    static = [
        document(provider_cluster(account, inline=True)) if differs_inline(account.provider) else cluster
        for account, cluster in zip(provider_accounts(gateway), clusters, strict=True)
    ]
    whole = _inlined(bootstrap, static, routes, [document(secret) for secret in placeholders(gateway)])
    if gateway.listen.https:
        listeners = edge_listeners(gateway, settings.spool, route_configuration(gateway))
        whole["static_resources"]["listeners"] = [document(listener) for listener in listeners]
    if filters := gateway.services.filters:
        own = {cluster.name: document(cluster) for cluster in own_clusters(filters, inline=True)}
        found = whole["static_resources"]["clusters"]
        whole["static_resources"]["clusters"] = [own.get(cluster["name"], cluster) for cluster in found]
    return whole


def _bootstrap(gateway: Gateway, settings: EdgeSettings) -> Bootstrap:
    return Bootstrap(
        node=Node(id="headgate", cluster="headgate"),
        # How things stand is asked most when nothing else gets in any more.
        admin=Admin(address=unix(str(ENVOY_ADMIN_SOCKET)), ignore_global_conn_limit=True),
        overload_manager=overload_manager(gateway.listen),
        watchdogs=Watchdogs(main_thread_watchdog=_WATCHED, worker_watchdog=_WATCHED),
        static_resources=BootstrapStaticResources(
            listeners=edge_listeners(gateway, settings.spool),
            clusters=[
                *own_clusters(gateway.services.filters or settings.workers),
                *([collector_cluster(gateway.telemetry)] if gateway.telemetry else []),
            ],
        ),
        dynamic_resources=BootstrapDynamicResources(cds_config=_clusters_file()),
        application_log_config=BootstrapApplicationLogConfig(
            log_format=BootstrapApplicationLogConfigLogFormat(json_format=Struct.from_dict(_LOG_LINE))
        ),
    )


@dataclass(frozen=True, slots=True)
class Edit:
    """What a reload hands to a running Envoy. `clusters` are the new ones by name; only `secrets` holds secrets."""

    clusters: dict[str, dict[str, Any]]
    routes: dict[str, Any]
    secrets: dict[str, bytes]
    inline: dict[str, Any]  # the bootstrap with nothing but the new clusters and the routes in it, for validation


def render_edit(
    gateway: Gateway,
    bootstrap: dict[str, Any],
    known: Container[str],
    base: Path,
    environ: Mapping[str, str],
) -> Edit:
    """An edit of a gateway that runs with this bootstrap and has the `known` clusters. Raises SecretError.

    A cluster's name says all that is in it, so one that is known need not be made, or validated, again.
    """
    new = {cluster: one for one in provider_accounts(gateway) if (cluster := one.cluster) not in known}
    routes = _resources([route_configuration(gateway)])[0]
    static = _resources([provider_cluster(one, inline=True) for one in new.values()])
    return Edit(
        clusters=dict(zip(new, _resources([provider_cluster(one) for one in new.values()]), strict=True)),
        routes=routes,
        secrets=secret_files(gateway, base, environ),
        inline=_inlined(bootstrap, static, routes, [document(secret) for secret in placeholders(gateway)]),
    )


def _resources(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """As they stand in the files that Envoy watches."""
    response = document(DiscoveryResponse(resources=[pack(message) for message in messages]))
    found: list[dict[str, Any]] = response.get("resources", [])
    return found


def _inlined(
    bootstrap: dict[str, Any],
    clusters: Sequence[dict[str, Any]],
    routes: dict[str, Any],
    secrets: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    whole = copy.deepcopy(bootstrap)
    whole.pop("dynamic_resources", None)
    static = whole["static_resources"]
    plain = [{key: value for key, value in cluster.items() if key != "@type"} for cluster in clusters]
    static["clusters"] = [*static["clusters"], *plain]
    if secrets:
        static["secrets"] = [*static.get("secrets", []), *secrets]
    for manager in _managers(static["listeners"]):
        del manager["rds"]
        manager["route_config"] = {key: value for key, value in routes.items() if key != "@type"}
    return whole


def _managers(value: Any) -> Iterator[dict[str, Any]]:
    """The connection managers that ask for their routes."""
    if isinstance(value, dict) and "rds" in value:
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _managers(inner)


def _clusters_file() -> ConfigSource:
    return ConfigSource(resource_api_version=ApiVersion.V3, path_config_source=PathConfigSource(path=str(CLUSTERS)))

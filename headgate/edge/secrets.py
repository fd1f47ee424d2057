"""Provider credentials for Envoy: one SDS file each, the only rendered files that hold a secret.

They live in the state directory's `secrets` folder (memory-backed where the machine has such storage) and nowhere
else; Envoy shows them as redacted in its config dump.
"""

from collections.abc import Mapping
from pathlib import Path

from envoy_data_plane.envoy.config.core.v3 import (
    ApiVersion,
    ConfigSource,
    DataSource,
    PathConfigSource,
)
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import GenericSecret, Secret
from envoy_data_plane.envoy.service.discovery.v3 import DiscoveryResponse

from headgate.config.model import Gateway
from headgate.config.secrets import resolve
from headgate.contract import SECRETS
from headgate.edge.messages import document, pack

_HEADERS = {"openai": ("authorization", "Bearer "), "anthropic": ("x-api-key", "")}


def credential_header(api: str) -> tuple[str, str]:
    """The header that carries a provider's key, and what stands before the key in it."""
    return _HEADERS[api]


def secret_file(provider: str) -> str:
    """The file's name in the `secrets` folder."""
    return f"{provider}.json"


def sds_config(provider: str) -> ConfigSource:
    """Where a cluster finds its credential."""
    return ConfigSource(
        resource_api_version=ApiVersion.V3,
        path_config_source=PathConfigSource(path=str(SECRETS / secret_file(provider))),
    )


def secret_files(
    gateway: Gateway, base: Path, environ: Mapping[str, str], generation: int
) -> dict[str, dict[str, object]]:
    """File name -> SDS response, for every provider with a key. Raises SecretError when one cannot be resolved."""
    files: dict[str, dict[str, object]] = {}
    for name, provider in gateway.providers.items():
        if provider.api_key is not None:
            value = resolve(provider.api_key, base, environ)
            response = DiscoveryResponse(version_info=str(generation), resources=[pack(_secret(name, value))])
            files[secret_file(name)] = document(response)
    return files


def placeholders(gateway: Gateway) -> list[Secret]:
    """Secrets of the same names without their values, for the inline rendering."""
    return [_secret(name, "redacted") for name, provider in gateway.providers.items() if provider.api_key is not None]


def _secret(name: str, value: str) -> Secret:
    return Secret(name=name, generic_secret=GenericSecret(secret=DataSource(inline_string=value)))

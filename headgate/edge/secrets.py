"""The secrets that Envoy and parts of ours need, one file each: the only rendered files that hold one.

They live in the state directory's `secrets` folder (memory-backed where the machine has such storage) and nowhere
else; Envoy shows keys as redacted in its config dump. Every file is made of what its sources say now, so a source
that changes on disk is one file written anew. A provider's names carry its cluster's digest: one that moves
elsewhere is another cluster with other files, so its new key never reaches the old place. The clusters of a
provider's keys have a file for each key, and share those of its certificates.

Certificates come by SDS. A provider's key is a plain file that envoy/module looks at: each secret of Envoy's own
takes an inotify instance, of which a user has 128 by default, and Envoy aborts when there is none left. The ledger
reads what it signs alerts with whenever it sends one; workers and control look at theirs once a second. AWS keys are
files that Envoy's signer watches, at one inotify instance each.

What Vault has, and credentials that are stored, come as files of the same folder: others write them there.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from envoy_data_plane.envoy.config.core.v3 import (
    ApiVersion,
    ConfigSource,
    DataSource,
    PathConfigSource,
)
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CertificateValidationContext,
    SdsSecretConfig,
    Secret,
    TlsCertificate,
)
from envoy_data_plane.envoy.service.discovery.v3 import DiscoveryResponse

from headgate.adapter_files import adapter_key_file
from headgate.alerts_file import alerts_file
from headgate.auth_files import auth_file
from headgate.cluster_names import Account, accounts_of
from headgate.config.auth import Auth
from headgate.config.certificates import CertificateError, read_authorities, read_pair
from headgate.config.model import Aws, Gateway, Provider
from headgate.config.secret_refs import SecretRef
from headgate.config.secrets import SecretError, resolve, resolve_ed25519, resolve_long, resolve_signing
from headgate.contract import SECRETS
from headgate.edge.messages import document, pack
from headgate.edge.stand_in import stand_in
from headgate.issuer_tables import ca_file
from headgate.key_files import key_file, plain_name, provider_ca_name, provider_pair_name, secret_file
from headgate.stored_files import is_stored_file, pool_field, stored_file
from headgate.vault.files import PREFIX, values_file

# A provider has no + in its name.
SERVER_PAIR = "listen+cert"
CLIENT_CA = "listen+client_ca"
FILTERS_PAIR = "filters+cert"
FILTERS_CA = "filters+ca"

AWS_PROFILE = "headgate"

_BEARER = ("authorization", "Bearer ")
_HEADERS = {
    "openai": _BEARER,
    "anthropic": ("x-api-key", ""),
    "gemini": ("x-goog-api-key", ""),
    "bedrock": _BEARER,
    "cohere": _BEARER,
    "azure": ("api-key", ""),
}


def credential_header(provider: Provider) -> tuple[str, str]:
    """The header that carries a provider's key or token, and what stands before that in it."""
    return _BEARER if provider.token else _HEADERS[provider.api]


def aws_file(cluster: str) -> str:
    """The file of the AWS key that a provider cluster's requests are signed with, in the `secrets` folder."""
    return f"{plain_name(cluster)}.aws"


def sds_secret(name: str, *, inline: bool) -> SdsSecretConfig:
    """How a configuration refers to a secret: by its file or, `inline`, in the same document."""
    return SdsSecretConfig(name=name, sds_config=None if inline else _file(name))


def _file(name: str) -> ConfigSource:
    return ConfigSource(
        resource_api_version=ApiVersion.V3,
        path_config_source=PathConfigSource(path=str(SECRETS / secret_file(name))),
    )


@dataclass(frozen=True, slots=True)
class Delivery:
    """One file: the key of gateway.yaml, the files it is read from, how it is made, what stands for it.

    `build` raises SecretError when what is there now cannot be used. A `placeholder` is for what comes by SDS.
    """

    file: str
    key: str
    sources: tuple[Path, ...]
    build: Callable[[], bytes]
    placeholder: Callable[[], Secret] | None = None


def secret_sources(gateway: Gateway, base: Path) -> list[Path]:
    """The files outside of gateway.yaml that secrets are read from, each once."""
    paths = [source for delivery in _deliveries(gateway, base, {}) for source in delivery.sources]
    return list(dict.fromkeys(paths))


def secret_files(gateway: Gateway, base: Path, environ: Mapping[str, str]) -> dict[str, bytes]:
    """File name -> content, for every secret. Raises SecretError when one cannot be used."""
    files, problems = usable_secret_files(gateway, base, environ)
    if problems:
        raise SecretError("; ".join(problems))
    return files


def own_files(gateway: Gateway) -> set[str]:
    """Those that the ledger, the workers and control read: Envoy's files do not name them."""
    alerts = {alerts_file(gateway.alerts).name} if gateway.alerts else set()
    issuers = {ca_file(ca).name for _, ca in _issuer_authorities(gateway.auth)}
    signing = {adapter_key_file(key).name} if (key := _signing_key(gateway)) else set()
    return alerts | issuers | signing | {auth_file(reference).name for _, reference in _auth_references(gateway.auth)}


def usable_secret_files(
    gateway: Gateway, base: Path, environ: Mapping[str, str]
) -> tuple[dict[str, bytes], list[str]]:
    """The same for those that can be used now, and a line for each that cannot."""
    files: dict[str, bytes] = {}
    problems: list[str] = []
    for delivery in _deliveries(gateway, base, environ):
        try:
            files[delivery.file] = delivery.build()
        except (SecretError, CertificateError) as error:
            problems.append(f"{delivery.key}: {error}")
    return files, problems


def placeholders(gateway: Gateway) -> list[Secret]:
    """SDS secrets of the same names without their values, for the inline rendering."""
    deliveries = _deliveries(gateway, Path(), {})
    return [delivery.placeholder() for delivery in deliveries if delivery.placeholder]


def _deliveries(gateway: Gateway, base: Path, environ: Mapping[str, str]) -> Iterator[Delivery]:
    """Everything that is handed over; nothing is read before `build`."""
    yield from _of_listeners_and_workers(gateway, base)
    if alerts := gateway.alerts:
        yield _plain(alerts_file(alerts).name, "alerts.secret", alerts.secret, base, environ, resolve_signing)
    if signing := _signing_key(gateway):
        yield _plain(adapter_key_file(signing).name, "adapters.signing_key", signing, base, environ, resolve_ed25519)
    for key, reference in _auth_references(gateway.auth):
        yield _plain(auth_file(reference).name, key, reference, base, environ, resolve_long)
    for key, ca in _issuer_authorities(gateway.auth):
        yield Delivery(ca_file(ca).name, key, (base / ca,), _chain(base, ca))
    for name, provider in gateway.providers.items():
        key, accounts = f"providers.{name}", accounts_of(name, provider)
        cluster = accounts[0].shared
        yield from _keys(key, accounts, base, environ)
        if provider.aws:
            yield _aws_key(aws_file(cluster), f"{key}.aws", provider.aws, base, environ)
        if provider.ca:
            yield _authorities(provider_ca_name(cluster), f"{key}.ca", base, provider.ca)
        if provider.client_cert and provider.client_key:
            yield _pair(
                provider_pair_name(cluster), f"{key}.client_cert", base, provider.client_cert, provider.client_key
            )


def _of_listeners_and_workers(gateway: Gateway, base: Path) -> Iterator[Delivery]:
    if https := gateway.listen.https:
        yield _pair(SERVER_PAIR, "listen.https.cert", base, https.cert, https.key)
        if https.client_ca:
            yield _authorities(CLIENT_CA, "listen.https.client_ca", base, https.client_ca)
    if filters := gateway.services.filters:
        yield _pair(FILTERS_PAIR, "services.filters.cert", base, filters.cert, filters.key)
        yield _authorities(FILTERS_CA, "services.filters.ca", base, filters.ca)


def _auth_references(auth: Auth | None) -> Iterator[tuple[str, SecretRef]]:
    if auth is None:
        return
    previous = [(f"auth.previous_peppers[{at}]", pepper) for at, pepper in enumerate(auth.previous_peppers)]
    for key, reference in (("auth.pepper", auth.pepper), *previous, ("auth.service_key", auth.service_key)):
        if reference:
            yield key, reference


def _signing_key(gateway: Gateway) -> SecretRef | None:
    return gateway.adapters.signing_key if gateway.adapters else None


def _issuer_authorities(auth: Auth | None) -> Iterator[tuple[str, Path]]:
    for at, issuer in enumerate((auth and auth.oidc) or ()):
        if issuer.ca:
            yield f"auth.oidc[{at}].ca", issuer.ca


def _chain(base: Path, ca: Path) -> Callable[[], bytes]:
    return lambda: read_authorities(base, ca).chain.encode()


def _keys(key: str, accounts: Sequence[Account], base: Path, environ: Mapping[str, str]) -> Iterator[Delivery]:
    for index, account in enumerate(accounts):
        file = key_file(account.cluster)
        for said, field, reference in _references(index, account):
            if reference.kind == "stored":
                yield _handed_over(file, f"{key}.{said}", SECRETS / stored_file(account.name, field))
            else:
                yield _plain(file, f"{key}.{said}", reference, base, environ)


def is_handed_over(path: Path) -> bool:
    """Whether a file of the folder is somebody else's: from Vault, or a stored credential."""
    return path.name.startswith(PREFIX) or is_stored_file(path.name)


def missing_credentials(gateway: Gateway) -> list[str]:
    """The keys of gateway.yaml whose credential is not stored, or could not be opened yet."""
    return [f"{key}.{said}" for key, said, source in _stored(gateway) if not source.is_file()]


def _stored(gateway: Gateway) -> Iterator[tuple[str, str, Path]]:
    for name, provider in gateway.providers.items():
        for index, account in enumerate(accounts_of(name, provider)):
            for said, field, reference in _references(index, account):
                if reference.kind == "stored":
                    yield f"providers.{name}", said, SECRETS / stored_file(name, field)


def _references(index: int, account: Account) -> Iterator[tuple[str, str, SecretRef]]:
    """What a cluster's requests go with: where it stands, its field as what is stored goes by it, the reference."""
    if account.provider.api_key:
        pooled = (f"api_keys[{index}].key", pool_field(account.key)) if account.key else ("api_key", "api_key")
        yield *pooled, account.provider.api_key
    if account.provider.token:
        yield "token", "token", account.provider.token


def _handed_over(file: str, key: str, source: Path) -> Delivery:
    """A stored credential. As long as there is none the file is empty, and envoy/module sends nothing."""

    def build() -> bytes:
        try:
            return source.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise SecretError(f"the stored credential cannot be read: {error.strerror}") from None

    return Delivery(file, key, (source,), build)


def _sources(references: Iterable[SecretRef], base: Path) -> tuple[Path, ...]:
    """The files that are read for them."""
    found = [
        base / one.place if one.kind == "file" else SECRETS / values_file(one.place)
        for one in references
        if one.kind in ("file", "vault")
    ]
    return tuple(dict.fromkeys(found))


def _plain(
    file: str,
    key: str,
    reference: SecretRef,
    base: Path,
    environ: Mapping[str, str],
    read: Callable[[SecretRef, Path, Mapping[str, str]], str] = resolve,
) -> Delivery:
    return Delivery(file, key, _sources([reference], base), lambda: read(reference, base, environ).encode())


def _aws_key(file: str, key: str, aws: Aws, base: Path, environ: Mapping[str, str]) -> Delivery:
    """In the form of AWS's own credentials file, with one profile."""
    given = [(f"aws_{name}", reference) for name, reference in aws if reference]

    def build() -> bytes:
        lines = [f"{name} = {resolve(reference, base, environ)}" for name, reference in given]
        return "\n".join([f"[{AWS_PROFILE}]", *lines, ""]).encode()

    return Delivery(file, key, _sources([reference for _, reference in given], base), build)


def _response(secret: Secret) -> bytes:
    # No version: the same secret is the same file, in every generation.
    return json.dumps(document(DiscoveryResponse(resources=[pack(secret)])), indent=1).encode() + b"\n"


def _pair(name: str, key: str, base: Path, cert: Path, private: Path) -> Delivery:
    def secret(chain: str, private_key: str) -> Secret:
        certificate = TlsCertificate(
            certificate_chain=DataSource(inline_string=chain), private_key=DataSource(inline_string=private_key)
        )
        return Secret(name=name, tls_certificate=certificate)

    def build() -> bytes:
        pair = read_pair(base, cert, private)
        return _response(secret(pair.chain, pair.key))

    return Delivery(
        file=secret_file(name),
        key=key,
        sources=(base / cert, base / private),
        build=build,
        placeholder=lambda: secret(*stand_in()),
    )


def _authorities(name: str, key: str, base: Path, ca: Path) -> Delivery:
    def secret(chain: str) -> Secret:
        context = CertificateValidationContext(trusted_ca=DataSource(inline_string=chain))
        return Secret(name=name, validation_context=context)

    return Delivery(
        file=secret_file(name),
        key=key,
        sources=(base / ca,),
        build=lambda: _response(secret(read_authorities(base, ca).chain)),
        placeholder=lambda: secret(stand_in()[0]),
    )

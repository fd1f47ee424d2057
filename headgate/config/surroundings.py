"""Problems between a tree and the machine: secrets that do not resolve, certificates that cannot be used.

Reads secrets only to see that they can be used; nothing of them is kept or quoted.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from headgate.config.addresses import store_url
from headgate.config.auth_rules import own_secrets
from headgate.config.certificates import CertificateError, expiry_text, read_authorities, read_pair
from headgate.config.database import database_url, files_of, sqlite_file
from headgate.config.issuer_rules import issuer_paths
from headgate.config.secret_refs import SecretRef, name_of_reference, secret_ref
from headgate.config.secrets import SecretError, resolve, resolve_ed25519, resolve_long, resolve_signing
from headgate.config.shape import Finding, children_of, value_at
from headgate.config.values import file_path
from headgate.config.vault import Secrets
from headgate.config.vault_rules import uses_vault
from headgate.config.wording import KeyPath, quoted, shown_path
from headgate.store_url import PasswordPlace
from headgate.store_url import parse as parse_store_url


def missing(root: dict[str, Any], base: Path, environ: Mapping[str, str]) -> Iterator[Finding]:
    """What the file refers to outside of itself and cannot be used. `base` is the folder of the file."""
    for cert, key in _pairs(root):
        yield from _unusable_pair(root, cert, key, base)
    for path in _authorities(root):
        yield from _unusable_authorities(root, path, base)
    for path, _ in children_of(root, ("providers",)):
        aws = (("aws", name) for name in ("access_key_id", "secret_access_key", "session_token"))
        for key in (("api_key",), ("token",), *aws):
            yield from _missing_secret(root, (*path, *key), base, environ)
        for one, key in children_of(root, (*path, "api_keys")):
            yield from _missing_secret(root, (*one, "key"), base, environ)
            yield from _told_secret(one, key, base, environ)
    yield from _missing_secret(root, ("alerts", "secret"), base, environ, resolve_signing)
    yield from _missing_secret(root, ("adapters", "signing_key"), base, environ, resolve_ed25519)
    previous = (path for path, _ in children_of(root, ("auth", "previous_peppers")))
    for path in (("auth", "pepper"), ("auth", "service_key"), *previous):
        yield from _missing_secret(root, path, base, environ, resolve_long)
    yield from _alike(root, base, environ)
    yield from _missing_sign_in(root, base, environ)
    yield from _missing_database_files(root, base)
    yield from _missing_store_password(root, environ)
    yield from _missing_models(root, base)


def expiring(root: dict[str, Any], base: Path) -> Iterator[Finding]:
    """Certificates that can be used, and not for much longer; what cannot be used is `missing`'s business."""
    for path, key in (*_pairs(root), *((path, None) for path in _authorities(root))):
        file, key_file = _file_at(root, path), _file_at(root, key) if key else None
        if file is None or (key and not key_file):
            continue
        with suppress(CertificateError):  # it has just been replaced
            expires = (read_pair(base, file, key_file) if key_file else read_authorities(base, file)).expires
            if text := expiry_text(file, expires):
                yield Finding(path, text)


def _missing_store_password(root: dict[str, Any], environ: Mapping[str, str]) -> Iterator[Finding]:
    path = ("services", "usage")
    try:
        url = parse_store_url(store_url(value_at(root, path)))
    except ValueError:
        return  # not given, or a problem of shape
    if isinstance(url.password, PasswordPlace) and url.password.kind == "env" and not environ.get(url.password.place):
        yield Finding(path, f"its password: {url.password.place} is not set")
    files = [url.ca] if url.ca else []
    if isinstance(url.password, PasswordPlace) and url.password.kind == "file":
        files.append(url.password.place)
    for file in files:
        if not os.access(file, os.R_OK) or not Path(file).is_file():
            yield Finding(path, f"{file} can't be read")


def _pairs(root: dict[str, Any]) -> Iterator[tuple[KeyPath, KeyPath]]:
    """Where certificates stand, and the key of each."""
    yield ("listen", "https", "cert"), ("listen", "https", "key")
    yield ("services", "filters", "cert"), ("services", "filters", "key")
    for path, _ in children_of(root, ("providers",)):
        yield (*path, "client_cert"), (*path, "client_key")


def _authorities(root: dict[str, Any]) -> Iterator[KeyPath]:
    yield "listen", "https", "client_ca"
    for path, _ in children_of(root, ("providers",)):
        yield *path, "ca"
    yield "services", "secrets", "ca"
    yield "services", "filters", "ca"
    for path in issuer_paths(root):
        yield *path, "ca"


def _file_at(root: dict[str, Any], path: KeyPath) -> Path | None:
    try:
        return file_path(value_at(root, path))
    except ValueError:
        return None  # not given, or a problem of shape


def _unusable_pair(root: dict[str, Any], cert: KeyPath, key: KeyPath, base: Path) -> Iterator[Finding]:
    cert_file, key_file = _file_at(root, cert), _file_at(root, key)
    unreadable = [
        Finding(path, problem)
        for path, name in ((cert, cert_file), (key, key_file))
        if name and (problem := _unreadable(base, name))
    ]
    yield from unreadable
    if cert_file and key_file and not unreadable:
        try:
            read_pair(base, cert_file, key_file)
        except CertificateError as error:
            yield Finding(key if error.about_key else cert, str(error))


def _unusable_authorities(root: dict[str, Any], path: KeyPath, base: Path) -> Iterator[Finding]:
    ca_file = _file_at(root, path)
    if ca_file:
        try:
            read_authorities(base, ca_file)
        except CertificateError as error:
            yield Finding(path, str(error))


def _unreadable(base: Path, name: Path) -> str | None:
    try:
        with (base / name).open("rb"):
            return None
    except OSError as error:
        return f"file {quoted(str(name))} cannot be read: {error.strerror}"


def _told_secret(path: KeyPath, key: Any, base: Path, environ: Mapping[str, str]) -> Iterator[Finding]:
    """A key that is its own name: names are in metrics and logs."""
    with suppress(ValueError, SecretError):
        ref = secret_ref(value_at(key, ("key",)))
        name = value_at(key, ("name",)) or name_of_reference(ref)
        if ref.kind != "vault" and name == resolve(ref, base, environ):
            yield Finding((*path, "name"), "expected a name for the key, found the key itself")


def _missing_secret(
    root: dict[str, Any],
    path: KeyPath,
    base: Path,
    environ: Mapping[str, str],
    read: Callable[[SecretRef, Path, Mapping[str, str]], str] = resolve,
) -> Iterator[Finding]:
    try:
        ref = secret_ref(value_at(root, path))
    except ValueError:
        return  # not given, or a problem of shape
    if ref.kind == "vault":
        return  # who asks Vault says so
    try:
        read(ref, base, environ)
    except SecretError as error:
        yield Finding(path, str(error))


def _alike(root: dict[str, Any], base: Path, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Two of the gateway's own secrets that are one, under two names."""
    known: dict[str, tuple[KeyPath, SecretRef]] = {}
    for path, reference in own_secrets(root):
        if reference.kind == "vault":
            continue  # nobody has asked for it yet
        with suppress(SecretError):
            first, other = known.setdefault(resolve(reference, base, environ), (path, reference))
            if first != path and other != reference:
                yield Finding(path, f"holds the same secret as {shown_path(first)}: each has to be another")


def _missing_database_files(root: dict[str, Any], base: Path) -> Iterator[Finding]:
    """The folder of SQLite's file, and the files that PostgreSQL's URL names."""
    at = ("services", "database")
    try:
        url = database_url(value_at(root, at))
    except ValueError:
        return  # not given, or a problem of shape
    if (file := sqlite_file(url)) is not None:
        if file.is_dir():
            yield Finding(at, "expected a file, found a folder")
        elif not file.parent.is_dir():
            yield Finding(at, f"there is no folder {quoted(str(file.parent))}")
    for option, path in files_of(url).items():
        if problem := _unreadable(base, path):
            yield Finding(at, f"{option}: {problem}")


def _missing_models(root: dict[str, Any], base: Path) -> Iterator[Finding]:
    """What managed engines are started with. The interpreter's own place is looked at when they are."""
    for path, engine in children_of(root, ("engines",)):
        if value_at(engine, ("kind",)) != "vllm" or value_at(engine, ("endpoints",)) is not None:
            continue
        model, python = _file_at(root, (*path, "model")), _file_at(root, (*path, "python"))
        if model and not (base / model).is_dir():
            yield Finding((*path, "model"), f"there is no folder {quoted(str(model))}; nothing is downloaded")
        elif model and (problem := _unreadable(base, model / "config.json")):
            yield Finding((*path, "model"), f"expected a model's folder: {problem}")
        if python and not os.access(base / python, os.X_OK):
            yield Finding((*path, "python"), f"{quoted(str(python))} can't be run")


def _missing_sign_in(root: dict[str, Any], base: Path, environ: Mapping[str, str]) -> Iterator[Finding]:
    """What signs in to Vault: what is given, and where something needs Vault the defaults too."""
    at = ("services", "secrets")
    try:
        secrets = Secrets.model_validate(value_at(root, at))
    except ValidationError:
        return  # not given, or a problem of shape
    used = uses_vault(root)
    for key, reference in secrets.credentials.items():
        if not used and value_at(root, (*at, key)) is None:
            continue
        try:
            resolve(reference, base, environ)
        except SecretError as error:
            yield Finding((*at, key), str(error), at=None if value_at(root, (*at, key)) else at)
    given = value_at(root, (*at, "jwt")) is not None
    if secrets.auth == "kubernetes" and (used or given) and (problem := _unreadable(base, secrets.jwt)):
        yield Finding((*at, "jwt"), problem, at=None if value_at(root, (*at, "jwt")) else at)

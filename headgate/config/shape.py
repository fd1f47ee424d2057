"""Shape problems of a tree, in our words: what pydantic found, and the rules between keys of one entry.

Works on any tree. Texts say what was found and what is allowed; pydantic's own texts, which quote values and
name classes, never get out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from headgate.config.engine_providers import tree_with_engines, with_engines
from headgate.config.entry import Entry
from headgate.config.model import Api, Gateway
from headgate.config.wording import KeyPath, kind, nearest, quoted
from headgate.presets import defaults_of

# Keys of providers that belong to one API.
_OWNERS = {"preset": "openai", "api_version": "azure", "token": "azure", "region": "bedrock", "aws": "bedrock"}

# What the gateway adds to a provider's root; of api: openai to `endpoints` only.
_VERSIONS = {"openai": "/v1", "anthropic": "/v1", "gemini": "/v1beta", "cohere": "/v2"}

_EXPECTED = {  # pydantic's error types; the values' own parsers say the rest
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "list_type": "a list",
    "too_short": "at least one item",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem in the entry at `path`; its line is that of `at`, where the two differ."""

    path: KeyPath
    text: str
    at: KeyPath | None = None


def validated(root: dict[str, Any]) -> tuple[Gateway | None, list[Finding]]:
    """The gateway of a tree, or None and what is wrong with its shape."""
    rules = list(_key_rules(root))
    nothings = {finding.path: finding for finding in _nothings(root, ())}
    try:
        gateway = Gateway.model_validate(root)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        shapes = [_finding(root, detail) for detail in details]
    else:
        return (None if rules or nothings else with_engines(gateway)), [*rules, *nothings.values()]
    # One mistake, one text: an unknown key may be empty, and what is empty has no right shape either.
    unknown = {finding.at for finding in shapes}
    shapes = [finding for finding in shapes if finding.at is not None or finding.path not in nothings]
    return None, [*rules, *shapes, *(nothing for path, nothing in nothings.items() if path not in unknown)]


def findings_of(error: ValidationError, root: dict[str, Any], place: KeyPath) -> list[Finding]:
    """What is wrong with the entry that stands at `place` of a tree, and was looked at by itself."""
    details = error.errors(include_url=False, include_input=False)
    return [_finding(root, {**detail, "loc": (*place, *detail["loc"])}) for detail in details]


def children_of(root: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    """The entries of the mapping, or the items of the list, at a path; none if it is neither."""
    value = value_at(root, path)
    if isinstance(value, dict):
        for key, child in value.items():
            yield (*path, key), child
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield (*path, index), child


def value_at(root: Any, path: KeyPath) -> Any:
    """The value at a path; None if there is none."""
    for part in path:
        if isinstance(root, dict):
            root = root.get(part)
        elif isinstance(root, list) and isinstance(part, int) and part < len(root):
            root = root[part]
        else:
            return None
    return root


def _nothings(value: Any, path: KeyPath) -> Iterator[Finding]:
    """Keys without a value. Taking one for "not given" could lift a limit that somebody meant to set."""
    if value is None:
        yield Finding(path, "expected a value, found nothing (give one, or remove the key)")
    elif isinstance(value, dict):
        for key, child in value.items():
            yield from _nothings(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _nothings(child, (*path, index))


def _key_rules(root: dict[str, Any]) -> Iterator[Finding]:
    listen = root.get("listen")
    if isinstance(listen, dict) and not {"http", "https"} & listen.keys():
        yield Finding(("listen",), 'expected "http", "https" or both')
    if value_at(root, ("listen", "https", "http3")) is True and str(
        value_at(root, ("listen", "https", "address"))
    ).endswith(":0"):
        yield Finding(("listen", "https", "http3"), "needs a fixed port in address: TCP and UDP share it")
    if not {"providers", "engines"} & root.keys():
        yield Finding((), 'missing required key "providers"')
    for path, provider in children_of(tree_with_engines(root), ("providers",)):
        if not isinstance(provider, dict):
            continue
        given = {"endpoints", "base_url"} & provider.keys()
        if provider.get("api") == "bedrock":
            yield from _bedrock_rules(path, provider)
        elif len(given) != 1 and (
            given or "base_url" not in defaults_of(provider.get("preset"), provider.get("api"))
        ):
            found = "both" if given else "neither"
            yield Finding(path, f'expected either "endpoints" or "base_url", found {found}')
        elif "health_check" in provider and "base_url" in given:
            yield Finding((*path, "health_check"), "health checks are for endpoints; a base_url has none")
        yield from _client_certificate_rules(path, provider)
        yield from _api_rules(path, provider)


def _api_rules(path: KeyPath, provider: dict[str, Any]) -> Iterator[Finding]:
    """Keys that belong to one API, and what Azure's wants of the others."""
    api = provider.get("api")
    for name, owner in _OWNERS.items():
        if name in provider and api in get_args(Api) and api != owner:
            yield Finding((*path, name), f"is for api: {owner}; this provider's is {api}")
    yield from _root_rules(path, provider)
    if "responses" in provider and api in get_args(Api) and api not in ("openai", "azure"):
        yield Finding((*path, "responses"), f"is for api: openai and azure; this provider's is {api}")
    if api != "azure":
        return
    if "api_key" in provider and "token" in provider:
        yield Finding((*path, "token"), 'stands in the place of "api_key": give one of them')
    if "endpoints" in provider:
        yield Finding((*path, "endpoints"), "are roots of engines; a resource of Azure's has a base_url")
    url = provider.get("base_url")
    if isinstance(url, str) and "/openai" in url:
        yield Finding((*path, "base_url"), "expected the root of the resource: the gateway adds /openai itself")


def _root_rules(path: KeyPath, provider: dict[str, Any]) -> Iterator[Finding]:
    """A version in a path that the gateway adds it to: every request would be a 404 there."""
    version = _VERSIONS.get(str(provider.get("api")))
    roots: list[tuple[KeyPath, Any]] = []
    if provider.get("api") != "openai":  # whose base_url takes the place of the client's /v1
        roots.append(((*path, "base_url"), provider.get("base_url")))
    endpoints = provider.get("endpoints")
    if isinstance(endpoints, list):
        roots += [((*path, "endpoints", index), url) for index, url in enumerate(endpoints)]
    for at, url in roots:
        if version and isinstance(url, str) and url.rstrip("/").endswith(version):
            yield Finding(at, f"expected the root of the API: the gateway adds {version} itself")


def _bedrock_rules(path: KeyPath, provider: dict[str, Any]) -> Iterator[Finding]:
    for name in ("endpoints", "health_check"):
        if name in provider:
            yield Finding(
                (*path, name), "is for engines of one's own; Bedrock has a base_url, which its region tells"
            )
    if "region" not in provider and not ("base_url" in provider and {"api_key", "api_keys"} & provider.keys()):
        yield Finding(path, 'missing required key "region": requests are signed for one, and it tells the base_url')
    if "api_key" in provider and "aws" in provider:
        yield Finding((*path, "aws"), 'stands in the place of "api_key": give one of them')


def _client_certificate_rules(path: KeyPath, provider: dict[str, Any]) -> Iterator[Finding]:
    given = [name for name in ("client_cert", "client_key") if name in provider]
    if len(given) == 1:
        (missing,) = {"client_cert", "client_key"} - set(given)
        yield Finding((*path, given[0]), f'needs "{missing}" too')
    urls = [provider.get("base_url"), *(url for _, url in children_of(provider, ("endpoints",)))]
    plain = any(isinstance(url, str) and url.startswith("http://") for url in urls)
    for name in ("ca", *given):
        if name in provider and plain:
            yield Finding((*path, name), "is for https: this provider's URL is http")


def _finding(root: dict[str, Any], detail: Any) -> Finding:
    typed, error = detail["loc"], detail["type"]
    path = _written(root, typed)
    if error == "missing":
        return Finding(path[:-1], f"missing required key {quoted(str(path[-1]))}", at=path[:-1])
    if error == "extra_forbidden":
        return Finding(path[:-1], _unknown_key(typed), at=path)
    if error == "value_error":
        # pydantic names a mapping's bad key so; no key of ours has that name
        path = path[:-1] if path[-1] == "[key]" else path
        return Finding(path, str(detail["ctx"]["error"]))
    expected = _EXPECTED.get(error, "another value")
    return Finding(path, f"expected {expected}, found {kind(value_at(root, path))}")


def _written(root: Any, path: KeyPath) -> KeyPath:
    """Where the file has it: a list of one entry may be written as the entry."""
    found: list[str | int] = []
    for part in path:
        if isinstance(part, int) and not isinstance(value_at(root, tuple(found)), list):
            continue
        found.append(part)
    return tuple(found)


def _unknown_key(path: KeyPath) -> str:
    key = str(path[-1])
    known = known_keys(path[:-1])
    name, colon, _ = key.partition(":")
    if colon and name in known:
        return f'unknown key "{name}:…" (a space is missing after the colon)'
    return f"unknown key {quoted(key)}{nearest(key, known, label='allowed')}"


def known_keys(path: KeyPath) -> list[str]:
    """The keys that gateway.yaml allows in the mapping at a path."""
    annotation: Any = Gateway
    for part in path:
        # Of a mapping or list of entries, the last argument is the entry.
        annotation = _required(
            fields_of(annotation)[str(part)] if _is_entry(annotation) else get_args(annotation)[-1]
        )
    return list(fields_of(annotation))


def fields_of(entry: type[BaseModel]) -> dict[str, Any]:
    """The keys of an entry, as written in the file, and the types of their values."""
    return {field.alias or name: field.annotation for name, field in entry.model_fields.items()}


def _is_entry(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Entry)


def _required(annotation: Any) -> Any:
    """`X` of `X | None` and of an annotated `X`, in either order."""
    if get_origin(annotation) is Annotated:
        return _required(annotation.__origin__)
    arguments = get_args(annotation)
    return _required(arguments[0]) if type(None) in arguments else annotation

"""`/models` and `/providers`: what gateway.yaml declares, and where credentials are kept. Never a credential."""

import re
from typing import Annotated, Any, Literal

from pydantic import PlainValidator, WithJsonSchema
from starlette.responses import Response

from control.call import Call, Called, nothing, shown
from control.credential_seal import MAX_CREDENTIAL
from control.fields import Body, Shown, Time
from control.lists import MOST_ON_A_PAGE, After, Limit, of_names
from control.masking import text_of
from control.problems import Problem, conflict, not_found
from control.routing import Routes
from control.store.credentials import find_credential, list_credentials
from control.store.paging import Wish
from control.store.unit import Reader
from control.store.values import Credential as Row
from control.tools import Vault
from headgate.declared import DeclaredModel, DeclaredProvider

routes = Routes("platform")
_FIELD = "/providers/{provider}/credentials/{field:path}"
_PRINTABLE = "^[ -~]+$"


def _secret(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(_PRINTABLE[1:-1], value) or len(value) > MAX_CREDENTIAL:
        raise ValueError(f"expected 1 to {MAX_CREDENTIAL} printable ASCII characters")
    return value


_SCHEMA = {"type": "string", "minLength": 1, "maxLength": MAX_CREDENTIAL, "pattern": _PRINTABLE, "writeOnly": True}
Secret = Annotated[str, PlainValidator(_secret), WithJsonSchema(_SCHEMA)]


class Target(Shown):
    """One place where a model is served; `model` is its name there."""

    provider: str
    model: str
    zone: str


class Model(Shown):
    """A model as clients name it."""

    id: str
    targets: list[Target]
    strategy: str
    managed_by: Literal["file"] = "file"


class Models(Shown):
    """Some models, and the cursor of the next ones."""

    data: list[Model]
    next: str | None


class Credential(Shown):
    """Where a credential is kept: `source` is `env`, `file`, `vault` or `stored`, in the database, encrypted."""

    field: str
    source: str
    created_at: Time | None
    created_by: str | None
    updated_at: Time | None


class Provider(Shown):
    """An upstream."""

    id: str
    api: str
    preset: str | None
    zone: str
    endpoints: list[str]
    credentials: list[Credential]
    managed_by: Literal["file"] = "file"


class Providers(Shown):
    """Some providers, and the cursor of the next ones."""

    data: list[Provider]
    next: str | None


class Rotation(Body):
    """Nothing can be said of it."""


class Rotated(Shown):
    """How many credentials are encrypted under the new key."""

    credentials: int


class NewCredential(Body):
    """A credential. It is never shown again."""

    secret: Secret


@routes.serve("GET", "/models", "platform.models.read", Models, fails=(400,))
def read_models(call: Called, limit: Limit = MOST_ON_A_PAGE, after: After = None) -> Response:
    """By name."""
    models = {name: _model(name, declared) for name, declared in call.declared.models.items()}
    page = of_names("models", models, Wish(limit, after))
    return shown(Models(data=list(page.items), next=page.next)).response()


@routes.serve("GET", "/providers", "platform.providers.read", Providers, fails=(400,))
def read_providers(call: Called, limit: Limit = MOST_ON_A_PAGE, after: After = None) -> Response:
    """By name."""
    page = of_names(
        "providers", {name: (name, one) for name, one in call.declared.providers.items()}, Wish(limit, after)
    )
    with call.read() as reader:
        data = [_provider(reader, name, declared) for name, declared in page.items]
    return shown(Providers(data=data, next=page.next)).response()


@routes.serve("GET", "/providers/{provider}", "platform.providers.read", Provider)
def read_provider(call: Called, provider: str) -> Response:
    """One provider, and where its credentials are."""
    declared = call.declared.providers.get(provider)
    if declared is None:
        raise not_found("provider")
    with call.read() as reader:
        return shown(_provider(reader, provider, declared)).response()


@routes.serve("PUT", _FIELD, "platform.credentials.write", Credential)
def store_credential(call: Called, provider: str, field: str, body: NewCredential) -> Response:
    """For a field that gateway.yaml says is `stored`. In use within two seconds."""
    vault = _vault(call, provider, field)
    with call.change() as unit:
        there = find_credential(unit, provider, field)
        call.check_match(there.version if there else 0)
        made = vault.put(unit, provider, field, body.secret, call.creator)
    return shown(_stored(made), made.version).response()


@routes.serve("DELETE", _FIELD, "platform.credentials.write", None, status=204)
def remove_credential(call: Called, provider: str, field: str) -> Response:
    """Requests that need it fail from then on."""
    with call.change() as unit:
        there = find_credential(unit, provider, field)
        if there is None:
            raise not_found("credential")
        call.check_match(there.version)
        _needed(call).delete(unit, provider, field)
    return nothing().response()


@routes.serve("POST", "/data-keys/rotate", "platform.credentials.write", Rotated, fails=(409,))
def rotate_data_key(call: Called, body: Rotation) -> Response:  # noqa: ARG001 - it is empty
    """Encrypt all stored credentials anew under a new data key, and delete the old one."""
    return shown(Rotated(credentials=_needed(call).rotate_data_key(call.actor))).response()


def _vault(call: Call, provider: str, field: str) -> Vault:
    declared = call.declared.providers.get(provider)
    if declared is None:
        raise not_found("provider")
    source = declared.credentials.get(field)
    if source is None:
        raise not_found("credential of this provider")
    if source != "stored":
        text = f"gateway.yaml takes it from {source}: write `stored` there, at providers.{provider}.{field}"
        raise Problem(409, "managed_by_file", text)
    return _needed(call)


def _needed(call: Call) -> Vault:
    if call.tools.vault is None:
        raise conflict("nothing_is_stored", "this gateway stores no credentials")
    return call.tools.vault


def _model(name: str, declared: DeclaredModel) -> Model:
    targets = [Target(provider=one.provider, model=one.model, zone=one.zone) for one in declared.targets]
    return Model(id=name, targets=targets, strategy=declared.strategy)


def _provider(reader: Reader, name: str, declared: DeclaredProvider) -> Provider:
    stored = {row.field: _stored(row) for row in list_credentials(reader, name)}
    for field, source in declared.credentials.items():
        if source != "stored" or field not in stored:
            said = Credential(field=field, source=source, created_at=None, created_by=None, updated_at=None)
            stored[field] = said
    return Provider(
        id=name,
        api=declared.api,
        preset=declared.preset,
        zone=declared.zone,
        endpoints=declared.endpoints,
        credentials=[stored[field] for field in sorted(stored)],
    )


def _stored(row: Row) -> Credential:
    return Credential(
        field=row.field,
        source="stored",
        created_at=text_of(row.created_at),
        created_by=row.created_by,
        updated_at=text_of(row.updated_at),
    )

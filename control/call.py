"""One request that may be done: what its route needs, and the ways in which routes read, change and answer.

Everything that a route does for a request goes through its Call, so that what is changed is recorded with who did it
and is done once for an Idempotency-Key.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Annotated

import msgspec
from fastapi import Depends
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from control.adapters.objects import Objects
from control.audit_chain import Actor
from control.deletion import Deletions
from control.problems import Finding, Problem, conflict, invalid, of_store
from control.roles import Asker
from control.sealing import Seal, Unreadable
from control.store.answers import KEPT, find_answer, keep_answer, key_digest
from control.store.failures import StoreError
from control.store.store import Store
from control.store.unit import Reader, Unit
from control.store.values import Answer
from control.tools import Tools
from control.traffic import Traffic
from headgate.declared import Declared

_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")  # control/routing.py has it in the OpenAPI
_LONGEST_ID = 128  # of an actor, in the audit log


@dataclass(frozen=True, slots=True)
class Service:
    """What all requests share."""

    store: Store
    declared: Callable[[], Declared]
    tools: Tools
    seal: Seal
    deletions: Deletions
    traffic: Traffic
    objects: Objects


class Done(msgspec.Struct, frozen=True):
    """An answer that may be kept: the body is JSON."""

    status: int
    body: bytes
    headers: dict[str, str] = {}

    def response(self, **more: str) -> Response:
        """As it goes out."""
        kind = {"media_type": "application/json"} if self.body else {}
        return Response(self.body, self.status, {**self.headers, **more}, **kind)  # type: ignore[arg-type]


def shown(said: BaseModel, version: int | None = None, *, status: int = 200, location: str | None = None) -> Done:
    """An object; `version` None is one of gateway.yaml's, which has no ETag."""
    headers = {} if version is None else {"etag": etag(version)}
    if location:
        headers["location"] = location
    return Done(status, said.model_dump_json().encode(), headers)


def nothing() -> Done:
    """It is gone."""
    return Done(204, b"")


def etag(version: int) -> str:
    """Of an object whose row has that version."""
    return f'"v{version}"'


@dataclass(frozen=True, slots=True)
class Call:
    """`declared` is one generation for all of the request."""

    asker: Asker
    service: Service
    request: Request
    declared: Declared
    actor: Actor = field(init=False)

    def __post_init__(self) -> None:
        identity = self.asker.identity
        own = identity.tenant if self.asker.is_admin or self.asker.tenant is None else self.asker.tenant
        actor_id = identity.id
        if len(actor_id) > _LONGEST_ID:
            actor_id = f"sha256:{sha256(actor_id.encode()).hexdigest()}"
        actor = Actor(identity.kind, actor_id, own, identity.source_address[:64] or None, identity.request_id[:64])
        object.__setattr__(self, "actor", actor)

    @property
    def creator(self) -> str:
        """Whom an object that is made now says it is from."""
        principal = self.asker.principal
        if len(principal) <= _LONGEST_ID:
            return principal
        return f"{self.asker.identity.kind}:sha256:{sha256(principal.encode()).hexdigest()}"

    @property
    def store(self) -> Store:
        """The database."""
        return self.service.store

    @property
    def tools(self) -> Tools:
        """What there is beside it."""
        return self.service.tools

    def read(self) -> AbstractContextManager[Reader]:
        """One state of the database."""
        return self.store.read()

    @contextmanager
    def change(self) -> Iterator[Unit]:
        """A unit of work in the caller's name."""
        with self.store.write(self.actor) as unit:
            yield unit

    def check_match(self, version: int) -> None:
        """Raises Problem (412) if the request is for another version of the object than there is."""
        wanted = self.request.headers.get("if-match")
        if wanted is None or wanted.strip() == "*":
            return
        if etag(version) not in [one.strip() for one in wanted.split(",")]:
            raise Problem(412, "stale", "it has changed since it was read: get it again")

    def once(self, make: Callable[[Unit], Done], *, tenant: str | None) -> Response:
        """Do what a POST asks for; with an Idempotency-Key once in 24 hours. `tenant` is whose the answer is.

        A second request with that key waits until the first is done, and gets its answer.
        """
        key = self._idempotency_key()
        with self.change() as unit:
            if key is None:
                return make(unit).response()
            digest = key_digest(self._whole_principal(), f"{self.request.method} {self.request.url.path}", key)
            body_digest = sha256(getattr(self.request, "_body", b"")).digest()
            kept = find_answer(unit, digest, body_digest)
            if kept is not None:
                return self._again(kept, digest)
            done = make(unit)
            sealed = self.service.seal.close(msgspec.msgpack.encode(done), digest)
            keep_answer(
                unit,
                Answer(
                    key_digest=digest,
                    tenant_id=tenant,
                    body_digest=body_digest,
                    status=done.status,
                    answer=sealed,
                    expires_at=unit.now + KEPT,
                ),
            )
        return done.response()

    def _again(self, kept: Answer, digest: bytes) -> Response:
        try:
            done = msgspec.msgpack.decode(self.service.seal.open(kept.answer, digest), type=Done)
        except Unreadable:
            text = "this was done, but its answer can't be read any more: the service key has changed since"
            raise conflict("answer_unreadable", text) from None
        return done.response(**{"idempotency-replayed": "true"})

    def _whole_principal(self) -> str:
        return f"{self.asker.identity.tenant or ''} {self.asker.principal}"

    def _idempotency_key(self) -> str | None:
        given = self.request.headers.getlist("idempotency-key")
        if not given:
            return None
        if len(given) != 1 or not _IDEMPOTENCY_KEY.fullmatch(given[0]):
            expected = "1 to 255 printable ASCII characters without spaces"
            raise invalid(Finding(at="header.Idempotency-Key", expected=expected))
        return given[0]


def called(request: Request) -> Call:
    """What the guard has made of the request."""
    call: Call = request.state.call
    return call


async def _called(request: Request) -> Call:  # not in a thread of its own
    return called(request)


Called = Annotated[Call, Depends(_called)]


def problem_of(error: StoreError) -> Problem:
    """Raises what is a bug of ours again."""
    problem = of_store(error)
    if problem is None:
        raise error
    return problem


def changed(before: Mapping[str, object], after: Mapping[str, object]) -> bool:
    """Whether there is anything to write."""
    return dict(before) != dict(after)

"""The published OpenAPI held against the API: all that it allows and forbids, asked by schemathesis.

Each answer has to be one that the document has for that request, of the shape that it says; none is a 5xx.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from admin import SERVICE_KEY, api
from schemathesis.engine import events, from_schema
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

from control.authentication import OPENAPI
from control.store.engine import open_engine, sqlite_url
from control.store.store import Store
from headgate.contract import IDENTITY_HEADER
from headgate.identity import Identity, sign

# For each operation, beside those of the boundaries: the same ones each time, unless there are to be more.
ASKED = os.environ.get("HEADGATE_ADMIN_EXAMPLES")
EXAMPLES = int(ASKED or 3)
# What no schema can say: whether a cursor is one, which numbers of a limit fit together, what time it is, what was
# read or sent before, how large an object is as a whole, what a kind of entry wants, which models there are.
_CODES = ("bad_cursor", "stale", "idempotency_key_reused")
_MEMBERS = ("limits", "pricing", "expires_at", "metadata", "amount", "expires_on", "note")
USED = {"tenant": "filed", "limits": [], "complete": True, "cut": False, "by_user": False}


class AsAuthz:
    """In the place of Envoy and authz: whoever has the key is a platform admin."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = MutableHeaders(scope=scope)
            del headers[IDENTITY_HEADER]
            if headers.get("authorization") == "Bearer right" or headers.get("api-key") == "right":
                query = scope["query_string"]
                path = (scope["raw_path"] + (b"?" + query if query else b"")).decode("latin-1")
                now_ms = round(time.time() * 1000)
                who = ("key", "key_admin", None, "admin", {}, "req-1", "192.0.2.9")
                headers[IDENTITY_HEADER] = sign(Identity(*who, scope["method"], path, now_ms), SERVICE_KEY)
        await self._app(scope, receive, send)


@pytest.fixture
def app(template: Path, tmp_path: Path) -> Iterator[ASGIApp]:
    path = tmp_path / "control.db"
    shutil.copyfile(template, path)
    engine = open_engine(sqlite_url(path))
    yield AsAuthz(api(Store(engine), ask_ledger=lambda _: USED))
    engine.dispose()


@pytest.mark.timeout(540)
@pytest.mark.filterwarnings("ignore")  # schemathesis' own
def test_the_api_is_what_its_openapi_says(app: ASGIApp) -> None:
    schema = schemathesis.openapi.from_asgi(OPENAPI, app)
    schema.config.update(headers={"Authorization": "Bearer right"}, continue_on_failure=True)
    schema.config.generation.update(max_examples=EXAMPLES, deterministic=ASKED is None)
    answered: dict[int, int] = {}
    failed: list[str] = []
    for event in from_schema(schema).execute():
        assert not isinstance(event, events.NonFatalError | events.FatalError), event
        if isinstance(event, events.ScenarioFinished):
            for interaction in event.recorder.interactions.values():
                status = interaction.response.status_code if interaction.response else 0
                answered[status] = answered.get(status, 0) + 1
            failed += failures_of(event.recorder)
    assert not failed, "\n\n".join(failed[:10])
    assert {200, 201, 204, 400, 401, 404, 405, 409, 412, 415, 422} <= answered.keys(), answered
    assert sum(answered.values()) > 5000


def failures_of(recorder: Any) -> Iterator[str]:
    for case_id, checks in recorder.checks.items():
        interaction = recorder.interactions.get(case_id)
        for check in checks:
            if check.failure_info is None:
                continue
            if check.name == "positive_data_acceptance" and is_beyond_a_schema(interaction.response):
                continue
            asked = f"{recorder.label} {interaction.request.uri} {interaction.request.body!r:.500}"
            said = f"{interaction.response.status_code} {interaction.response.content!r:.500}"
            yield f"{check.name}: {check.failure_info.failure.message}\n{asked}\n{said}"


def is_beyond_a_schema(response: Any) -> bool:
    problem = json.loads(response.content)
    places = [error["at"] for error in problem.get("errors", ())]
    return problem["code"] in _CODES or (bool(places) and all(place.startswith(_MEMBERS) for place in places))

"""Who may call: every way to send a key, everything that can be wrong with one, and what Envoy is told."""

import datetime as dt
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from authz.service import services
from headgate.compile import compile_snapshot
from headgate.config.check import check
from headgate.grpc_server import Method
from headgate.tables import Holder
from headgate.wire.ext_authz_pb2 import CheckRequest, CheckResponse

GOOD, OTHER, DISABLED, EXPIRED, FUTURE, OF_DISABLED, ODD, UNKNOWN = (
    f"hg-{letter * 43}" for letter in ("A", "b", "-", "_", "9", "Z", "q", "u")
)
BAD = ["", " ", "x", "hg-", GOOD[:-1], f"{GOOD}A", GOOD.lower(), f"{GOOD[:-1]}é", f"{GOOD[:-1]}\n", f"sk-{GOOD[3:]}"]
NO_KEY = f"xx-{GOOD[3:]}"  # though gateway.yaml has its digest
TENANT = "openai-tenant"


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Method:
    today = dt.datetime.now(dt.UTC).date()
    past, future = today - dt.timedelta(days=1), today + dt.timedelta(days=30)
    file = tmp_path_factory.mktemp("authz") / "gateway.yaml"
    file.write_text(f"""\
providers: {{p: {{api: openai, base_url: "http://p.test"}}}}
models: {{m: {{targets: [{{provider: p, model: m}}]}}}}
tenants:
  acme:
    models: [m]
    keys:
      - {{name: good, sha256: {digest(GOOD)}}}
      - {{name: off, sha256: {digest(DISABLED)}, disabled: true}}
      - {{name: past, sha256: {digest(EXPIRED)}, expires: {past}}}
      - {{name: future, sha256: {digest(FUTURE)}, expires: {future}}}
  other: {{models: [m], keys: [{{name: good, sha256: {digest(OTHER)}}}, {{name: odd, sha256: {digest(NO_KEY)}}}]}}
  closed: {{disabled: true, models: [m], keys: [{{name: k, sha256: {digest(OF_DISABLED)}}}]}}
""")
    checked = check(Path(file), {})
    assert checked.gateway, checked.problems
    (method,) = services(Holder(compile_snapshot(checked.gateway, generation=7)))
    return method


def ask(service: Method, headers: dict[str, str], path: str = "/v1/models") -> CheckResponse:
    request = CheckRequest()
    request.attributes.request.http.path = path
    request.attributes.request.http.headers.update(headers)
    question = service.decode(request.SerializeToString())
    return CheckResponse.FromString(service.handler(question, None))


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def refused(answer: CheckResponse, status: int) -> dict[str, Any]:
    assert answer.status.code != 0
    assert answer.denied_response.status.code == status
    headers = {option.header.key: option.header.value for option in answer.denied_response.headers}
    challenge = {"www-authenticate": "Bearer"} if status == 401 else {}
    assert headers == {"content-type": "application/json", "x-headgate-error-source": "gateway", **challenge}
    assert MessageToDict(answer.dynamic_metadata) == {"answered": True}
    error: dict[str, Any] = json.loads(answer.denied_response.body)["error"]
    assert error["type"] == "invalid_request_error"
    return error


@pytest.mark.parametrize(
    "headers",
    [
        bearer(GOOD),
        {"authorization": f"bearer {GOOD}"},
        {"authorization": f"BEARER   {GOOD} "},
        {"api-key": GOOD},
        {"x-api-key": f" {GOOD} "},
        {**bearer(GOOD), "api-key": GOOD, "x-api-key": GOOD},
    ],
)
def test_a_key_is_known_however_it_is_sent(service: Method, headers: dict[str, str]) -> None:
    answer = ask(service, headers)
    assert answer.status.code == 0
    assert answer.WhichOneof("http_response") == "ok_response"
    assert MessageToDict(answer.dynamic_metadata) == {"tenant": "acme", "key_id": "good", "generation": 7}
    assert sorted(answer.ok_response.headers_to_remove) == ["api-key", "authorization", "openai-tenant", "x-api-key"]
    assert not answer.ok_response.headers


def test_keys_of_the_same_name_are_each_their_tenants_own(service: Method) -> None:
    tenants = [ask(service, bearer(key)).dynamic_metadata["tenant"] for key in (GOOD, OTHER, GOOD, OTHER)]
    assert tenants == ["acme", "other", "acme", "other"]


def test_a_key_that_expires_later_is_good(service: Method) -> None:
    assert ask(service, bearer(FUTURE)).dynamic_metadata["key_id"] == "future"


def test_no_key_at_all(service: Method) -> None:
    error = refused(ask(service, {"x-request-id": "r"}), 401)
    assert (error["code"], error["param"]) == (None, None)
    assert "Authorization: Bearer" in error["message"]


REFUSED = [
    *(bearer(key) for key in (UNKNOWN, DISABLED, EXPIRED, OF_DISABLED, NO_KEY, *BAD)),
    *({"api-key": key} for key in (UNKNOWN, DISABLED, *BAD)),
    *({"x-api-key": key} for key in (EXPIRED, OF_DISABLED, *BAD)),
    {"authorization": ""},
    {"authorization": GOOD},
    {"authorization": f"Basic {GOOD}"},
    {"authorization": f"Bearer{GOOD}"},
    {"authorization": f"Bearer {GOOD},Bearer {GOOD}"},
    {"authorization": f"Bearer {GOOD} {GOOD}"},
    {**bearer(GOOD), "api-key": OTHER},
    {**bearer(GOOD), "x-api-key": ""},
    {"authorization": "Basic x", "api-key": GOOD},
    {"api-key": GOOD, "x-api-key": UNKNOWN},
]


def test_whatever_is_wrong_with_a_key_the_answer_is_the_same(service: Method) -> None:
    answers = [ask(service, headers) for headers in REFUSED]
    assert len({answer.SerializeToString(deterministic=True) for answer in answers}) == 1
    error = refused(answers[0], 401)
    assert error == {
        "message": "Incorrect API key provided.",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_api_key",
    }


def test_a_bad_key_and_another_tenant_say_only_that_the_key_is_bad(service: Method) -> None:
    plain = ask(service, bearer(UNKNOWN))
    named = ask(service, {**bearer(UNKNOWN), TENANT: "acme"}, "/tenants/other/v1/models")
    assert named.SerializeToString(deterministic=True) == plain.SerializeToString(deterministic=True)


@pytest.mark.parametrize(
    ("tenant", "path"),
    [
        ("acme", "/v1/models"),
        (None, "/tenants/acme/v1/models"),
        (None, "/tenants/acme"),
        (None, "/tenants/acme?x=/tenants/other/"),
        (None, "/tenants/%61cm%65/v1/models"),
        ("acme", "/tenants/acme/v1/models"),
        (None, "/v1/tenants/other/x"),
        (None, "/v1/models?tenant=/tenants/other/"),
    ],
)
def test_the_tenant_that_is_named_is_the_keys_own(service: Method, tenant: str | None, path: str) -> None:
    headers = bearer(GOOD) | ({TENANT: tenant} if tenant else {})
    assert ask(service, headers, path).status.code == 0


@pytest.mark.parametrize(
    ("tenant", "path"),
    [
        ("other", "/v1/models"),
        ("", "/v1/models"),
        ("ACME", "/v1/models"),
        ("acme,other", "/v1/models"),
        ("%61cme", "/v1/models"),
        (None, "/tenants/other/v1/models"),
        (None, "/tenants//v1/models"),
        (None, "/tenants/"),
        (None, "/tenants/other"),
        (None, "/tenants/other?x"),
        (None, "/tenants/oth%65r/v1/models"),
        (None, "/tenants/acme%2F/v1/models"),
        (None, "/tenants/acme%00/v1/models"),
        (None, "/tenants/%2561cme/v1/models"),
        (None, "/tenants/acme;x/v1/models"),
        (None, "/tenants/%ff/v1/models"),
        ("acme", "/tenants/other/v1/models"),
        ("other", "/tenants/acme/v1/models"),
    ],
)
def test_another_tenant_is_named(service: Method, tenant: str | None, path: str) -> None:
    headers = bearer(GOOD) | ({TENANT: tenant} if tenant is not None else {})
    error = refused(ask(service, headers, path), 403)
    assert error["code"] == "tenant_mismatch"
    assert "other" not in error["message"]


@pytest.mark.parametrize(
    ("headers", "path", "status", "kind", "code"),
    [
        ({}, "/v1/messages", 401, "authentication_error", None),
        ({"x-api-key": UNKNOWN}, "/v1/messages/count_tokens", 401, "authentication_error", "invalid_api_key"),
        ({**bearer(GOOD), "x-api-key": OTHER}, "/v1/messages", 401, "authentication_error", "invalid_api_key"),
        ({"x-api-key": GOOD}, "/tenants/other/v1/messages", 403, "permission_error", "tenant_mismatch"),
        ({"anthropic-version": "2023-06-01"}, "/v1/models?limit=9", 401, "authentication_error", None),
    ],
)
def test_anthropics_clients_are_refused_as_by_anthropic(
    service: Method, headers: dict[str, str], path: str, status: int, kind: str, code: str | None
) -> None:
    denied = ask(service, {**headers, "x-request-id": "r-1"}, path).denied_response
    answer = json.loads(denied.body)
    assert (denied.status.code, answer["type"], answer["request_id"]) == (status, "error", "r-1")
    assert (answer["error"]["type"], answer["error"].get("details", {}).get("error_code")) == (kind, code)
    plain = json.loads(
        ask(service, headers, path.replace("messages", "chat").replace("models", "x")).denied_response.body
    )
    assert answer["error"]["message"] == plain["error"]["message"]


@pytest.mark.parametrize("key", [GOOD, OTHER, DISABLED, EXPIRED, FUTURE, OF_DISABLED, UNKNOWN])
def test_no_answer_repeats_a_key_or_its_digest(service: Method, key: str) -> None:
    for path in ("/v1/models", "/tenants/other/v1/models"):
        answer = ask(service, bearer(key), path).SerializeToString()
        assert key.encode() not in answer
        assert bytes.fromhex(digest(key)) not in answer
        assert digest(key).encode() not in answer

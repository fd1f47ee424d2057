"""What an answer says of a key out of several, and when another key is asked."""

import functools
import json
from typing import Any

import pytest
from attempt_script import Request, Script
from rendering import clusters_of, rendered

from headgate.contract import RETRY

KEYS = {"KEY_A": "sk-of-a", "KEY_B": "sk-of-b"}
TEXT = """\
providers:
  p: {{api: {api}, {place}, api_keys: [{{key: env:KEY_A}}, {{key: env:KEY_B}}]}}
  alone: {{api: {api}, {place}, api_key: env:KEY_A}}
models: {{m: {{targets: [{{provider: p, model: m}}, {{provider: alone, model: m}}]}}}}
"""
ROOT = "base_url: 'http://p.test'"
PLACES = {"bedrock": "region: eu-central-1", "azure": ROOT, "anthropic": ROOT}
OF_CHAT = {"endpoint": "/chat/completions", "upstream_model": "m", "length": "77"}
ECHO = 'They wrote {"code": "invalid_api_key", "message": "invalid api key"}.'


@functools.cache
def script(api: str = "openai", of: str = "p/KEY_A") -> Script:
    text = TEXT.format(api=api, place=PLACES.get(api, "base_url: 'http://p.test/v1'"))
    return Script(clusters_of(rendered(text, KEYS))[f"provider/{of}"])


def error(**members: Any) -> str:
    return json.dumps({"error": {"message": "No.", **members}}, indent=1)


def answered(which: Script, status: int, body: str, **headers: str) -> tuple[dict[str, str], str]:
    return Request({}, OF_CHAT).answered(which, status, body, **headers)


def reason(status: int, body: str, api: str = "openai", **headers: str) -> str | None:
    return answered(script(api), status, body, **headers)[0].get(RETRY)


GEMINI = {"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.", "details": [
    {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]}}  # fmt: skip
LEAKED = "Your API key was reported as leaked. Please use another API key."
SCOPES = "You have insufficient permissions for this operation. Missing scopes: api.responses.write."


@pytest.mark.parametrize(
    ("api", "status", "body", "found"),
    [
        ("openai", 401, error(code="invalid_api_key"), "key"),
        ("openai", 401, "", "key"),
        ("openai", 401, "<html>Unauthorized", "key"),
        ("openai", 401, error(message=SCOPES), "permission"),
        ("openai", 402, error(message="Insufficient Balance"), "key"),
        ("openai", 403, error(code="account_deactivated"), "key"),
        ("openai", 403, error(code="unsupported_country_region_territory"), None),
        ("openai", 403, error(code=403, metadata={"flagged_input": ECHO}), None),
        ("openai", 403, "", None),
        ("openai", 400, error(code="organization_restricted"), "key"),
        ("openai", 400, error(message=ECHO), None),
        ("openai", 400, error(type="permission_error"), None),
        ("openai", 404, error(code="invalid_api_key"), None),
        ("openai", 429, error(code="invalid_api_key"), None),
        ("openai", 500, error(type="authentication_error"), None),
        ("azure", 401, error(code="401"), "key"),
        ("anthropic", 401, error(type="authentication_error"), "key"),
        ("anthropic", 403, error(type="permission_error"), "permission"),
        ("gemini", 400, json.dumps(GEMINI), "key"),
        ("gemini", 403, error(message=LEAKED, status="PERMISSION_DENIED"), "key"),
        ("gemini", 403, error(status="PERMISSION_DENIED", details=[{"reason": "CONSUMER_SUSPENDED"}]), "key"),
        ("gemini", 403, error(status="PERMISSION_DENIED"), "permission"),
        ("cohere", 401, '{"message": "invalid api token"}', "key"),
    ],
)
def test_what_is_said_of_a_key(api: str, status: int, body: str, found: str | None) -> None:
    assert reason(status, body, api) == found


@pytest.mark.parametrize(
    ("name", "body", "found"),
    [
        ("UnrecognizedClientException:http://internal", "{}", "key"),
        ("ExpiredTokenException", "{}", "key"),
        ("AccessDeniedException", '{"Message": "You don\'t have access to the model."}', "permission"),
        (
            "AccessDeniedException",
            '{"Message":"Authentication failed: Please make sure your API Key is valid."}',
            "key",
        ),
        ("ValidationException", "{}", None),
    ],
)
def test_amazon_names_its_errors_in_a_header(name: str, body: str, found: str | None) -> None:
    assert reason(403, body, "bedrock", x_amzn_errortype=name) == found


@pytest.mark.parametrize("status", [401, 403])
def test_clients_read_nothing_of_what_is_said_of_a_key(status: int) -> None:
    for which in (script(), script(of="alone")):
        headers, body = answered(which, status, error(message="Incorrect API key: sk-of-a"))
        assert headers[":status"] == str(status)
        assert json.loads(body)["error"]["code"] == "provider_refused_credential"
        assert "sk-of-a" not in body


def test_the_only_key_makes_no_further_attempt() -> None:
    for status in (400, 401, 402, 403):
        headers, _ = answered(script(of="alone"), status, error(code="invalid_api_key"))
        assert RETRY not in headers


def test_a_long_prompt_is_none_of_the_keys_business() -> None:
    assert reason(400, error(code="context_length_exceeded")) == "context_window"


def test_the_attempts_key_is_on_record_and_not_that_of_the_attempt_before() -> None:
    request = Request({}, OF_CHAT)
    found = []
    for which in ("p/KEY_A", "p/KEY_B", "alone"):
        request.attempt(script(of=which))
        found.append(request.metadata["hg.request"]["key"])
    assert found == ["KEY_A", "KEY_B", ""]
    without = Request({}, OF_CHAT)
    without.attempt(script(of="alone"))
    assert "key" not in without.metadata["hg.request"]

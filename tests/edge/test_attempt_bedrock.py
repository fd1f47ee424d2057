"""A Bedrock provider's cluster: what signs its requests, and what the script makes of Amazon's answers."""

from typing import Any

import pytest
from attempt_script import Request, Script, attempt_filters, cluster
from rendering import assert_valid, rendered

REGION = "region: eu-central-1"
KEYED = f"{REGION}, aws: {{access_key_id: env:OPENAI_API_KEY, secret_access_key: env:ANTHROPIC_API_KEY}}"
BEARER = "base_url: http://p.test, api_key: env:OPENAI_API_KEY"
STREAM = "application/vnd.amazon.eventstream"
CHAT: dict[str, Any] = {"endpoint": "/chat/completions", "upstream_model": "m"}
PROVIDER = "providers: {{p: {{api: bedrock, {}}}}}\nmodels: {{m: {{targets: [{{provider: p, model: m}}]}}}}\n"


def signing(rest: str) -> dict[str, Any]:
    return attempt_filters(cluster(rest, "bedrock"))["headgate.sign"]


def test_requests_are_signed_last() -> None:
    names = list(attempt_filters(cluster(KEYED, "bedrock")))
    assert names[-2:] == ["headgate.sign", "envoy.filters.http.upstream_codec"]
    assert "headgate.sign" not in attempt_filters(cluster(BEARER, "bedrock"))
    assert "headgate.sign" not in attempt_filters(cluster("base_url: http://p.test"))


def test_a_key_is_a_file_of_its_own_that_is_watched() -> None:
    found = cluster(KEYED, "bedrock")
    config = attempt_filters(found)["headgate.sign"]
    assert (config["service_name"], config["region"]) == ("bedrock", "eu-central-1")
    provider = config["credential_provider"]
    assert provider["custom_credential_provider_chain"] is True
    file = f"secrets/{found['name'].removeprefix('provider/')}.aws"
    source = {"filename": file, "watched_directory": {"path": "secrets"}}
    assert provider["credentials_file_provider"] == {"profile": "headgate", "credentials_data_source": source}
    files = rendered(PROVIDER.format(KEYED)).secrets
    assert files[file.removeprefix("secrets/")].decode().splitlines() == [
        "[headgate]",
        "aws_access_key_id = sk-openai-very-secret",
        "aws_secret_access_key = sk-ant-very-secret",
    ]


def test_without_a_key_envoy_looks_where_amazons_tools_do() -> None:
    assert "credential_provider" not in signing(REGION)


def test_another_key_is_another_cluster() -> None:
    token = KEYED.replace("}", ", session_token: env:OPENAI_API_KEY}")
    swapped = KEYED.replace("OPENAI", "X").replace("ANTHROPIC", "OPENAI").replace("X", "ANTHROPIC")
    names = {cluster(rest, "bedrock")["name"] for rest in (KEYED, token, swapped, REGION)}
    assert len(names) == 4


@pytest.mark.parametrize("rest", [KEYED, REGION, BEARER, KEYED + ", base_url: http://127.0.0.1:9"])
def test_envoy_accepts_it(rest: str, tmp_path: Any) -> None:
    assert_valid(rendered(PROVIDER.format(rest)), tmp_path)


@pytest.mark.parametrize(
    ("rest", "path", "host"),
    [
        (REGION, "", "bedrock-runtime.eu-central-1.amazonaws.com"),
        ("region: us-gov-west-1", "", "bedrock-runtime.us-gov-west-1.amazonaws.com"),
        ("region: cn-north-1", "", "bedrock-runtime.cn-north-1.amazonaws.com.cn"),
        ("region: eusc-de-east-1", "", "bedrock-runtime.eusc-de-east-1.amazonaws.eu"),
        (f"{REGION}, base_url: https://vpce.test/x", "/x", "vpce.test"),
    ],
)
def test_where_an_attempt_goes(rest: str, path: str, host: str) -> None:
    found = Script(cluster(rest, "bedrock")).config
    assert (found["path"], found["host"]) == (path, host)


def test_what_may_leave_the_gateway() -> None:
    keep = Script(cluster(KEYED, "bedrock")).keep
    assert not [name for name in keep if name.startswith(("x-amz", "authorization"))]
    assert "accept" not in keep  # which says what InvokeModel is to answer with


def test_a_signature_stays_with_its_attempt() -> None:
    """Neither the attempt before nor a client leaves one to another provider."""
    signed = {"authorization": "AWS4-HMAC-SHA256 x", "x-amz-date": "d", "x-amz-security-token": "t"}
    other = Script(cluster("base_url: http://p.test, forward_headers: [x-own]"))
    chain = {**CHAT, "models": ["m", "n"], "length": "7", "direct": ",2,"}
    request = Request({**signed, "x-own": "1"}, chain)
    first = request.attempt(Script(cluster(KEYED, "bedrock")))
    assert not signed.keys() & first.keys()
    assert not signed.keys() & request.attempt(other).keys()
    assert not [name for name in request.metadata["hg.aside"] if name.startswith("x-amz")]


def answered(status: int, name: str | None, body: str = '{"message":"m"}', kind: str = "application/json") -> Any:
    script = Script(cluster(KEYED, "bedrock"))
    more = {"x-amzn-errortype": name} if name else {}
    return Request({}, CHAT).answered(script, status, body, content_type=kind, **more)


@pytest.mark.parametrize(
    ("status", "name", "meant"),
    [
        (400, "ThrottlingException", "429"),
        (429, "ThrottlingException:http://internal.amazon.com/coral/", "429"),
        (400, "ServiceQuotaExceededException", "429"),
        (408, "ModelTimeoutException", "504"),
        (424, "ModelErrorException", "502"),
        (400, "ExpiredTokenException", "403"),
        (400, "ValidationException", "400"),
        (503, "ServiceUnavailableException", "503"),
        (500, None, "500"),
        (404, "next", "404"),
    ],
)
def test_an_errors_name_says_what_its_status_does_not(status: int, name: str | None, meant: str) -> None:
    headers, _ = answered(status, name)
    assert headers[":status"] == meant
    assert "x-amzn-errortype" not in headers


def test_what_is_said_of_the_key_stays_here() -> None:
    for status, name in ((403, "AccessDeniedException"), (400, "UnrecognizedClientException")):
        headers, body = answered(status, name, '{"message":"arn:aws:iam::123456789012:user/me"}')
        assert headers[":status"] == "403"
        assert "arn:" not in body


def test_its_streams_are_its_own() -> None:
    headers, body = answered(200, None, "frames", STREAM)
    assert (headers[":status"], body) == ("200", "frames")
    headers, _ = answered(200, None, "data: x", "text/event-stream")
    assert headers[":status"] == "502"
    other = Script(cluster("base_url: http://p.test"))
    headers, _ = Request({}, CHAT).answered(other, 200, "frames", content_type=STREAM)
    assert headers[":status"] == "502"


def test_what_is_too_long_may_fit_elsewhere() -> None:
    for words in ("Input is too long for requested model.", "The number of input tokens exceeds the maximum length"):
        headers, _ = answered(400, "ValidationException", f'{{"message":"{words}"}}')
        assert headers["x-headgate-retry"] == "context_window"

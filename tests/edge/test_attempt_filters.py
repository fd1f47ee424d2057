"""The upstream filters of a provider's cluster: their order, who is called for which attempt, keys and addresses."""

from pathlib import Path
from typing import Any

import pytest
from attempt_script import PROVIDER, Request, Script, attempt_filters, cluster
from rendering import clusters_of, rendered

from headgate import contract
from headgate.config.model import MAX_ATTEMPTS
from headgate.contract import LEFT
from headgate.key_files import key_file

ORDER = [
    "headgate.translate",
    "headgate.hold",
    "headgate.attempt",
    "headgate.answer",
    "envoy.filters.http.upstream_codec",
]
P = 'base_url: "http://p.test"'


def config_of(rest: str, api: str = "openai") -> dict[str, Any]:
    """What the filter `attempt` is told."""
    script = Script(cluster(rest, api))
    return {"keep": script.keep, **script.config}


@pytest.mark.parametrize("key", ["", ", api_key: env:OPENAI_API_KEY"])
@pytest.mark.parametrize("api", ["openai", "anthropic", "gemini", "cohere"])
def test_the_order_of_the_filters(api: str, key: str) -> None:
    """Of a request; an answer meets them the other way round, so the translation sees what the filter has marked."""
    assert list(attempt_filters(cluster(P + key, api))) == ORDER


def call_for_an_attempt() -> dict[str, Any]:
    """What is done with an attempt that no rule of the matcher lets through as it is."""
    matcher = attempt_filters(cluster(P))["headgate.translate"]["xds_matcher"]
    config: dict[str, Any] = matcher["on_no_match"]["action"]["typed_config"]["typed_config"]["typed_config"]
    return config


def test_a_dead_or_silent_worker_lets_nothing_pass() -> None:
    config = call_for_an_attempt()
    assert config["grpc_service"]["envoy_grpc"]["cluster_name"] == contract.FILTERS_CLUSTER
    assert config["grpc_service"]["initial_metadata"] == [{"key": contract.ROLE, "value": contract.ATTEMPT_ROLE}]
    assert "timeout" not in config["grpc_service"]  # an answer takes as long as the route lets it
    assert config["message_timeout"] == "5s"
    assert config["status_on_error"] == {"code": "ServiceUnavailable"}
    assert not config.get("failure_mode_allow", False)


def test_what_the_call_for_an_attempt_gets_to_see() -> None:
    config = call_for_an_attempt()
    assert config["processing_mode"] == {
        "request_header_mode": "SEND",
        "request_body_mode": "BUFFERED",
        "request_trailer_mode": "SKIP",
        "response_header_mode": "SEND",
        "response_body_mode": "FULL_DUPLEX_STREAMED",
        "response_trailer_mode": "SEND",
    }
    seen = {pattern["exact"] for pattern in config["forward_rules"]["allowed_headers"]["patterns"]}
    line = {contract.REQUEST_ID, "x-envoy-attempt-count", ":status", "content-type", "content-encoding"}
    assert seen == line | {contract.INPUT_TOKENS}
    assert config["metadata_options"] == {
        "forwarding_namespaces": {"untyped": [contract.REQUEST]},
        "receiving_namespaces": {"untyped": [contract.ATTEMPT]},
    }


def is_skipped(matchers: list[dict[str, Any]], attempt: int, direct: str) -> bool:
    """Whether Envoy, by these matchers, makes no call for an attempt."""
    for matcher in matchers:
        count, plan = (one["single_predicate"] for one in matcher["predicate"]["and_matcher"]["predicate"])
        assert count["input"]["typed_config"]["header_name"] == "x-envoy-attempt-count"
        place = plan["input"]["typed_config"]
        assert (place["filter"], place["path"]) == (contract.REQUEST, [{"key": "direct"}])
        assert matcher["on_match"]["action"]["typed_config"]["@type"].endswith(".SkipFilter")
        wanted = plan["custom_match"]["typed_config"]["value"]["string_match"]["contains"]
        if count["value_match"]["exact"] == str(attempt) and wanted in direct:
            return True
    return False


def test_direct_attempts_cost_no_call() -> None:
    matchers = attempt_filters(cluster(P))["headgate.translate"]["xds_matcher"]["matcher_list"]["matchers"]
    for numbers in ([], [1], [1, 2], [2], [1, 3, 10], [10], list(range(1, MAX_ATTEMPTS + 1))):
        direct = f",{','.join(map(str, numbers))},"
        skipped = [attempt for attempt in range(1, MAX_ATTEMPTS + 2) if is_skipped(matchers, attempt, direct)]
        assert skipped == numbers
    assert not is_skipped(matchers, 1, "")


@pytest.mark.parametrize(
    ("api", "rest", "path", "host"),
    [
        ("openai", 'endpoints: ["http://127.0.0.1:8000"]', "/v1", "127.0.0.1:8000"),
        ("openai", 'endpoints: ["http://engine:80/deep/er"]', "/deep/er/v1", "engine"),
        ("openai", 'base_url: "https://api.test/v1"', "/v1", "api.test"),
        ("openai", 'base_url: "https://api.test:443"', "", "api.test"),
        ("openai", 'base_url: "http://api.test:443/a/"', "/a", "api.test:443"),
        ("openai", 'base_url: "https://[::1]:9/x"', "/x", "[::1]:9"),
        ("anthropic", 'base_url: "https://api.test"', "/v1", "api.test"),
        ("anthropic", 'endpoints: ["http://engine:1/a"]', "/a/v1", "engine:1"),
        ("openai", "preset: groq", "/openai/v1", "api.groq.com"),
        ("openai", "preset: deepseek", "", "api.deepseek.com"),
        ("openai", 'preset: groq, endpoints: ["http://engine:1"]', "/v1", "engine:1"),
        ("azure", "base_url: https://a.openai.azure.com", "/openai/v1", "a.openai.azure.com"),
        ("azure", "base_url: https://a.test/b, api_version: 2024-10-21", "/b/openai", "a.test"),
        ("gemini", 'base_url: "https://generative.test"', "/v1beta", "generative.test"),
        ("gemini", 'base_url: "https://proxy.test/google"', "/google/v1beta", "proxy.test"),
        ("gemini", 'endpoints: ["http://engine:1/a"]', "/a/v1beta", "engine:1"),
        ("cohere", "usage: final", "/v2", "api.cohere.com"),
        ("cohere", 'base_url: "https://proxy.test/cohere"', "/cohere/v2", "proxy.test"),
        ("cohere", 'endpoints: ["http://engine:1"]', "/v2", "engine:1"),
        ("openai", "base_url: http://p.test/~it%27s'(*)--%22%5C/v1", "/~it%27s'(*)--%22%5C/v1", "p.test"),
    ],
)
def test_where_an_attempt_goes(api: str, rest: str, path: str, host: str) -> None:
    config = config_of(rest, api)
    assert (config["path"], config["host"]) == (path, host)


def test_azures_dated_api_has_the_deployment_in_its_path() -> None:
    config = config_of(P + ", api_version: 2025-04-01-preview", "azure")
    assert (config["deployed"], config["query"]) == ("1", "?api-version=2025-04-01-preview")
    for rest, api in ((P, "azure"), (P, "openai"), (P, "anthropic")):
        assert not {"deployed", "query"} & config_of(rest, api).keys()


@pytest.mark.parametrize(
    ("api", "own"),
    [
        ("openai", {"openai-beta"}),
        ("anthropic", {"anthropic-beta", "anthropic-version"}),
        ("gemini", set()),
        ("cohere", set()),
        ("azure", {"openai-beta"}),
    ],
)
def test_what_may_leave_the_gateway(api: str, own: set[str]) -> None:
    keep = config_of(P + ", forward_headers: [x-own]", api)["keep"]
    assert {"x-own", *own} <= keep
    assert {name for name in keep if name.startswith(("openai-", "anthropic-"))} == own
    assert keep.isdisjoint({*contract.CREDENTIAL_HEADERS, contract.TENANT_HEADER, "cookie", "x-forwarded-for"})
    assert not any(name.startswith(("x-headgate-", "x-envoy-", "x-forwarded-")) for name in keep)
    assert "accept-encoding" not in keep  # metering and translation read plain bytes


@pytest.mark.parametrize(
    ("api", "header", "prefix"),
    [
        ("openai", "authorization", "Bearer "),
        ("anthropic", "x-api-key", ""),
        ("gemini", "x-goog-api-key", ""),
        ("cohere", "authorization", "Bearer "),
        ("azure", "api-key", ""),
    ],
)
def test_the_credential_is_named_by_its_file(api: str, header: str, prefix: str) -> None:
    rest = f"{P}, api_key: env:OPENAI_API_KEY"
    file = f"secrets/{cluster(rest, api)['name'].removeprefix('provider/')}.key"
    told = {"key_file": file, "key_header": header, "key_prefix": prefix}
    assert told.items() <= config_of(rest, api).items()
    assert not told.keys() & config_of(P, api).keys()


def test_a_token_of_azures_is_a_bearer() -> None:
    rest = f"{P}, token: env:OPENAI_API_KEY"
    found = config_of(rest, "azure")
    assert (found["key_header"], found["key_prefix"]) == ("authorization", "Bearer ")


def test_which_api_is_told_its_version() -> None:
    for api in ("openai", "gemini", "cohere"):
        assert "version" not in config_of(P, api)
    found = config_of(P, "anthropic")
    assert (found["version_header"], found["version"]) == ("anthropic-version", "2023-06-01")


def test_a_key_is_read_again_and_what_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    found = cluster(f"{P}, api_key: env:OPENAI_API_KEY")
    file = f"secrets/{found['name'].removeprefix('provider/')}.key"
    script = Script(found, **{file: str(tmp_path / "key")})

    def asked(seconds: int) -> str | None:
        script.now(seconds)
        return Request({}, {"endpoint": "/x"}).attempt(script).get("authorization")

    assert asked(1) is None
    (tmp_path / "key").write_text("sk-one")
    assert asked(2) == "Bearer sk-one"
    (tmp_path / "key").write_text("sk-two")
    assert [asked(2), asked(3)] == ["Bearer sk-one", "Bearer sk-two"]
    (tmp_path / "key").unlink()
    assert asked(4) == "Bearer sk-two"
    (tmp_path / "key").write_text("")  # a stored credential that was deleted
    assert asked(5) is None


@pytest.mark.parametrize("pool", [False, True])
def test_without_a_key_nothing_is_sent_unless_another_key_may_follow(tmp_path: Path, pool: bool) -> None:
    key = "api_keys: [{key: env:OPENAI_API_KEY, name: a}]" if pool else "api_key: env:OPENAI_API_KEY"
    (found,) = clusters_of(rendered(PROVIDER.format(api="openai", rest=f"{P}, {key}"))).values()
    (tmp_path / "key").touch()
    script = Script(found, **{f"secrets/{key_file(found['name'])}": str(tmp_path / "key")})
    request = Request({}, {"endpoint": "/x"})
    sent = request.attempt(script)
    assert "authorization" not in sent
    assert sent.get(":answered") == (None if pool else "503")


def test_a_provider_cannot_speak_for_the_gateway() -> None:
    mutations = attempt_filters(cluster(P))["headgate.answer"]["mutations"]["response_mutations"]
    matchers = [entry["remove_on_match"]["key_matcher"] for entry in mutations if "remove_on_match" in entry]
    assert all(matcher["ignore_case"] for matcher in matchers)
    # What it says is left is taken down between what it must not say and what is about our account.
    said = [entry.get("append", {}).get("header", {}).get("key") for entry in mutations]
    at = [number for number, header in enumerate(said) if header == LEFT]
    assert [matcher["prefix"] for matcher in matchers[:2]] == ["x-envoy-", "x-headgate-"]
    assert at == [2]
    ours = {"x-envoy-", "x-headgate-", "anthropic-", "x-ratelimit-"}
    assert {matcher["prefix"] for matcher in matchers} == ours
    assert removed_prefixes(P, "azure") == ours | {"apim-", "azureml-", "x-ms-"}
    assert removed_prefixes(P, "gemini") == ours | {"x-gemini-", "x-goog-"}
    about_it = {"num_chars", "num_tokens", "x-api-warning", "x-debug-trace-id", "x-endpoint-", "x-trial-"}
    assert removed_prefixes(P, "cohere") == ours | about_it


def removed_prefixes(rest: str, api: str) -> set[str]:
    mutations = attempt_filters(cluster(rest, api))["headgate.answer"]["mutations"]["response_mutations"]
    removals = [entry["remove_on_match"] for entry in mutations if "remove_on_match" in entry]
    return {removal["key_matcher"]["prefix"] for removal in removals}

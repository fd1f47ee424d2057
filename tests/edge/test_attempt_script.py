"""What leaves the gateway on every attempt, and which answers are marked: the filter `attempt` of
envoy/module."""

import itertools
import json
from typing import Any

import pytest
from attempt_script import Request, Script, cluster
from rendering import clusters_of, rendered

from headgate import contract
from headgate.edge.attempt_config import API_HEADERS, FORWARDED_HEADERS

CREDENTIALS = {
    "authorization": "Bearer hg-client",
    "api-key": "hg-client",
    "x-api-key": "hg-client",
    "x-goog-api-key": "hg-client",
    "proxy-authorization": "Basic hg-client",
    "cookie": "session=hg-client",
}
PROXYS = {
    "x-forwarded-for": "192.0.2.7",
    "x-forwarded-proto": "https",
    "x-envoy-max-retries": "2",
    "x-headgate-profile": "429/idle=1/total=1",
    "x-headgate-target": "other",
    "accept-encoding": "gzip",
    "openai-tenant": "acme",
}
PLAIN = {"content-type": "application/json", "content-length": "77", "user-agent": "u", "x-request-id": "r-1"}
OF_CHAT: dict[str, Any] = {"endpoint": "/chat/completions", "upstream_model": "m-1"}
CHAIN: dict[str, Any] = {**OF_CHAT, "length": "77", "models": ["m-1", "m-2", "m-3", "m-4", "m-5"], "direct": ",1,"}

OPENAI, CLAUDE, LOCAL = (("openai", "env:OPENAI_API_KEY"), ("anthropic", "env:ANTHROPIC_API_KEY"), ("openai", None))
GEMINI = ("gemini", "env:OPENAI_API_KEY")
COHERE = ("cohere", "env:OPENAI_API_KEY")
APIS = {"openai": OPENAI, "claude": CLAUDE, "gemini": GEMINI, "cohere": COHERE, "local": LOCAL}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Script]:
    """Five providers, four of which have a key."""
    folder = tmp_path_factory.mktemp("keys")
    made = {}
    for name, (api, key) in APIS.items():
        root = f"http://{name}.test" + ("/v1" if api == "openai" else "")
        found = cluster(f"base_url: '{root}'" + (f", api_key: {key}" if key else ""), api)
        (folder / name).write_text(f"sk-{name}")
        file = f"secrets/{found['name'].removeprefix('provider/')}.key"
        made[name] = Script(found, **({file: str(folder / name)} if key else {}))
    return made


OWN: dict[str, dict[str, str]] = {
    "openai": {"authorization": "Bearer sk-openai"},
    "claude": {"x-api-key": "sk-claude"},
    "gemini": {"x-goog-api-key": "sk-gemini"},
    "cohere": {"authorization": "Bearer sk-cohere"},
    "local": {},
}


@pytest.mark.parametrize("order", list(itertools.permutations(OWN)), ids="-".join)
def test_each_provider_gets_its_own_credential_and_no_other(scripts: dict[str, Script], order: list[str]) -> None:
    request = Request({**PLAIN, **CREDENTIALS, **PROXYS}, CHAIN)
    for name in order:
        sent = request.attempt(scripts[name])
        assert {header: sent.get(header) for header in CREDENTIALS if header in sent} == OWN[name]
        assert sent[":authority"] == f"{name}.test"
        base = {"gemini": "/v1beta", "cohere": "/v2"}.get(name, "/v1")
        assert sent[":path"] == f"{base}/chat/completions"
        allowed = {*FORWARDED_HEADERS, *API_HEADERS[APIS[name][0]], *OWN[name]}
        assert sent.keys() <= allowed
        assert PLAIN.items() <= sent.items()


@pytest.mark.parametrize("plan", [CHAIN, OF_CHAT], ids=["chain", "single"])
def test_nothing_of_a_credential_waits_for_a_later_attempt(scripts: dict[str, Script], plan: dict[str, Any]) -> None:
    request = Request({**PLAIN, **CREDENTIALS, **PROXYS, "x-hint": "a"}, plan)
    request.attempt(scripts["local"])
    aside = request.metadata.get("hg.aside", {})
    assert not aside.keys() & {*CREDENTIALS, *PROXYS, *PLAIN} - {"openai-tenant"}
    assert not [value for value in aside.values() if "hg-client" in value or "192.0.2.7" in value]
    assert ("x-hint" in aside) == ("models" in plan)


def test_headers_that_a_later_provider_may_have_come_back(scripts: dict[str, Script]) -> None:
    wants = Script(cluster("base_url: 'http://own.test', forward_headers: [x-hint]"))
    request = Request({**PLAIN, "x-hint": "a", "anthropic-beta": "b", "openai-beta": "c"}, CHAIN)
    seen = [request.attempt(script) for script in (scripts["local"], wants, scripts["claude"], wants)]
    own = [{name: sent.get(name) for name in ("x-hint", "anthropic-beta", "openai-beta")} for sent in seen]
    nothing = dict.fromkeys(own[0])
    assert own == [
        {**nothing, "openai-beta": "c"},
        {**nothing, "x-hint": "a", "openai-beta": "c"},
        {**nothing, "anthropic-beta": "b"},
        {**nothing, "x-hint": "a", "openai-beta": "c"},
    ]


def test_one_target_keeps_nothing_aside(scripts: dict[str, Script]) -> None:
    request = Request({**PLAIN, "x-hint": "a"}, OF_CHAT)
    assert "x-hint" not in request.attempt(scripts["local"])
    assert set(request.metadata) == {"hg.request"}


def test_the_attempts_model_is_on_record(scripts: dict[str, Script]) -> None:
    request = Request(PLAIN, CHAIN)
    found = []
    for name in ("openai", "claude", "local"):
        request.attempt(scripts[name])
        found.append(request.metadata["hg.request"]["upstream_model"])
    assert found == ["m-1", "m-2", "m-3"]


def test_path_and_length_after_a_translated_attempt(scripts: dict[str, Script]) -> None:
    request = Request(PLAIN, CHAIN)
    translated = {"content_length": "1234", "x_headgate_path": "/messages", "anthropic_version": "2023-06-01"}
    first = request.attempt(scripts["claude"], **translated)
    assert (first[":path"], first["content-length"]) == ("/v1/messages", "1234")
    second = request.attempt(scripts["local"])
    assert (second[":path"], second["content-length"]) == ("/v1/chat/completions", "77")
    assert not {"anthropic-version", contract.ATTEMPT_PATH} & second.keys()
    third = request.attempt(scripts["claude"], **translated | {"content_length": "99"})
    assert (third[":path"], third["content-length"]) == ("/v1/messages", "99")


def test_replicas_send_the_planned_body_again(scripts: dict[str, Script]) -> None:
    request = Request(PLAIN, OF_CHAT | {"length": "80", "direct": ",1,2,"})
    assert request.attempt(scripts["local"])["content-length"] == "77"  # the first is as ext_proc has left it
    assert request.attempt(scripts["local"])["content-length"] == "80"


@pytest.mark.parametrize(("given", "sent"), [({}, "2023-06-01"), ({"anthropic-version": "2024-01-01"}, "2024-01-01")])
def test_anthropics_api_is_always_told_a_version(
    scripts: dict[str, Script], given: dict[str, str], sent: str
) -> None:
    assert Request(PLAIN | given, CHAIN).attempt(scripts["claude"])["anthropic-version"] == sent
    later = Request(PLAIN | given, CHAIN)
    assert "anthropic-version" not in later.attempt(scripts["openai"])
    assert later.attempt(scripts["claude"])["anthropic-version"] == sent


def test_a_translations_own_header_holds_on_every_attempt(scripts: dict[str, Script]) -> None:
    """The version that a translation was written for, whatever a client of another API sends under that name."""
    for before in ([], ["openai"], ["openai", "local"]):
        request = Request(PLAIN | {"anthropic-version": "nonsense"}, CHAIN)
        for name in before:
            request.attempt(scripts[name])
        sent = request.attempt(scripts["claude"], x_headgate_path="/messages", anthropic_version="2023-06-01")
        assert sent["anthropic-version"] == "2023-06-01"


def test_a_deployment_of_azures_is_the_attempts_own() -> None:
    dated = Script(cluster("base_url: 'http://a.test/r', api_version: 2024-10-21", "azure"))
    newer = Script(cluster("base_url: 'http://b.test'", "azure"))
    request = Request(PLAIN, CHAIN)
    paths = [request.attempt(script)[":path"] for script in (dated, newer, dated)]
    deployed = "/r/openai/deployments/{}/chat/completions?api-version=2024-10-21".format
    assert paths == [deployed("m-1"), "/openai/v1/chat/completions", deployed("m-3")]
    alone = Request(PLAIN, OF_CHAT | {"endpoint": "/embeddings"}).attempt(dated)
    assert alone[":path"] == "/r/openai/deployments/m-1/embeddings?api-version=2024-10-21"
    translated = Request(PLAIN, OF_CHAT | {"endpoint": "/messages"}).attempt(
        dated, x_headgate_path="/chat/completions"
    )
    assert translated[":path"] == deployed("m-1")


def test_responses_of_azures_are_at_no_deployment() -> None:
    dated = Script(cluster("base_url: 'http://a.test/r', api_version: 2025-03-01-preview", "azure"))
    for endpoint, query in (("/responses", "?"), ("/responses/resp_1?stream=true", "&")):
        sent = Request(PLAIN, OF_CHAT | {"endpoint": endpoint}).attempt(dated)
        assert sent[":path"] == f"/r/openai{endpoint}{query}api-version=2025-03-01-preview"
    newer = Script(cluster("base_url: 'http://b.test'", "azure"))
    sent = Request(PLAIN, OF_CHAT | {"endpoint": "/responses/resp_1?stream=true"}).attempt(newer)
    assert sent[":path"] == "/openai/v1/responses/resp_1?stream=true"


def test_what_an_attempt_was_made_without_is_its_own(scripts: dict[str, Script]) -> None:
    request = Request(PLAIN, CHAIN | {"drops": ["n", "", "logprobs, n"]})
    found = []
    for name in ("local", "openai", "local", "openai"):
        request.attempt(scripts[name])
        found.append(request.metadata["hg.request"]["dropped"])
    assert found == ["n", "", "logprobs, n", ""]


TOO_LONG = [
    "This model's Maximum Context Length is 8192 tokens.",
    '{"error":{"code":"context_length_exceeded"}}',
    "prompt is too long: 210000 tokens > 200000 maximum",
    "The input token count (1200293) exceeds the maximum number of tokens allowed (1048576).",
    "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292.",
    "too many tokens: size limit exceeded by 11326 tokens. Try using shorter or fewer inputs.",
]


@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize("body", [*TOO_LONG, "x" * 60_000 + TOO_LONG[0]])
def test_a_prompt_that_is_too_long_may_fit_elsewhere(scripts: dict[str, Script], status: int, body: str) -> None:
    headers, after = Request(PLAIN, CHAIN).answered(scripts["local"], status, body)
    assert headers == {":status": str(status), "content-type": "application/json", contract.RETRY: "context_window"}
    assert after == body


@pytest.fixture(scope="module")
def engine() -> Script:
    engines = (
        "engines: {p: {kind: vllm, endpoints: ['http://p.test']}}\nmodels: {m: {targets: [{provider: p, model: p}]}}"
    )
    return Script(clusters_of(rendered(engines))["provider/p"])


def test_a_replica_without_the_adapter_is_not_the_last_one_and_names_nobodys(engine: Script) -> None:
    name = "acme/bot@1-00000000"
    of_adapter = {**OF_CHAT, "upstream_model": name, "base_model": "chat"}
    said = json.dumps({"error": {"message": f"The model `{name}` does not exist. Valid: other/secret@1-11111111"}})
    headers, body = Request(PLAIN, of_adapter).answered(engine, 404, said)
    assert headers == {
        ":status": "404",  # for Envoy's router: the replica answers everything else
        "content-type": "application/json",
        contract.RETRY: "adapter",
        "x-headgate-unloaded": "5",
    }
    assert json.loads(body)["error"]["code"] == contract.ADAPTER_NOT_LOADED
    assert "other" not in body
    for plan, text in ((OF_CHAT, said), (of_adapter, '{"error":{"message":"Response resp_1 not found"}}')):
        headers, body = Request(PLAIN, plan).answered(engine, 404, text)
        assert (contract.RETRY in headers, body) == (False, text)
    headers, body = Request(PLAIN, of_adapter).answered(engine, 404, "<html>no such page", content_type="text/html")
    assert (headers[":status"], json.loads(body)["error"]["code"]) == ("404", "provider_malformed_answer")


def test_what_an_engine_says_of_its_own_failure_reaches_nobody(scripts: dict[str, Script], engine: Script) -> None:
    inside = '{"error":{"message":"EngineCore encountered an issue. See stack trace (above)","code":500}}'
    for status in (500, 503):
        headers, body = Request(PLAIN, OF_CHAT).answered(engine, status, inside)
        assert (headers[":status"], json.loads(body)["error"]["code"]) == (str(status), "engine_failed")
    for script, status in ((engine, 400), (engine, 501), (scripts["local"], 500)):
        assert Request(PLAIN, OF_CHAT).answered(script, status, inside)[1] == inside


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, ""),
        (400, '{"error":{"message":"temperature"}}'),
        (413, "{}"),
        *((s, TOO_LONG[0]) for s in (200, 401, 404)),
    ],
)
def test_other_answers_are_not_marked(scripts: dict[str, Script], status: int, body: str) -> None:
    headers, after = Request(PLAIN, CHAIN).answered(scripts["local"], status, body)
    assert (headers, after) == ({":status": str(status), "content-type": "application/json"}, body)


def test_a_limit_names_the_model_that_it_is_for(scripts: dict[str, Script]) -> None:
    request = Request(PLAIN, CHAIN)
    for model in ("m-1", "m-2"):
        request.attempt(scripts["openai"])
        headers, _ = request.answered(scripts["openai"], 429)
        assert headers[contract.TRIED_MODEL] == model


@pytest.mark.parametrize("api", ["openai", "anthropic", "gemini", "cohere"])
def test_a_page_becomes_an_error_of_the_providers_api(api: str) -> None:
    script = Script(cluster("base_url: 'http://p.test'", api))
    headers, body = Request(PLAIN, OF_CHAT).answered(script, 200, "<html>", content_type="text/html")
    assert headers == {":status": "502", "content-type": "application/json"}
    assert body == script.config["broken"]
    assert ('"type":"error"' in body) == (api == "anthropic")


@pytest.mark.parametrize(
    ("kind", "passes"),
    [
        ("audio/mpeg", True),
        ("Audio/WAV; rate=1", True),
        ("application/octet-stream", True),
        ("application/json", True),
        ("text/event-stream", True),
        ("audio", False),
        ("text/html", False),
        ("application/octet-stream2", False),
        ("", False),
    ],
)
def test_answers_that_are_neither_json_nor_events_where_the_plan_has_their_type(
    scripts: dict[str, Script], kind: str, passes: bool
) -> None:
    plan = {**OF_CHAT, "answer_types": ["audio/", "application/octet-stream"]}
    headers, body = Request(PLAIN, plan).answered(scripts["openai"], 200, "RIFF", content_type=kind)
    assert (headers[":status"], body) == (("200", "RIFF") if passes else ("502", scripts["openai"].config["broken"]))
    headers, _ = Request(PLAIN, plan).answered(
        scripts["openai"], 200, "x", content_type=kind, content_encoding="gzip"
    )
    assert headers[":status"] == "502"

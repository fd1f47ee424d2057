"""The surface of OpenAI's Responses API: what goes to which target, and who may ask for a response again."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from ext_proc_client import Reply, ask, snapshot_of

from extproc.kept import KeptResponses
from headgate.counters.client import Unavailable
from headgate.counters.scripts import MARK, Argument, Script, tenant_of

URL = "/v1/responses"
SNAPSHOT = snapshot_of("""\
providers:
  a: {api: openai, base_url: "http://a.test/v1", usage: continuous}
  b: {api: openai, base_url: "http://b.test/v1"}
  groq: {api: openai, preset: groq}
  mistral: {api: openai, preset: mistral}
  forced: {api: openai, preset: mistral, responses: true}
  plain: {api: openai, base_url: "http://p.test/v1", responses: false}
  old: {api: azure, base_url: "http://z.test", api_version: 2024-10-21}
  new: {api: azure, base_url: "http://z.test"}
  claude: {api: anthropic, base_url: "http://claude.test"}
models:
  one: {targets: [{provider: a, model: up}]}
  two: {targets: [{provider: a, model: up}, {provider: b, model: over}, {provider: b, model: other}]}
  b-only: {targets: [{provider: b, model: third}]}
  mixed: {targets: [{provider: groq, model: g}, {provider: mistral, model: m}, {provider: a, model: up}]}
  silent: {targets: [{provider: mistral, model: m}, {provider: plain, model: p}, {provider: old, model: o}]}
  azure: {targets: [{provider: new, model: z}, {provider: forced, model: f}]}
tenants:
  acme: {models: [one, two, b-only, mixed, silent, azure]}
  other: {models: [one, two]}
  operator: {models: [one, two], pin_targets: true}
""")
# Apart: tables with such limits load what counts tokens.
LIMITED = snapshot_of("""\
providers: {a: {api: openai, base_url: "http://a.test/v1"}}
plans: {small: {tpm: 100000}}
models: {one: {targets: [{provider: a, model: up}]}}
tenants: {small: {plan: small, models: [one]}}
""")
MADE = {("acme", "resp_1"): ("one", "a", "up"), ("acme", "resp_2"): ("two", "b", "other")}
MADE |= {("operator", "resp_1"): ("one", "a", "up")}
MADE |= {("acme", "resp_3"): ("gone", "b", "over"), ("acme", "resp_4"): ("one", "gone", "x")}


class Knows:
    """Counters that know these responses, or none at all."""

    def __init__(self, made: dict[tuple[str, str], tuple[str, str, str]] | None) -> None:
        self._made = made

    def is_away(self, _key: str) -> bool:
        return self._made is None

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> bytes | None:
        if self._made is None:
            raise Unavailable("gone", maybe=False)
        if script is MARK:
            return b"mark"
        maker = self._made.get((tenant_of(keys[0]), str(arguments[0])))
        return msgspec.json.encode(maker) if maker else None


def post(body: dict[str, Any] | bytes, path: str = "", made: Any = MADE, **more: Any) -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    kept = KeptResponses(Knows(made))  # type: ignore[arg-type]
    return ask(URL + path, raw, snapshot=more.pop("snapshot", SNAPSHOT), kept=kept, **more)


def about(path: str, method: str = "GET", made: Any = MADE, **more: Any) -> Reply:
    kept = KeptResponses(Knows(made))  # type: ignore[arg-type]
    return ask(URL + path, more.pop("body", None), method=method, snapshot=SNAPSHOT, kept=kept, **more)


def request_of(reply: Reply) -> dict[str, Any]:
    assert reply.status is None, reply.body
    found: dict[str, Any] = reply.metadata["hg.request"]
    return found


def test_goes_on_byte_for_byte_but_for_the_models_name() -> None:
    raw = b'{ "model" :"one", "input":"\\u00e9 1.0","stream": true,"top_p":1.00,"stream_options":{"x":1} , "a":[ ]}'
    reply = post(raw)
    assert reply.body == raw.replace(b'"one"', b'"up"')
    request = request_of(reply)
    assert (request["surface"], request["endpoint"], request["direct"]) == ("responses", "/responses", ",1,")
    assert not {"hide_usage_chunk", "hide_usage_member", "attempts", "drops"} & request.keys()


@pytest.mark.parametrize(
    ("model", "store", "watch", "direct"),
    [
        ("one", None, ",a,", ",1,"),
        ("one", True, ",a,", ",1,"),
        ("one", False, None, ",1,"),
        ("two", None, ",a,b,", ",1,"),
        ("mixed", None, ",a,", ",1,"),
        ("azure", None, ",new,", ",1,"),
    ],
)
def test_who_is_watched(model: str, store: bool | None, watch: str | None, direct: str) -> None:
    """Those that speak the API and keep responses; what others have made, nobody can ask for."""
    request = request_of(post({"model": model, "input": "x", "store": store}))
    assert (request.get("watch"), request["direct"]) == (watch, direct)


@pytest.mark.parametrize(
    ("model", "clusters", "direct"),
    [
        ("mixed", ["groq", "mistral", "a"], ",1,"),
        ("azure", ["new", "forced"], ",1,"),
        ("silent", ["mistral", "plain", "old"], ",,"),
    ],
)
def test_targets_without_the_api_are_translated_to(model: str, clusters: list[str], direct: str) -> None:
    reply = post({"model": model, "input": "x"})
    assert reply.clusters == [f"provider/{name}" for name in clusters]
    assert request_of(reply)["direct"] == direct
    kept = post({"model": model, "input": "x", "store": True})  # which a translation cannot do
    if model == "silent":
        assert kept.error["param"] == "store"
    else:
        assert kept.clusters == [f"provider/{name}" for name in clusters if name != "mistral"]


@pytest.mark.parametrize("path", ["/input_tokens", "/compact"])
def test_what_only_openai_and_azure_have(path: str) -> None:
    assert post({"model": "one", "input": "x"}, path).clusters == ["provider/a"]
    request = request_of(post({"model": "azure", "input": "x"}, path))
    assert (request["surface"], request["upstream_model"]) == (f"responses{path.replace('/', '.')}", "z")
    assert request.get("free") is (True if path == "/input_tokens" else None)


def test_a_count_is_made_here_where_the_first_target_has_none() -> None:
    reply = post({"model": "mixed", "input": "one two three"}, "/input_tokens")
    assert (reply.status, json.loads(reply.body)["object"]) == (200, "response.input_tokens")
    assert json.loads(reply.body)["input_tokens"] > 3
    refused = post({"model": "mixed", "previous_response_id": "resp_2"}, "/input_tokens")
    assert refused.error["param"] == "previous_response_id"


@pytest.mark.parametrize(
    ("model", "previous", "clusters", "upstream"),
    [
        ("one", "resp_1", ["provider/a"], "up"),
        ("two", "resp_1", ["provider/a"], "up"),
        ("two", "resp_2", ["provider/b"], "other"),  # the target itself, not the provider's first
        ("two", "resp_3", ["provider/b"], "over"),
        ("b-only", "resp_2", ["provider/b"], "third"),  # another model where the response is kept
    ],
)
def test_goes_on_at_the_target_that_made_the_response(
    model: str, previous: str, clusters: list[str], upstream: str
) -> None:
    reply = post({"model": model, "input": "x", "previous_response_id": previous})
    assert (reply.clusters, request_of(reply)["upstream_model"]) == (clusters, upstream)
    assert json.loads(reply.body)["previous_response_id"] == previous


@pytest.mark.parametrize(
    ("body", "tenant", "code"),
    [
        ({"previous_response_id": "resp_9"}, "acme", "previous_response_not_found"),
        ({"previous_response_id": "../x?y"}, "acme", "previous_response_not_found"),
        ({"previous_response_id": "resp_1"}, "other", "previous_response_not_found"),
        ({"previous_response_id": "resp_2"}, "acme", "previous_response_elsewhere"),
        ({"conversation": "conv_1"}, "acme", "unsupported_parameter"),
        ({"conversation": {"id": "conv_1"}}, "operator", "unsupported_parameter"),
    ],
)
@pytest.mark.parametrize("path", ["", "/compact"])
def test_what_cannot_be_gone_on_from(body: dict[str, Any], tenant: str, code: str, path: str) -> None:
    reply = post({"model": "one", "input": "x", **body}, path, tenant=tenant)
    assert (reply.status, reply.error["code"], reply.error["param"]) == (400, code, next(iter(body)))


def test_who_names_another_target_than_the_one_that_made_the_response_is_told_so() -> None:
    asked = {"model": "two", "input": "x", "previous_response_id": "resp_1"}
    reply = post(asked, tenant="operator", x_headgate_target="b")
    assert (reply.status, reply.error["code"]) == (400, "previous_response_elsewhere")
    assert reply.error["message"] == (
        "The response 'resp_1' was not made at the provider 'b'. Remove the header 'x-headgate-target', or send the "
        "whole conversation."
    )


def test_a_conversation_goes_to_the_provider_that_is_named() -> None:
    reply = post({"model": "two", "conversation": "conv_1"}, tenant="operator", x_headgate_target="b")
    assert reply.clusters == ["provider/b", "provider/b"]


def test_nothing_is_guessed_while_nobody_knows() -> None:
    for reply in (
        post({"model": "one", "previous_response_id": "resp_1"}, made=None),
        about("/resp_1", made=None),
        about("/resp_1", "DELETE", made=None),
    ):
        assert (reply.status, reply.error["code"]) == (503, "response_ids_unavailable")
        assert reply.headers["retry-after"]
    assert post({"model": "one", "input": "x"}, made=None).status is None


ABOUT = [
    ("GET", "", "get"),
    ("DELETE", "", "delete"),
    ("POST", "/cancel", "cancel"),
    ("GET", "/input_items", "input_items"),
]


@pytest.mark.parametrize(("method", "path", "name"), ABOUT)
@pytest.mark.parametrize("body", [None, b"", b"{}", b"not JSON"])
def test_what_is_about_a_response(method: str, path: str, name: str, body: bytes | None) -> None:
    reply = about(f"/resp_2{path}", method, body=body)
    request = request_of(reply)
    assert (reply.clusters, reply.body) == (["provider/b"], b"")
    assert (request["surface"], request["free"]) == (f"responses.{name}", True)
    assert (request["endpoint"], request["model"]) == (f"/responses/resp_2{path}", "two")
    assert reply.headers["x-envoy-max-retries"] == "0"
    assert not {"input", "output", "watch"} & request.keys()


@pytest.mark.parametrize(("method", "path", "_name"), ABOUT)
@pytest.mark.parametrize(
    ("tenant", "response_id"), [("acme", "resp_9"), ("other", "resp_1"), ("acme", "resp_4"), ("acme", "%2e%2e")]
)
def test_what_is_not_the_tenants_is_not_there(
    method: str, path: str, _name: str, tenant: str, response_id: str
) -> None:
    reply = about(f"/{response_id}{path}", method, tenant=tenant)
    assert reply.status == 404
    assert reply.error["code"] == "response_not_found"
    assert reply.error["message"] == f"Response with id '{response_id}' not found."


def test_a_response_of_a_model_that_is_gone_is_asked_for_where_it_is() -> None:
    assert request_of(about("/resp_3"))["model"] == "two"


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("?stream=true&starting_after=5", "?stream=true&starting_after=5"),
        ("?include[]=a&include%5B%5D=b&x=1&api-version=2&include=c", "?include[]=a&include%5B%5D=b&include=c"),
        ("?limit=3&key=secret", ""),
        ("?", ""),
    ],
)
def test_the_query_is_what_the_api_knows(asked: str, sent: str) -> None:
    reply = about(f"/resp_1{asked}")
    assert request_of(reply)["endpoint"] == f"/responses/resp_1{sent}"
    streams = "stream=true" in sent
    assert ("headers_ms" in request_of(reply)) is streams
    assert ("x-envoy-upstream-rq-per-try-timeout-ms" in reply.headers) is streams


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("PUT", "/resp_1", 405, "GET, DELETE"),
        ("GET", "/resp_1/cancel", 405, "POST"),
        ("POST", "/resp_1/input_items", 405, "GET"),
        ("GET", "/resp_1/x", 404, None),
        ("GET", "//cancel", 404, None),
        ("GET", "", 405, "POST"),
    ],
)
def test_other_methods_and_paths(method: str, path: str, status: int, allow: str | None) -> None:
    reply = about(path, method)
    assert (reply.status, reply.headers.get("allow")) == (status, allow)


def test_limits_lower_max_output_tokens() -> None:
    reply = post({"model": "one", "input": "hello", "max_output_tokens": 500}, tenant="small", snapshot=LIMITED)
    request = request_of(reply)
    assert json.loads(reply.body)["max_output_tokens"] == 500
    at = int(request["max_at"])
    assert reply.body[at : at + 10] == b"       500"
    assert (reply.ask.output, reply.ask.input > 3) == (500, True)
    unasked = post({"model": "one", "input": "hello"}, tenant="small", snapshot=LIMITED)
    assert json.loads(unasked.body)["max_output_tokens"] == 4096
    assert "max_at" not in request_of(
        post({"model": "one", "input": "x"}, "/compact", tenant="small", snapshot=LIMITED)
    )


def test_what_is_made_in_the_background_is_estimated_for_everybody() -> None:
    asked = {"model": "one", "input": "hello", "background": True, "max_output_tokens": 300}
    reply = post(asked)
    assert reply.body == json.dumps(asked | {"model": "up"}).encode()  # unchanged
    assert request_of(reply)["estimated_output"] == 300
    assert request_of(reply)["estimated"] > 3
    assert request_of(post({**asked, "max_output_tokens": None}))["estimated_output"] == 4096
    assert "estimated_output" not in request_of(post({**asked, "background": False}))


def test_whose_user_it_is() -> None:
    assert request_of(post({"model": "one", "input": "x", "safety_identifier": "s"}))["user"] == "s"
    assert request_of(post({"model": "one", "input": "x", "safety_identifier": "s", "user": "u"}))["user"] == "u"


def test_a_response_is_gone_on_with_whatever_variant_its_user_has_now() -> None:
    split = snapshot_of("""\
providers: {a: {api: openai, base_url: "http://a.test/v1"}, b: {api: openai, base_url: "http://b.test/v1"}}
models:
  tried:
    split: {by: user, variants: {x: 1, y: 1}}
    targets: [{provider: a, model: up, variant: x}, {provider: b, model: over, variant: y}]
tenants: {acme: {models: [tried]}}
""")
    made = {("acme", "resp_a"): ("tried", "a", "up"), ("acme", "resp_b"): ("tried", "b", "over")}
    for user in map(str, range(8)):
        for provider in ("a", "b"):
            body = {"model": "tried", "input": "x", "user": user, "previous_response_id": f"resp_{provider}"}
            assert post(body, made=made, snapshot=split).clusters == [f"provider/{provider}"]


KEYED = """\
providers:
  a: {api: openai, base_url: "http://a.test/v1", api_keys: [{key: env:A, name: first}, {key: env:B, name: second}]}
  c: {api: openai, base_url: "http://c.test/v1", api_key: env:A}
models:
  one: {targets: [{provider: a, model: up}, {provider: a, model: up-2}]}
  single: {targets: [{provider: c, model: up}]}
tenants: {acme: {models: [one, single]}}
"""


def with_keys(made: tuple[str, ...], body: dict[str, Any] | None) -> Reply:
    kept = KeptResponses(Knows({("acme", "resp_1"): made}))  # type: ignore[arg-type,dict-item]
    raw = None if body is None else json.dumps(body).encode()
    path, method = (URL, "POST") if body else (f"{URL}/resp_1", "GET")
    snapshot = snapshot_of(KEYED, A="sk-a", B="sk-b")
    return ask(path, raw, method=method, snapshot=snapshot, kept=kept)


@pytest.mark.parametrize("body", [None, {"model": "one", "input": "x", "previous_response_id": "resp_1"}])
@pytest.mark.parametrize(
    ("made", "cluster"),
    [
        (("one", "a", "up-2", "second"), "provider/a/second"),
        (("one", "a", "up", "first"), "provider/a/first"),
        (("one", "a", "up"), "provider/a/first"),  # before there were several
    ],
)
def test_a_response_is_asked_for_with_the_key_that_made_it(
    made: tuple[str, ...], cluster: str, body: dict[str, Any] | None
) -> None:
    reply = with_keys(made, body)
    assert reply.clusters == [cluster]
    assert request_of(reply)["upstream_model"] == made[2]


def test_what_was_made_with_one_of_several_keys_is_asked_with_the_one_that_is_left() -> None:
    assert with_keys(("single", "c", "up", "second"), None).clusters == ["provider/c"]


def test_a_response_whose_key_has_gone_is_refused_by_us() -> None:
    made = ("one", "a", "up", "third")
    reply = with_keys(made, {"model": "one", "input": "x", "previous_response_id": "resp_1"})
    assert (reply.status, reply.error["code"]) == (400, "previous_response_elsewhere")
    assert "credential that the gateway no longer has" in reply.error["message"]
    reply = with_keys(made, None)
    assert (reply.status, reply.error["code"]) == (404, "response_not_found")
    assert "credential that the gateway no longer has" in reply.error["message"]
    assert "third" not in reply.error["message"]

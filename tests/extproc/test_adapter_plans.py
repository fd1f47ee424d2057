"""Adapters as clients call them: where a request for one goes, by what it is counted, and whose it is."""

import json
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from ext_proc_client import Reply, ask, chat, snapshot_of
from test_responses import Knows

from extproc.kept import KeptResponses
from headgate.directory.rows import SHARED, AdapterEntry, AdapterVersionEntry, GrantEntry, Row, TenantEntry
from headgate.feed.replicas import Replica, Replicas, ReplicaState
from tests.tenants.still import Still, directory_of

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
SNAPSHOT = snapshot_of("""\
providers: {openai: {api: openai, base_url: "http://openai.test/v1"}}
engines:
  llama: {kind: vllm, served_name: llama-3, endpoints: ["http://127.0.0.1:1"], max_loras: 4, zone: eu}
  plain: {kind: vllm, served_name: llama-3, endpoints: ["http://127.0.0.1:3"]}
models:
  chat:
    targets: [{provider: openai, model: gpt-4o}, {provider: plain, model: llama-3}, {provider: llama, model: llama-3}]
    price: {input: 1, output: 2}
  split:
    split: {variants: {old: 1, new: 1}}
    targets: [{provider: openai, model: x, variant: old}, {provider: llama, model: llama-3, variant: new}]
  other: {targets: [{provider: openai, model: gpt-4o}]}
  acme/taken: {targets: [{provider: openai, model: gpt-4o}]}
plans: {paid: {tpm: 100000, pricing: {models: {chat: {discount: 50%}}}}}
tenants:
  acme: {models: [chat, split, other, acme/taken, shared/writer]}
  zoo: {models: [chat]}
  far: {models: [chat], zones: [external]}
""")
SHA = "9c56cc51" + "0" * 56


def version(alias: str, number: int = 1, weight: int | None = 100, **more: Any) -> AdapterVersionEntry:
    tenant, _, name = alias.partition("/")
    usual = {"state": "live" if weight else "staged", "sha256": SHA, "weight": weight, "live_at": 7.5}
    return AdapterVersionEntry(tenant, name, number, **{**usual, **more})


def adapter(alias: str, base: str = "chat") -> AdapterEntry:
    tenant, _, name = alias.partition("/")
    return AdapterEntry(tenant, name, base)


def known(*rows: Row) -> Still:
    some = rows or (adapter("acme/bot"), version("acme/bot"))
    return Still(directory_of(*some, version=5))


def send(model: str = "acme/bot", following: Still | None = None, tenant: str = "acme", **more: Any) -> Reply:
    caller, kept, path = more.pop("caller", {}), more.pop("kept", None), more.pop("path", CHAT)
    given = {"following": following or known(), "snapshot": SNAPSHOT, "kept": kept, "caller": caller}
    given["replicas"] = more.pop("replicas", None)
    body = json.dumps({"model": model, "input": "Hi", **more}).encode() if path == RESPONSES else None
    return ask(path, body or chat(model=model, **more), tenant=tenant, **given)


def asked_for(reply: Reply) -> str:
    assert reply.status is None, reply.body
    mutation = reply.messages[-1].request_body.response.body_mutation.body
    found: str = json.loads(mutation)["model"]
    return found


def listed(following: Still, tenant: str = "acme", **more: Any) -> list[dict[str, Any]]:
    reply = ask("/v1/models", None, method="GET", tenant=tenant, snapshot=SNAPSHOT, following=following, **more)
    data: list[dict[str, Any]] = json.loads(reply.body)["data"]
    return data


def test_an_adapter_goes_to_engines_that_load_adapters_and_to_nothing_else() -> None:
    reply = send()
    assert asked_for(reply) == "acme/bot@1-9c56cc51"
    assert set(reply.clusters) == {"provider/llama"}
    said = reply.metadata["hg.request"]
    assert {name: said[name] for name in ("model", "base_model", "upstream_model")} == {
        "model": "acme/bot",
        "base_model": "chat",
        "upstream_model": "acme/bot@1-9c56cc51",
    }
    assert "base_model" not in send("chat").metadata["hg.request"]


@pytest.mark.parametrize(
    ("held", "waits"), [([set(), {"acme/bot@1-9c56cc51"}], False), ([set(), set()], True), ([], False)]
)
def test_a_request_whose_adapter_no_replica_has_is_one_that_may_wait(held: list[set[str]], waits: bool) -> None:
    heard, name = Replicas(), "acme/bot@1-9c56cc51"
    some = [
        Replica(f"127.0.0.1:{number}", ReplicaState.READY, 0, 0, 8, 0.0, frozenset(names))
        for number, names in enumerate(held, 1)
    ]
    cluster = next(row.cluster for row in SNAPSHOT.tenants["acme"].models["chat"] if row.provider == "llama")
    heard.take("here", {cluster: some})
    reply = send(replicas=heard)
    said = reply.metadata["hg.request"]
    assert (reply.ask.adapter, reply.ask.adapter_cluster) == (name, cluster)
    waiting = {"adapter": name, "cluster": cluster, "lacks_adapter": "true"}
    assert {key: said[key] for key in waiting if key in said} == (waiting if waits else {})
    assert send("chat", replicas=heard).ask.adapter == ""


@pytest.mark.parametrize("tenant", ["zoo", "far", "nobodys"])
@pytest.mark.parametrize("model", ["acme/bot", "acme/nothing", "acme/bot@1-9c56cc51"])
def test_nobody_elses_adapter_is_there(tenant: str, model: str) -> None:
    following = known(adapter("acme/bot"), version("acme/bot"), TenantEntry("nobodys"), GrantEntry("nobodys", "chat"))
    reply = send(model, following, tenant)
    text = f"The model '{model}' does not exist or you do not have access to it."
    assert (reply.status, reply.error["code"], reply.error["message"]) == (404, "model_not_found", text)
    assert model not in [one["id"] for one in listed(following, tenant)]
    assert (
        ask(f"/v1/models/{model}", None, method="GET", tenant=tenant, snapshot=SNAPSHOT, following=following).status
        == 404
    )


@pytest.mark.parametrize(
    "rows",
    [
        (adapter("acme/bot"),),
        (adapter("acme/bot"), version("acme/bot", weight=None)),
        (adapter("acme/bot", "other"), version("acme/bot")),  # no engine answers that model
        (adapter("acme/bot", "unknown"), version("acme/bot")),
        (version("acme/bot"),),
    ],
)
def test_what_is_not_live_or_has_no_engine_is_unknown(rows: tuple[Row, ...]) -> None:
    assert send(following=known(*rows)).status == 404


def test_residency_is_that_of_the_base_models_engines() -> None:
    rows = (adapter("far/bot"), version("far/bot"), adapter("zoo/bot"), version("zoo/bot"))
    assert send("zoo/bot", known(*rows), "zoo").status is None
    assert send("far/bot", known(*rows), "far").status == 404


def test_shared_ones_are_for_those_who_are_granted_them() -> None:
    rows = (adapter("shared/writer"), version("shared/writer"))
    granted = (TenantEntry("t"), GrantEntry("t", "chat"), GrantEntry("t", "shared/writer"))
    assert send("shared/writer", known(*rows)).metadata["hg.request"]["upstream_model"] == "shared/writer@1-9c56cc51"
    assert send("shared/writer", known(*rows, *granted), "t").status is None
    assert send("shared/writer", known(*rows, *granted[:2]), "t").status == 404
    alone = known(*rows, granted[0], granted[2])
    assert send("shared/writer", alone, "t").metadata["hg.request"]["upstream_model"] == "shared/writer@1-9c56cc51"
    assert [one["id"] for one in listed(alone, "t")] == ["shared/writer"]
    assert send("chat", alone, "t").status == 404
    far = known(*rows, TenantEntry("t", zones=("external",)), granted[2])
    assert send("shared/writer", far, "t").status == 404
    assert send("shared/writer", known(*rows), "zoo").status == 404
    assert send("shared/writer", known(*rows), SHARED).status == 401


def test_a_model_of_the_file_keeps_its_name() -> None:
    reply = send("acme/taken", known(adapter("acme/taken"), version("acme/taken")))
    assert reply.metadata["hg.request"]["upstream_model"] == "gpt-4o"


def test_a_key_that_is_confined_to_an_adapter_has_that_and_not_the_base() -> None:
    caller = {"directory": 5, "key_models": ["acme/bot"]}
    following = known()
    assert send(following=following, caller=caller).status is None
    assert send("chat", following, caller=caller).status == 404
    assert send(following=following, caller={"directory": 5, "key_models": ["chat"]}).status == 404
    assert [one["id"] for one in listed(following, caller=caller)] == ["acme/bot"]


def test_two_versions_share_the_users_who_stay_where_they_are() -> None:
    following = known(adapter("acme/bot"), version("acme/bot", 1, 75), version("acme/bot", 2, 25))
    names = [asked_for(send(following=following, user=f"u{number}")) for number in range(200)]
    shares = Counter(names)
    assert set(shares) == {"acme/bot@1-9c56cc51", "acme/bot@2-9c56cc51"}
    assert 25 < shares["acme/bot@2-9c56cc51"] < 80
    assert names == [asked_for(send(following=following, user=f"u{number}")) for number in range(200)]
    assert len({asked_for(send(following=following)) for _ in range(20)}) == 1  # without a user by the tenant


def test_variants_of_the_base_model_are_not_the_adapters() -> None:
    following = known(adapter("acme/bot", "split"), version("acme/bot"))
    for number in range(20):
        reply = send(following=following, user=f"u{number}")
        assert (set(reply.clusters), "variant" in reply.metadata["hg.request"]) == ({"provider/llama"}, False)


def test_tokens_and_terms_are_those_of_the_base_model() -> None:
    tenant = (TenantEntry("t", plan="paid"), GrantEntry("t", "chat"))
    following = known(adapter("t/gpt-4o"), version("t/gpt-4o"), *tenant)
    for reply in (send("t/gpt-4o", following, "t"), send("chat", following, "t")):
        assert reply.metadata["hg.request"]["price_factor"] == "0.50"
        assert (reply.ask.model, reply.ask.price_factor) == ("chat", Decimal("0.50"))
        assert reply.ask.input > 0


def test_models_shows_ones_own_and_shared_ones_with_their_base() -> None:
    rows = (adapter("acme/bot"), version("acme/bot"), adapter("shared/writer"), version("shared/writer"))
    found = {one["id"]: one for one in listed(known(*rows, adapter("zoo/bot"), version("zoo/bot")))}
    assert list(found) == ["chat", "split", "other", "acme/taken", "acme/bot", "shared/writer"]
    shown = {"id": "acme/bot", "object": "model", "created": 7, "owned_by": "acme", "root": "chat", "parent": "chat"}
    assert found["acme/bot"] == shown
    assert found["shared/writer"]["owned_by"] == "shared"
    one = ask("/v1/models/acme%2Fbot", None, method="GET", snapshot=SNAPSHOT, following=known(*rows))
    assert json.loads(one.body) == shown


@pytest.mark.parametrize(("made_by", "goes_on_at"), [(2, 2), (9, 1)])
def test_a_response_goes_on_where_it_was_made_and_else_at_a_version_that_is_live(
    made_by: int, goes_on_at: int
) -> None:
    upstream = f"acme/bot@{made_by}-9c56cc51"
    kept = Knows({("acme", "resp_1"): ("acme/bot", "llama", upstream)})
    following = known(adapter("acme/bot"), version("acme/bot", 1, 99), version("acme/bot", 2, 1))
    reply = send(following=following, path=RESPONSES, kept=KeptResponses(kept), previous_response_id="resp_1")
    assert reply.status is None, reply.body
    assert reply.metadata["hg.request"]["upstream_model"] == f"acme/bot@{goes_on_at}-9c56cc51"
    given = {"snapshot": SNAPSHOT, "following": following, "kept": KeptResponses(kept), "method": "GET"}
    by_id = ask(f"{RESPONSES}/resp_1", None, **given)  # type: ignore[arg-type]
    assert by_id.metadata["hg.request"]["model"] == "acme/bot"
    hidden = ask(f"{RESPONSES}/resp_1", None, **given, caller={"directory": 5, "key_models": ["chat"]})  # type: ignore[arg-type]
    assert hidden.status == 404

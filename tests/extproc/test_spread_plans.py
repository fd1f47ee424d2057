"""What a plan says of engines' replicas: which one each attempt goes to, as far as the feed has told."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from ext_proc_client import Reply, ask, chat, snapshot_of

from extproc.kept import KeptResponses
from headgate.counters.scripts import Argument, Script
from headgate.feed.replicas import Replica, Replicas, ReplicaState
from headgate.feed.states import State, TargetStates, endpoint_name
from headgate.snapshot import TargetRow

CHAT = "/v1/chat/completions"
SNAPSHOT = snapshot_of("""\
providers:
  pool: {api: openai, endpoints: ["http://127.0.0.1:8001", "http://127.0.0.1:8002"]}
  openai: {api: openai, base_url: "http://openai.test"}
engines:
  llama: {kind: vllm, endpoints: ["http://127.0.0.1:8001", "http://127.0.0.1:8002", "http://127.0.0.1:8003"]}
  qwen: {kind: vllm, endpoints: ["http://127.0.0.1:9001", "http://127.0.0.1:9002"]}
  named: {kind: vllm, endpoints: ["http://vllm.test:8000"]}
models:
  chat: {targets: [{provider: llama, model: llama}]}
  mixed: {targets: [{provider: llama, model: llama}, {provider: openai, model: gpt}, {provider: qwen, model: qwen}]}
  long: {max_attempts: 5, targets: [{provider: llama, model: llama}, {provider: qwen, model: qwen}]}
  behind: {targets: [{provider: openai, model: gpt}, {provider: qwen, model: qwen}]}
  one: {max_attempts: 1, targets: [{provider: llama, model: llama}]}
  pool: {targets: [{provider: pool, model: llama}]}
  named: {max_attempts: 4, targets: [{provider: named, model: named}]}
tenants:
  acme: {models: [chat, mixed, long, behind, one, pool, named]}
  beta: {models: [chat, one]}
""")
ROWS: dict[str, TargetRow] = {row.provider: row for rows in SNAPSHOT.tenants["acme"].models.values() for row in rows}
LLAMA = [Replica(f"127.0.0.1:{port}", ReplicaState.READY, 0, 0, 32, 0.0) for port in (8001, 8002, 8003)]
QWEN = [Replica(f"127.0.0.1:{port}", ReplicaState.READY, 0, 0, 32, 0.0) for port in (9001, 9002)]


def told(**replicas: list[Replica]) -> Replicas:
    found = Replicas()
    found.take("g1", {ROWS[name].cluster: some for name, some in replicas.items()})
    return found


def planned(model: str, replicas: Replicas | None, *turns: str, tenant: str = "acme", **more: Any) -> Reply:
    roles = ("user", "assistant")
    said = [{"role": roles[number % 2], "content": text} for number, text in enumerate(turns or ("hi",))]
    body = chat(model=model, messages=said, **more)
    reply = ask(CHAT, body, tenant=tenant, snapshot=SNAPSHOT, replicas=replicas)
    assert reply.status is None, reply.body
    return reply


def first(model: str, replicas: Replicas, *turns: str, tenant: str = "acme") -> str:
    return planned(model, replicas, *turns, tenant=tenant).hosts[0]


def test_each_attempt_has_another_replica() -> None:
    reply = planned("chat", told(llama=LLAMA))
    assert reply.clusters == ["provider/llama"] * 3
    assert sorted(reply.hosts) == [one.address for one in LLAMA]


def test_the_list_goes_along_the_chain() -> None:
    """Envoy reads one list for all clusters, and never goes back in it."""
    both = told(llama=LLAMA, qwen=QWEN)
    reply = planned("mixed", both)
    assert reply.clusters == ["provider/llama", "provider/openai", "provider/qwen"]
    assert [host.partition(":")[2][0] for host in reply.hosts] == ["8", "9"]
    reply = planned("long", both)
    assert reply.clusters == [*["provider/llama"] * 3, *["provider/qwen"] * 2]
    assert [host.partition(":")[2][0] for host in reply.hosts] == ["8", "8", "8", "9", "9"]
    assert len(set(reply.hosts)) == 5
    reply = planned("behind", both)
    assert reply.clusters == ["provider/openai", "provider/qwen", "provider/qwen"]
    assert len(reply.hosts) == 2


def test_a_conversation_stays_where_it_began() -> None:
    replicas = told(llama=LLAMA)
    conversations = [f"Question {number}?" for number in range(60)]
    began = {text: first("one", replicas, text) for text in conversations[:30]}
    replicas.take("g1", {ROWS["llama"].cluster: LLAMA})
    went_on = {text: first("one", replicas, text, "An answer.", "And then?") for text in began}
    assert began == went_on
    assert set(began.values()) == {one.address for one in LLAMA}
    others = [first("one", told(llama=LLAMA), text, tenant="beta") for text in began]
    assert others != list(began.values())  # another tenant's are not looked for where this one's are


def test_choices_of_the_moment_count() -> None:
    replicas = told(llama=LLAMA)
    found = Counter(first("one", replicas, "The same question.") for _ in range(30))
    assert found.most_common(1)[0][1] <= 13  # 1.25 times ten, rounded up
    assert found.total() == 30


def test_only_the_first_attempt_s_replica_is_chosen() -> None:
    replicas = told(llama=LLAMA, qwen=QWEN)
    planned("behind", replicas)
    reply = planned("mixed", replicas)
    running = {
        one.address: one.running for name in ("llama", "qwen") for one in replicas.of(ROWS[name].cluster) or ()
    }
    assert running.pop(reply.hosts[0]) == 1
    assert set(running.values()) == {0}


def test_nothing_is_said_where_nobody_knows() -> None:
    assert planned("chat", Replicas()).hosts == []
    assert planned("chat", told(qwen=QWEN)).hosts == []
    starting = [replace(one, state=ReplicaState.STARTING) for one in LLAMA]
    reply = planned("chat", told(llama=starting))
    assert reply.hosts == []
    assert len(reply.clusters) == 3


def test_other_providers_are_not_asked_about() -> None:
    """Even one that stands before the same endpoints."""
    replicas = Replicas()
    replicas.take("g1", {ROWS[name].cluster: LLAMA for name in ROWS})
    assert planned("pool", replicas).hosts == []
    assert ROWS["pool"].cluster.partition("@")[2] != ROWS["llama"].cluster.partition("@")[2]


@pytest.mark.parametrize(("ready", "attempts"), [(3, 3), (9, 4), (0, 1)])
def test_a_name_may_stand_for_several_replicas(ready: int, attempts: int) -> None:
    some = [Replica(f"10.0.0.{number}:8000", ReplicaState.READY, 0, 0, 32, 0.0) for number in range(ready)]
    reply = planned("named", told(named=some))
    assert len(reply.clusters) == attempts
    assert len(set(reply.hosts)) == min(ready, attempts)


def test_an_adapter_s_replicas_come_first() -> None:
    holding = [replace(LLAMA[0], running=9), replace(LLAMA[1], adapters=frozenset({"llama"})), LLAMA[2]]
    assert {first("chat", told(llama=holding), f"Question {number}?") for number in range(20)} == {LLAMA[1].address}


def test_a_replica_that_envoy_has_ejected_comes_last() -> None:
    states = TargetStates()
    states.take_health("g1", {endpoint_name(ROWS["llama"].cluster, LLAMA[0].address): State.EJECTED})
    for number in range(20):
        asked = chat(model="chat", messages=[{"role": "user", "content": f"Question {number}?"}])
        reply = ask(CHAT, asked, snapshot=SNAPSHOT, replicas=told(llama=LLAMA), states=states)
        assert reply.hosts[-1] == LLAMA[0].address
        assert len(reply.hosts) == 3


def test_embeddings_go_to_the_less_busy() -> None:
    busy = [replace(LLAMA[0], running=3), LLAMA[1]]
    body = json.dumps({"model": "chat", "input": "text"}).encode()
    for _ in range(20):
        reply = ask("/v1/embeddings", body, snapshot=SNAPSHOT, replicas=told(llama=busy))
        assert reply.hosts == [LLAMA[1].address, LLAMA[0].address]


def test_a_request_without_fallback_has_one_replica() -> None:
    body = chat(model="long")
    reply = ask(CHAT, body, snapshot=SNAPSHOT, replicas=told(llama=LLAMA), x_headgate_fallback="off")
    assert (len(reply.clusters), len(reply.hosts)) == (1, 1)


class KeptAtReplica:
    """Counters that know one response, which one replica has in its memory."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def run(self, _script: Script, _keys: Sequence[str], _arguments: Sequence[Argument]) -> bytes:
        return msgspec.json.encode(("chat", "llama", "llama", "", self._address))


def about_response(address: str, replicas: Replicas | None, *, goes_on: bool) -> Reply:
    """A request that goes on from a response, or asks for it."""
    kept = KeptResponses(KeptAtReplica(address))  # type: ignore[arg-type]
    if not goes_on:
        return ask("/v1/responses/resp_1", None, method="GET", snapshot=SNAPSHOT, kept=kept, replicas=replicas)
    body = {"model": "chat", "input": "And then?", "previous_response_id": "resp_1"}
    return ask("/v1/responses", json.dumps(body).encode(), snapshot=SNAPSHOT, kept=kept, replicas=replicas)


@pytest.mark.parametrize("goes_on", [True, False])
@pytest.mark.parametrize("address", [one.address for one in LLAMA])
def test_what_one_replica_keeps_is_asked_of_that_one(address: str, goes_on: bool) -> None:
    busy = [replace(one, waiting=3, running=32) if one.address == address else one for one in LLAMA]
    draining = [replace(one, state=ReplicaState.DRAINING) if one.address == address else one for one in LLAMA]
    for replicas in (told(llama=LLAMA), told(llama=busy), told(llama=draining), None):
        reply = about_response(address, replicas, goes_on=goes_on)
        assert (reply.clusters, reply.hosts) == (["provider/llama"], [address])  # and of no other one afterwards


@pytest.mark.parametrize("goes_on", [True, False])
def test_what_a_replica_kept_that_is_gone_is_said_to_be_gone(goes_on: bool) -> None:
    anew = [replace(LLAMA[0], state=ReplicaState.STARTING), replace(LLAMA[1], state=ReplicaState.AWAY), LLAMA[2]]
    for address in ("127.0.0.1:8001", "127.0.0.1:8002", "127.0.0.1:8009"):
        reply = about_response(address, told(llama=anew), goes_on=goes_on)
        assert (reply.status, reply.error["code"]) == (
            (400, "previous_response_not_found") if goes_on else (404, "response_not_found")
        )
        assert "the replica of the engine that had it in its memory is gone" in reply.error["message"]

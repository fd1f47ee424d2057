"""Keys of the database through the real Envoy and two workers: made, used, revoked, ended, rotated, confined."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from directory_gateway import DirectoryGateway, directory_gateway, key_row
from upstreams import Engine

from authz.mistakes import ADDRESS, FIRST_S
from headgate.directory.rows import KeyRow, TenantEntry, gone
from headgate.virtual_key import make_key

WORKERS, MORE = 2, 6


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Iterator[DirectoryGateway]:
    config = {
        "providers": {"p": {"api": "openai", "endpoints": [f"http://{engine.address}"]}},
        "models": {"m": {"targets": [{"provider": "p", "model": "m"}]}},
        "tenants": {"acme": {"models": ["m"]}, "closed": {"models": ["m"], "disabled": True}},
    }
    with directory_gateway(tmp_path_factory.mktemp("directory"), config) as running:
        yield running


def code_of(reply: httpx2.Response) -> tuple[int, str | None]:
    return reply.status_code, reply.json()["error"]["code"]


def test_a_key_works_as_soon_as_it_is_made_and_until_it_is_revoked(gateway: DirectoryGateway) -> None:
    key = make_key()
    assert code_of(gateway.ask(key)) == (401, "invalid_api_key")
    gateway.put(key_row(key, "key_1"))
    assert gateway.statuses(key) == {200}
    gateway.put(gone(KeyRow, ("key_1",)))
    gateway.until(key, 401)


def test_an_answer_that_runs_goes_on_when_its_key_is_revoked(gateway: DirectoryGateway) -> None:
    key = make_key()
    gateway.put(key_row(key, "key_2"))
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 40}
    headers = {"authorization": f"Bearer {key}"}
    url = f"http://{gateway.http}/v1/chat/completions"
    with httpx2.stream("POST", url, json=body, headers=headers, timeout=90) as reply:
        lines = reply.iter_lines()
        assert next(lines).startswith("data: ")
        gateway.put(gone(KeyRow, ("key_2",)))
        gateway.until(key, 401)
        assert [line for line in lines if line][-1] == "data: [DONE]"


def test_a_key_ends(gateway: DirectoryGateway) -> None:
    key = make_key()
    gateway.put(key_row(key, "key_3", ends_at=time.time() + 3600))
    assert gateway.statuses(key) == {200}
    gateway.put(key_row(key, "key_3", ends_at=time.time() + 0.5))
    gateway.until(key, 401)


def test_the_old_key_and_its_successor(gateway: DirectoryGateway) -> None:
    old, fresh = make_key(), make_key()
    gateway.put(key_row(old, "key_4", ends_at=time.time() + 3600), key_row(fresh, "key_5"))
    assert gateway.statuses(old) == gateway.statuses(fresh) == {200}
    gateway.put(key_row(old, "key_4", ends_at=time.time() - 1))
    gateway.until(old, 401)
    assert gateway.statuses(fresh) == {200}


def test_keys_that_are_confined(gateway: DirectoryGateway) -> None:
    chat, platform, analyst = make_key(), make_key(), make_key()
    gateway.put(
        key_row(chat, "key_6", endpoints=("chat",)),
        key_row(platform, "key_7", None, role="admin"),
        key_row(analyst, "key_8", role="analyst"),
    )
    assert gateway.statuses(chat) == {200}
    assert code_of(gateway.ask(chat, "/v1/embeddings")) == (403, "endpoint_not_allowed")
    for key in (platform, analyst):
        assert code_of(gateway.ask(key)) == (403, "role_not_allowed")
    refused = gateway.ask(analyst, "/v1/messages")
    assert (refused.status_code, refused.json()["error"]["type"]) == (403, "permission_error")


def test_a_tenant_that_is_closed_has_no_keys(gateway: DirectoryGateway) -> None:
    key = make_key()
    gateway.put(key_row(key, "key_9", "closed"))
    assert code_of(gateway.ask(key)) == (401, "invalid_api_key")
    gateway.put(TenantEntry("new", disabled=True), key_row(key, "key_9", "new"))
    assert code_of(gateway.ask(key)) == (401, "invalid_api_key")


def test_bad_keys_are_slowed_and_good_ones_are_not(gateway: DirectoryGateway) -> None:
    good, bad, here = make_key(), make_key(), "127.200.0.1"
    gateway.put(key_row(good, "key_10"))
    began = time.monotonic()
    for _ in range(WORKERS * ADDRESS.free + MORE):
        assert code_of(gateway.ask(bad, source=here)) == (401, "invalid_api_key")
        assert gateway.ask(good, source=here).status_code == 200
    took_s = time.monotonic() - began
    assert took_s >= FIRST_S * (MORE - WORKERS * (1 + took_s * ADDRESS.forgotten_per_s))


def test_what_waits_is_bounded_for_an_address(gateway: DirectoryGateway) -> None:
    bad, here = make_key(), "127.201.0.1"
    with ThreadPoolExecutor(120) as pool:
        replies = list(pool.map(lambda _: gateway.ask(bad, source=here), range(240)))
    refused = [reply for reply in replies if reply.status_code == 429]
    assert {code_of(reply) for reply in replies} == {(401, "invalid_api_key"), (429, "too_many_bad_keys")}
    assert refused[0].headers["retry-after"] == "2"
    assert refused[0].headers["x-headgate-error-source"] == "gateway"
    assert gateway.ask(bad).status_code == 401

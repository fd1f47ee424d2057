"""Idempotency-Keys: a request that comes twice, at once or after a crash, is done once."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import ADMIN, tenant

from control.store.answers import KEPT, find_answer, forget_answers, keep_answer, key_digest
from control.store.failures import OtherRequest, StoreError
from control.store.store import Store
from control.store.tenants import insert_tenant
from control.store.values import Answer

DIGEST = key_digest("key_1", "POST /admin/v1/tenants", "once")
BODY = sha256(b"{}").digest()


def create(store: Store, name: str) -> bytes:
    """As a route does it."""
    with store.write(ADMIN) as unit:
        found = find_answer(unit, DIGEST, BODY)
        if found:
            return found.answer
        insert_tenant(unit, tenant(name))
        unit.record("tenant.create", "tenant", name, tenant_id=name)
        answer = Answer(
            key_digest=DIGEST, tenant_id=name, body_digest=BODY, status=201, answer=name.encode(),
            expires_at=unit.now + KEPT,
        )  # fmt: skip
        keep_answer(unit, answer)
    return answer.answer


def test_requests_at_once_are_done_once(store: Store) -> None:
    with ThreadPoolExecutor(6) as others:
        asked = [others.submit(create, store, f"t{number}") for number in range(6)]
        answers = {one.result(timeout=100) for one in asked}
    assert len(answers) == 1
    with store.read() as reader:
        assert reader.version() == 1


def test_a_request_that_failed_is_tried_again(store: Store) -> None:
    with pytest.raises(StoreError):
        create(store, "a\0b")
    assert create(store, "a") == b"a"


def test_another_body_is_another_request(store: Store) -> None:
    create(store, "a")
    with store.write_aside() as writer:
        with pytest.raises(OtherRequest):
            find_answer(writer, DIGEST, bytes(32))
        assert find_answer(writer, key_digest("key_2", "POST /admin/v1/tenants", "once"), BODY) is None


def test_answers_are_forgotten_in_time(store: Store) -> None:
    create(store, "a")
    store._clock = lambda: dt.datetime.now(dt.UTC) + KEPT + dt.timedelta(seconds=1)
    with store.write_aside() as writer:
        assert find_answer(writer, DIGEST, bytes(32)) is None
        assert forget_answers(writer) == 1
        assert forget_answers(writer) == 0


@given(st.lists(st.text(max_size=5), min_size=3, max_size=3), st.lists(st.text(max_size=5), min_size=3, max_size=3))
def test_a_key_is_of_one_principal_and_one_route(one: list[str], other: list[str]) -> None:
    assert (key_digest(*one) == key_digest(*other)) == (one == other)

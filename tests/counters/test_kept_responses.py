"""Who made a response: for one tenant, for a time, and no more than so many."""

import pytest
from redis import Redis

from headgate.counters.responses import find_call, known_call, mark_call, note_call
from headgate.counters.scripts import Call, mark_key, response_times_key, responses_key, tenant_of


def run(raw: Redis, call: Call) -> bytes | int | list[bytes | None] | None:
    script, keys, arguments = call
    found: bytes | int | list[bytes | None] | None = raw.eval(script.text, len(keys), *keys, *arguments)  # type: ignore[no-untyped-call]
    return found


def note(raw: Redis, tenant: str, response_id: str, maker: bytes = b"maker", **bounds: int) -> None:
    run(raw, note_call(tenant, response_id, maker, **bounds))


def test_is_found_by_its_tenant_alone(raw: Redis) -> None:
    note(raw, "acme", "resp_1", b"one")
    note(raw, "acme", "resp_2", b"two")
    assert run(raw, find_call("acme", "resp_1")) == b"one"
    assert run(raw, find_call("acme", "resp_2")) == b"two"
    for tenant, response_id in (("globex", "resp_1"), ("acme", "resp_3"), ("acme", ""), ("acm", "resp_1")):
        assert run(raw, find_call(tenant, response_id)) is None


def test_each_kind_has_ids_of_its_own(raw: Redis) -> None:
    run(raw, note_call("acme", "one", b"completion", kind="completions"))
    assert run(raw, find_call("acme", "one", kind="completions")) == b"completion"
    assert run(raw, find_call("acme", "one")) is None


def test_several_are_found_as_one_is(raw: Redis) -> None:
    for number in range(3):
        note(raw, "acme", f"resp_{number}", b"%d" % number)
    note(raw, "acme", "resp_old", keep_s=100)
    raw.zincrby(response_times_key("acme"), -101, "resp_old")
    asked = ["resp_2", "resp_9", "", "resp_0", "resp_old", "resp_2"]
    assert run(raw, known_call("acme", asked, keep_s=100)) == [b"2", None, None, b"0", None, b"2"]
    assert run(raw, known_call("globex", asked)) == [None] * 6
    assert run(raw, known_call("acme", [])) == []


def test_a_mark_stays_until_nobody_uses_it(raw: Redis) -> None:
    assert run(raw, mark_call("acme", "one")) == b"one"
    assert run(raw, mark_call("acme", "other", keep_s=100)) == b"one"
    assert run(raw, mark_call("globex", "two")) == b"two"
    assert 0 < raw.ttl(mark_key("acme")) <= 100


def test_the_last_word_holds(raw: Redis) -> None:
    note(raw, "acme", "resp_1", b"one")
    note(raw, "acme", "resp_1", b"other")
    assert run(raw, find_call("acme", "resp_1")) == b"other"
    assert raw.zcard(response_times_key("acme")) == 1


def test_the_newest_are_kept(raw: Redis) -> None:
    for number in range(40):
        note(raw, "acme", f"resp_{number}", most=10)
        raw.zincrby(response_times_key("acme"), number - 100, f"resp_{number}")  # as if seconds had passed
    found = [number for number in range(40) if run(raw, find_call("acme", f"resp_{number}"))]
    assert (len(found), min(found)) == (10, 30)
    assert raw.hlen(responses_key("acme")) == raw.zcard(response_times_key("acme")) == 10


def test_they_go_when_their_time_is_over(raw: Redis) -> None:
    note(raw, "acme", "resp_old", keep_s=100)
    raw.zincrby(response_times_key("acme"), -101, "resp_old")
    assert run(raw, find_call("acme", "resp_old", keep_s=100)) is None
    note(raw, "acme", "resp_new", keep_s=100)
    assert raw.hkeys(responses_key("acme")) == [b"resp_new"]
    assert 0 < raw.ttl(responses_key("acme")) <= 100
    assert 0 < raw.ttl(response_times_key("acme")) <= 100


@pytest.mark.parametrize(
    "call", [note_call("acme", "resp_1", b""), find_call("acme", "resp_1"), known_call("acme", ["resp_1"])]
)
def test_all_keys_are_on_the_tenants_node(call: Call) -> None:
    assert {tenant_of(key) for key in call[1]} == {"acme"}

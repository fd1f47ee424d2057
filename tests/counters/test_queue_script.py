"""The queue's scripts in a real Valkey against a plain model of them, on a clock of the test's."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from headgate.counters.queue import (
    BEAT_MS,
    NOWHERE,
    QUEUE_CHANNEL,
    REMEMBER_MS,
    Admitted,
    Looked,
    Notice,
    Verdict,
    read_notice,
)
from headgate.counters.scripts import queue_keys
from headgate.counters.slots import slot_of
from tests.counters.queue_calls import LEASE_MS, ONE, POOL, Queue, of
from tests.counters.tenant import EPOCH

SLOT = Admitted(Verdict.SLOT, 0, 0, 0, ONE)


@pytest.fixture
def queue(raw: Redis) -> Queue:
    return Queue(raw)


def fill(queue: Queue, number: int, **differs: Any) -> None:
    for turn in range(number):
        queue.ask(f"{differs.get('tenant', 'acme')}/{differs.get('priority', '')}{turn}", **differs)


def test_all_keys_of_an_engine_are_on_one_node() -> None:
    assert len({slot_of(key) for key in queue_keys(POOL)}) == 1


def test_a_request_waits_for_the_slot_that_another_one_has(queue: Queue) -> None:
    assert queue.ask("first").verdict is Verdict.SLOT
    assert queue.ask("second") == Admitted(Verdict.WAITS, 0, None, 0)
    assert queue.ask("third") == Admitted(Verdict.WAITS, 1, None, 0)
    queue.now += 400
    assert queue.end("first") == 1
    assert queue.ask("third").verdict is Verdict.WAITS, "it is not its turn"
    assert queue.ask("second") == replace(SLOT, waited_ms=400)
    assert queue.ask("second").verdict is Verdict.SLOT, "asked again, it still has it"
    assert queue.ask("third").expected_ms == 400, "as long as the first one took"


def test_tenants_take_turns_by_their_shares(queue: Queue) -> None:
    queue.ask("running")
    fill(queue, 12, tenant="acme")
    fill(queue, 12, tenant="globex", share=2)
    fill(queue, 3, tenant="initech")
    served = [name.partition("/")[0] for name in queue.serve_all()]
    assert Counter(served[:12]) == {"acme": 3, "globex": 6, "initech": 3}
    assert served[-3:] == ["acme"] * 3


def test_each_tenants_requests_keep_their_order(queue: Queue) -> None:
    queue.ask("running")
    fill(queue, 5, tenant="acme")
    fill(queue, 5, tenant="globex")
    served = queue.serve_all()
    for tenant in ("acme", "globex"):
        assert [name for name in served if name.startswith(tenant)] == [f"{tenant}/{turn}" for turn in range(5)]


def test_the_urgent_come_first_and_nobody_is_passed_over_for_ever(queue: Queue) -> None:
    queue.ask("running")
    for priority in ("low", "normal", "high"):
        fill(queue, 20, priority=priority)
    served = [name.removeprefix("acme/").rstrip("0123456789") for name in queue.serve_all()]
    assert served[:8] == ["high"] * 8
    assert Counter(served[:20]) == {"high": 16, "normal": 2, "low": 2}
    assert Counter(served) == {"high": 20, "normal": 20, "low": 20}


def test_who_left_costs_its_tenant_no_turn(queue: Queue) -> None:
    queue.ask("running")
    fill(queue, 10, tenant="acme")
    for turn in reversed(range(10)):
        queue.end(f"acme/{turn}")
        del queue.seats[f"acme/{turn}"]
    fill(queue, 3, tenant="globex")
    queue.ask("acme/late", tenant="acme")
    assert queue.ask("acme/late").ahead == 1, "behind globex's first one"


def test_a_full_queue_keeps_those_whose_turn_comes_first(raw: Redis) -> None:
    queue = Queue(raw, length=3)
    queue.ask("running")
    fill(queue, 3, tenant="acme")
    assert queue.ask("acme/more", tenant="acme").verdict is Verdict.FULL
    assert queue.ask("globex/0", tenant="globex").verdict is Verdict.WAITS, "in place of acme's last one"
    assert queue.ask("acme/2").verdict is Verdict.FULL
    assert queue.ask("urgent", tenant="acme", priority="high") == Admitted(Verdict.WAITS, 0, None, 0)
    assert queue.ask("acme/0").verdict is Verdict.WAITS
    assert queue.ask("acme/1").verdict is Verdict.FULL


def test_a_full_queue_keeps_the_urgent_however_many_wait_for_other_models(raw: Redis) -> None:
    queue = Queue(raw, length=2)
    queue.ask("running")
    fill(queue, 25, tenant="acme", model="other", length=100, priority="low")
    assert queue.ask("urgent", priority="high").verdict is Verdict.WAITS
    assert queue.ask("first", tenant="initech", priority="low").verdict is Verdict.WAITS
    fill(queue, 25, tenant="globex", model="other", length=100, priority="low")
    assert queue.ask("second", tenant="initech", priority="low").verdict is Verdict.FULL, "its turn is the last one"
    assert queue.ask("urgent").verdict is Verdict.WAITS
    assert queue.ask("normal").verdict is Verdict.WAITS, "in place of one whose turn is far behind"
    assert queue.ask("first").verdict is Verdict.FULL
    assert [queue.ask(name).verdict for name in ("urgent", "normal")] == [Verdict.WAITS] * 2


def test_a_class_keeps_places_in_a_full_queue_and_its_turns_come_however_many_more_urgent_ones_do(raw: Redis) -> None:
    queue = Queue(raw, length=16)
    queue.ask("running")
    fill(queue, 16, tenant="acme")
    fill(queue, 3, tenant="globex", priority="low")
    assert queue.ask("globex/low0").verdict is Verdict.WAITS, "two places of sixteen are for its class"
    assert queue.ask("globex/low1").verdict is Verdict.WAITS
    assert queue.ask("globex/low2").verdict is Verdict.FULL
    assert queue.ask("globex/low0").ahead == 8, "so many go before it at most"
    fill(queue, 16, tenant="urgent", priority="high")
    assert [queue.ask(f"globex/low{turn}").verdict for turn in range(2)] == [Verdict.WAITS] * 2
    running, before = "running", 0
    while not queue.holds("globex/low0"):
        before += 1
        queue.end(running)
        running = f"more{before}"
        queue.ask(running, tenant="urgent", priority="high")
        running = next(name for name in queue.seats if queue.ask(name).verdict is Verdict.SLOT)
    assert before == 9, "eight went before it"


def test_a_turn_that_would_come_too_late_is_not_waited_for(queue: Queue) -> None:
    queue.ask("first")
    queue.now += 1000
    queue.end("first")
    queue.ask("second")
    assert queue.ask("patient", patience_ms=1000).verdict is Verdict.WAITS
    refused = queue.ask("hasty", patience_ms=1999)
    assert refused == Admitted(Verdict.TOO_LATE, 1, 2000, 0)
    assert queue.ask("other", patience_ms=2000).ahead == 1, "nothing of the refused one is left"


def test_who_is_not_heard_of_any_more_is_in_nobodys_way(queue: Queue) -> None:
    queue.ask("running")
    queue.ask("dead")
    queue.ask("living")
    queue.now += BEAT_MS - 1
    queue.ask("living")
    queue.end("running")
    assert queue.ask("living").verdict is Verdict.WAITS, "it may be there yet"
    queue.now += 1
    assert queue.ask("living").verdict is Verdict.SLOT


def test_a_slot_ends_with_its_lease(queue: Queue) -> None:
    queue.ask("lost")
    queue.ask("waits")
    queue.now += LEASE_MS - 1
    assert queue.ask("other").verdict is Verdict.WAITS
    queue.now += 1
    assert queue.ask("other").verdict is Verdict.SLOT


def test_a_request_that_has_ended_takes_no_slot(queue: Queue) -> None:
    queue.ask("early", places=NOWHERE)
    assert queue.end("early") == 0
    assert queue.ask("early").verdict is Verdict.ENDED
    assert queue.ask("next").verdict is Verdict.SLOT
    queue.ask("again")
    queue.end("again", remember_ms=0)
    assert queue.ask("again").verdict is Verdict.WAITS, "only the worker that asked for it was gone"


def test_one_that_does_not_wait_counts_all_the_same(queue: Queue) -> None:
    assert queue.ask("first", length=None).verdict is Verdict.SLOT
    assert queue.ask("second", length=None).verdict is Verdict.SLOT
    assert queue.ask("third").verdict is Verdict.WAITS
    queue.end("first")
    assert queue.ask("third").verdict is Verdict.WAITS, "the second one is above what there is"
    queue.end("second")
    assert queue.ask("third").verdict is Verdict.SLOT


def test_one_that_waits_no_longer_takes_its_slot_and_leaves_the_line(queue: Queue) -> None:
    """As when all replicas have been away for long: its gateway sends it on whether there is a slot or not."""
    queue.ask("running")
    queue.ask("goes on", priority="low")
    fill(queue, 10, tenant="globex", priority="low")
    queue.now += 300
    queue.seats["goes on"] = replace(queue.seats["goes on"], length=None)
    assert queue.ask("goes on") == replace(SLOT, waited_ms=300)
    assert queue.look(1) == Looked(held=2, waiting=10, is_full=True)
    assert queue.end("running", "goes on") == 2
    assert queue.ask("globex/low0").verdict is Verdict.SLOT


def test_of_many_slots_whose_leases_are_over_each_call_gives_back_some_and_nobody_is_kept_out(raw: Redis) -> None:
    queue = Queue(raw, capacity=600, length=1)
    fill(queue, 600)
    queue.now += LEASE_MS
    assert queue.look(600) == Looked(held=344, waiting=0, is_full=False)
    assert queue.ask("next").verdict is Verdict.SLOT
    assert queue.ask("acme/599").verdict is Verdict.SLOT, "as anew"
    assert queue.look(600) == Looked(held=2, waiting=0, is_full=False)


def test_nobody_is_refused_for_those_who_are_not_heard_of_any_more_however_many(raw: Redis) -> None:
    queue = Queue(raw, length=600)
    queue.ask("running")
    fill(queue, 600)
    queue.now += BEAT_MS
    for name in ("first", "second"):
        assert queue.ask(name, length=1).verdict is Verdict.WAITS
    assert queue.ask("third", length=1).verdict is Verdict.FULL
    assert queue.look(1).waiting == 2


def test_what_is_kept_of_tenants_does_not_grow_while_some_wait(queue: Queue) -> None:
    queue.ask("running")
    fill(queue, 40, tenant="lasting")
    running = "running"
    for number in range(30):
        waiting = [f"tenant{number}", f"lasting/{number}"]
        queue.ask(waiting[0], tenant=waiting[0])
        while waiting:
            queue.end(running)
            running = next(name for name in waiting if queue.ask(name).verdict is Verdict.SLOT)
            waiting.remove(running)
    keys = queue_keys(POOL)
    assert queue.valkey.hlen(keys[10]) + queue.valkey.zcard(keys[15]) < 5


def test_nothing_is_left_when_all_have_ended(queue: Queue) -> None:
    queue.ask("running")
    fill(queue, 4, tenant="acme")
    fill(queue, 4, tenant="globex", priority="low")
    queue.end(queue.serve_all()[-1])
    queue.now += REMEMBER_MS
    assert queue.end("running", remember_ms=0) == 0
    left = {key.decode().rpartition("}:")[2] for key in queue.valkey.keys("hg:{engine/*")}
    assert left == {"state"}
    assert not [name for name in queue.valkey.hkeys(queue_keys(POOL)[2]) if name[1:2] == b":"]


def test_those_whose_turn_it_is_are_told(queue: Queue) -> None:
    with queue.valkey.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe(QUEUE_CHANNEL)
        queue.ask("running")
        queue.ask("waits")
        queue.end("running")
        queue.ask("waits")
        queue.end("waits")
        said = [one for one in (read_notice(message["data"]) for message in heard(listener)) if one]
    assert Notice(POOL, is_full=True, called=(f"{EPOCH}/waits",)) in said
    assert said[0].is_full
    assert said[-1] == Notice(POOL, is_full=False, called=())


def test_an_engine_is_said_to_be_full_for_as_long_as_it_is_and_who_waits_hears_of_new_slots(queue: Queue) -> None:
    with queue.valkey.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe(QUEUE_CHANNEL)
        queue.ask("running")
        for _ in range(3):
            queue.now += 1000
            assert queue.look(1) == Looked(held=1, waiting=0, is_full=True)
        queue.ask("waits")
        assert queue.look(2) == Looked(held=1, waiting=1, is_full=True)
        queue.seats["waits"] = replace(queue.seats["waits"], places=of(2))
        assert queue.ask("waits").verdict is Verdict.SLOT
        queue.now += LEASE_MS
        assert queue.look(2) == Looked(held=0, waiting=0, is_full=False)
        assert queue.look(0) == Looked(held=0, waiting=0, is_full=False), "there is nothing, and nobody asks"
        said = [read_notice(message["data"]) for message in heard(listener)]
    assert said.count(Notice(POOL, is_full=True, called=())) >= 4
    assert Notice(POOL, is_full=True, called=(f"{EPOCH}/waits",)) in said
    assert said[-1] == Notice(POOL, is_full=False, called=())


def test_an_engine_that_nobody_has_asked_for_or_that_was_away_is_not_said_to_be_full(raw: Redis) -> None:
    for queue in (Queue(raw), Queue(raw, capacity=0)):
        with queue.valkey.pubsub(ignore_subscribe_messages=True) as listener:
            listener.subscribe(QUEUE_CHANNEL)
            if not queue.seat.places.replicas:
                assert queue.ask("through", length=None).verdict is Verdict.SLOT
            else:
                queue.seats["elsewhere"] = replace(queue.seat, request_id="elsewhere")
            queue.end(*queue.seats)
            assert list(heard(listener)) == []


def heard(listener: Any) -> Iterator[Any]:
    listener.get_message(timeout=5)  # that it has subscribed
    while message := listener.get_message(timeout=0.2):
        yield message

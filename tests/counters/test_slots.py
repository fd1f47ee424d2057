"""Slots, maps of them and redirections, as servers write them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.counters.address import CountersAddress, parsed
from headgate.counters.cluster_map import map_of
from headgate.counters.slots import Place, Range, Redirect, ranges_of, redirect_of, slot_of


@pytest.mark.parametrize(
    ("key", "slot"),
    [
        # Of the cluster's specification; a real node is asked for more of them.
        ("123456789", 0x31C3),
        ("foo", 12182),
        ("{foo}bar", 12182),
        ("a{foo}{bar}", 12182),
    ],
)
def test_slots(key: str, slot: int) -> None:
    assert slot_of(key) == slot


@given(st.text(st.characters(exclude_characters="{}"), min_size=1), st.text())
def test_all_keys_of_a_tenant_have_one_slot(tenant: str, rest: str) -> None:
    assert slot_of(f"hg:{{{tenant}}}:{rest}") == slot_of(f"hg:{{{tenant}}}:open") == slot_of(tenant)


@pytest.mark.parametrize(
    ("error", "redirect"),
    [
        ("MOVED 3999 10.0.0.1:6381", Redirect(3999, Place("10.0.0.1", 6381), 6381, ask=False)),
        ("ASK 3999 ::1:6381", Redirect(3999, Place("::1", 6381), 6381, ask=True)),
        ("MOVED 3999 b.example:6381", Redirect(3999, Place("b.example", 6381), 6381, ask=False)),
        ("MOVED 3999 :6381", Redirect(3999, Place(None, 6381), 6381, ask=False)),
        ("MOVED 3999 ?:6381", Redirect(3999, None, 6381, ask=False)),
        ("MOVED 16384 a:1", None),
        ("MOVED", None),
        ("MOVED x a:1", None),
        ("ASK 1 a:", None),
        ("TRYAGAIN Multiple keys request during rehashing of slot", None),
        ("CLUSTERDOWN Hash slot not served", None),
    ],
)
def test_redirections(error: str, redirect: Redirect | None) -> None:
    assert redirect_of(error) == redirect


@given(st.text())
def test_no_error_is_too_odd(error: str) -> None:
    redirect_of(error)
    redirect_of(f"MOVED {error}")


REPLY = [
    [5461, 16383, [b"10.0.0.2", 6379, b"id2", []]],
    [0, 5460, [b"10.0.0.1", 6379, b"id1", [b"hostname", b"a.example"]], [b"10.0.0.3", 6379, b"id3"]],
]


def test_a_map() -> None:
    assert ranges_of(REPLY) == (
        Range(0, 5460, Place("10.0.0.1", 6379), (Place("10.0.0.3", 6379),)),
        Range(5461, 16383, Place("10.0.0.2", 6379)),
    )
    asked = parsed("rediss://u:secret@seed:7000")
    found = map_of(asked, REPLY)
    assert [one.address for one in found.ranges] == [asked.at("10.0.0.1", 6379), asked.at("10.0.0.2", 6379)]
    assert found.ranges[0].address.password == "secret"
    assert found.ranges[0].address.tls
    assert [address.host for address in found.addresses] == ["10.0.0.1", "10.0.0.3", "10.0.0.2"]


@pytest.mark.parametrize(
    ("node", "host"),
    [
        ([b"", 6381, b"id", []], "seed"),  # alone, it does not know its own address
        ([None, 6381, b"id", [b"ip", b"10.0.0.1"]], "seed"),  # cluster-preferred-endpoint-type unknown-endpoint
        ([b"?", 6381, b"id", [b"ip", b"10.0.0.1"]], "10.0.0.1"),  # hostname, of a node that has none
        ([b"?", 6381, b"id", []], "seed"),
        ([b"b.example", 6381, b"id", [b"ip", b"10.0.0.1"]], "b.example"),
    ],
)
def test_where_a_node_is(node: list[Any], host: str) -> None:
    (one,) = map_of(parsed("redis://seed:7000"), [[0, 16383, node]]).ranges
    assert (one.address.host, one.address.port) == (host, 6381)


def test_a_node_that_is_asked_by_its_socket_is_there() -> None:
    asked = CountersAddress(path="/run/v.sock")
    assert map_of(asked, [[0, 16383, [b"", 0, b"id", []]]]).ranges[0].address == asked


@pytest.mark.parametrize(
    "reply",
    [[1], [[]], [[0, 16384, [b"a", 1]]], [[5, 4, [b"a", 1]]], [[0, 1, []]], [[0, 1, [b"\xff", 1]]], [[0, 1]], "x"],
)
def test_what_is_no_map(reply: Any) -> None:
    with pytest.raises(ValueError, match="not a map"):
        ranges_of(reply)

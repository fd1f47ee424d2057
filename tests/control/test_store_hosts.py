"""Hosts: seen, seen again, removed by an operator, back when they are back."""

import pytest
from databases import Database
from rows import ADMIN

from control.store.failures import Missing
from control.store.hosts import list_hosts, note_host, remove_host
from control.store.store import Store
from control.store.values import Host


def seen(store: Store, host_id: str, name: str) -> Host:
    with store.write_aside() as writer:
        return note_host(writer, Host(id=host_id, name=name))


def test_hosts_are_known_until_they_are_removed(migrated: Database) -> None:
    with migrated.engine() as engine:
        store = Store(engine)
        first = seen(store, "host_a", "one")
        seen(store, "host_b", "two")
        again = seen(store, "host_a", "one, renamed")
        assert again.first_seen_at == first.first_seen_at <= again.seen_at
        with store.read() as reader:
            assert [(host.id, host.name) for host in list_hosts(reader)] == [
                ("host_a", "one, renamed"),
                ("host_b", "two"),
            ]
        with store.write(ADMIN) as unit:
            remove_host(unit, "host_b")
        with pytest.raises(Missing), store.write(ADMIN) as unit:
            remove_host(unit, "host_b")
        seen(store, "host_b", "two")
        with store.read() as reader:
            assert len(list_hosts(reader)) == 2

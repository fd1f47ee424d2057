"""Adapters in the directory: rows of another version, and who has changed when a shared one does."""

import msgspec

from headgate.directory.directory import Directory
from headgate.directory.rows import SHARED, AdapterEntry, AdapterVersionEntry, Change, change_to, gone, row_of

SHA = "9c56cc51" + "0" * 56


def version(tenant: str = "acme", number: int = 1, **more: object) -> AdapterVersionEntry:
    return AdapterVersionEntry(tenant, "bot", number, "live", SHA, **{"weight": 100, **more})  # type: ignore[arg-type]


def test_an_engine_knows_other_weights_by_another_name() -> None:
    assert version().engine_name == "acme/bot@1-9c56cc51"
    assert AdapterVersionEntry("acme", "bot", 1, "live", "b" * 64).engine_name == "acme/bot@1-bbbbbbbb"


def test_rows_of_an_earlier_and_of_a_later_version_are_read() -> None:
    early = Change("adapter_version", ("acme", "bot", "2"), msgspec.msgpack.encode(["acme", "bot", 2, "staged", SHA]))
    assert row_of(early) == AdapterVersionEntry("acme", "bot", 2, "staged", SHA)
    fields = msgspec.msgpack.decode(change_to(version()).row)
    late = Change("adapter_version", ("acme", "bot", "1"), msgspec.msgpack.encode([*fields, "something new"]))
    assert row_of(late) == version()
    unknown = Change("adapter_signer", ("acme",), b"\x90")  # a kind that this version does not have
    directory = Directory(1, [[change_to(AdapterEntry("acme", "bot", "chat")), unknown, late]])
    assert [(one.entry.alias, one.versions) for one in directory.adapters("acme")] == [("acme/bot", (version(),))]


def test_a_version_that_has_gone_is_gone_for_its_adapter_alone() -> None:
    rows = [AdapterEntry("acme", "bot", "chat"), AdapterEntry("zoo", "bot", "chat"), version(), version("zoo")]
    directory = Directory(1, [[change_to(row) for row in (*rows, version(number=2))]])
    directory.take(2, [gone(AdapterVersionEntry, ("acme", "bot", "1"))])
    assert [one.versions for one in directory.adapters("acme")] == [(version(number=2),)]
    assert [one.entry.alias for one in directory.all_adapters()] == ["acme/bot", "zoo/bot"]
    assert directory.adapters("zoo")[0].versions == (version("zoo"),)


def test_a_shared_adapter_is_news_for_every_tenant_and_a_tenants_own_for_it_alone() -> None:
    directory = Directory(1)
    directory.take(2, [change_to(version())])
    assert [directory.tenant_version(name) for name in ("acme", "zoo")] == [2, 1]
    directory.take(3, [change_to(AdapterEntry(SHARED, "bot", "chat"))])
    assert [directory.tenant_version(name) for name in ("acme", "zoo")] == [3, 3]

"""Lists, page by page, while others make and remove: each object that stays is on exactly one page."""

import asyncio
from functools import partial
from typing import Any

import msgspec
import pytest
from admin import DECLARED, Caller, api
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control.lists import by_name, files_first, of_names
from control.store import paging
from control.store.failures import BadCursor
from control.store.paging import Page, Wish, cursor_of, filled, place_of
from control.store.store import Store
from headgate.declared import DeclaredKey, DeclaredTenant

names = st.text("abcdefAB09._-", min_size=1, max_size=3)


class Rows:
    """Rows of a database, by name, which others change between pages."""

    def __init__(self, names: set[str]) -> None:
        self.names = names

    def page(self, wish: Wish) -> Page[str]:
        after = "" if wish.after is None else place_of("rows", wish.after, [str])[0]
        found = sorted(name for name in self.names if name > after)
        chosen = tuple(found[: wish.limit])
        return Page(chosen, cursor_of("rows", [chosen[-1]]) if len(found) > wish.limit else None)


@given(*[st.sets(names)] * 3, st.integers(1, 4), st.lists(st.tuples(st.booleans(), names)))
def test_each_name_comes_once_and_in_order(
    stay: set[str], declared: set[str], filtered: set[str], limit: int, others: list[tuple[bool, str]]
) -> None:
    """`others` are made, or removed, one after each page. `filtered` are declared, and not what was asked for."""
    hidden = declared | filtered
    rows, found, after, changes = Rows(set(stay)), [], None, iter(others)
    for _ in range(200):
        page: Page[Any] = by_name("rows", declared, hidden, Wish(limit, after), rows.page, lambda row: row)
        assert len(page.items) <= limit
        found += [one for one in page.items if one in stay | declared]
        assert not {*page.items} & (filtered - declared)
        if (after := page.next) is None:
            break
        is_made, name = next(changes, (True, ""))
        if name and name not in stay:
            (rows.names.add if is_made else rows.names.discard)(name)
    else:
        pytest.fail("the list has no end")
    assert found == sorted((stay - hidden) | declared)


@given(st.sets(names), st.sets(names), st.integers(1, 4))
def test_what_the_file_has_comes_first_and_once(declared: set[str], stay: set[str], limit: int) -> None:
    found: list[Any] = []
    rows, after = Rows(stay), None
    for _ in range(200):
        page: Page[Any] = files_first("rows", sorted(declared), Wish(limit, after), rows.page)
        assert len(page.items) <= limit
        assert page.items or not page.next
        found += page.items
        if (after := page.next) is None:
            break
    assert found == sorted(declared) + sorted(stay)


@given(st.sets(names), st.integers(1, 4))
def test_what_is_in_memory(items: set[str], limit: int) -> None:
    found, after = [], None
    while True:
        page = of_names("rows", {name: name for name in items}, Wish(limit, after))
        found += page.items
        if (after := page.next) is None:
            break
    assert found == sorted(items)


def _from(rows: list[tuple[int, str]], begin: int, after: int, most: int) -> list[tuple[int, str]]:
    return rows[begin + after :][:most]


@given(st.lists(st.integers(0, 1500), max_size=60), st.integers(1, 50))
def test_a_page_ends_by_bytes_too_and_each_row_comes_once(sizes: list[int], limit: int) -> None:
    rows, found = [(number, "x" * size) for number, size in enumerate(sizes)], []
    after: str | None = None
    while True:
        begin = 0 if after is None else place_of("sizes", after, [int])[0] + 1
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(paging, "MOST_BYTES", 1000)
            page = filled(Wish(limit, after), partial(_from, rows, begin), lambda row: cursor_of("sizes", [row[0]]))
        assert len(page.items) <= limit
        assert len(page.items) <= 1 or sum(len(text) for _, text in page.items) <= 1000
        found += page.items
        if (after := page.next) is None:
            break
        assert page.items
    assert found == rows


@given(st.text(max_size=60))
def test_what_is_no_cursor(text: str) -> None:
    for page in (
        lambda: by_name("rows", (), (), Wish(1, text), Rows(set()).page, str),
        lambda: files_first("rows", (), Wish(1, text), Rows(set()).page),
        lambda: of_names("rows", {}, Wish(1, text)),
    ):
        with pytest.raises(BadCursor):
            page()


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.integers(1, 5), made=st.integers(0, 12), declared=st.integers(0, 6))
def test_keys_and_tenants_over_the_api(store: Store, limit: int, made: int, declared: int) -> None:
    """While as many again are made, after each page."""
    keys = [DeclaredKey(f"yaml-{number}") for number in range(declared)]
    tenant = f"t{limit}-{made}-{declared}"
    others = {f"{tenant}-{number}": DeclaredTenant() for number in range(declared)}
    app = api(store, msgspec.structs.replace(DECLARED, tenants={tenant: DeclaredTenant(keys=keys), **others}))
    admin = Caller(app)

    async def walk(path: str, make: Any) -> list[str]:
        found: list[str] = []
        after, number = "", 0
        while True:
            page = (await admin.get(f"{path}?limit={limit}{after}")).json()
            found += [one["id"] for one in page["data"]]
            if page["next"] is None:
                return found
            after, number = f"&after={page['next']}", number + 1
            if number < 10:
                await make(number)

    async def run() -> None:
        path = f"/tenants/{tenant}/keys"
        ids = [(await admin.post(path, {"name": f"k{number}"})).json()["id"] for number in range(made)]
        found = await walk(path, lambda number: admin.post(path, {"name": f"later{number}"}))
        assert found[: declared + made] == [key.name for key in keys] + ids
        assert len(set(found)) == len(found)
        names = [f"{tenant}.{number:02}" for number in range(made)]
        for name in names:
            await admin.post("/tenants", {"id": name})
        seen = await walk("/tenants", lambda number: admin.post("/tenants", {"id": f"{tenant}.x{number}"}))
        assert seen == sorted(seen)
        assert len(set(seen)) == len(seen)
        assert set(seen) >= {tenant, *others, *names}

    asyncio.run(run())

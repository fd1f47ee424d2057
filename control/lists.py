"""Lists that are made of two parts: what gateway.yaml declares, and what is in the database. Pure but for the reads
that it is given.

A cursor says after which name or row the next page begins, so that pages neither skip nor repeat, whatever is made or
reloaded in between.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, TypeVar

from fastapi import Query

from control.fields import Count
from control.store.failures import BadCursor
from control.store.paging import Page, Wish, cursor_of, place_of

V = TypeVar("V")

Limit = Annotated[Count, Query(description="How many at most.")]
After = Annotated[str | None, Query(description="`next` of the page before.", max_length=2048)]
MOST_ON_A_PAGE = 50  # unless another number is asked for


def by_name(
    of: str,
    declared: Iterable[str],
    shadowing: Iterable[str],
    wish: Wish,
    read: Callable[[Wish], Page[V]],
    name_of: Callable[[V], str],
) -> Page[str | V]:
    """Names that are declared among rows, in one order. `shadowing`: names whose rows are not shown.

    `of` is the rows' table, whose cursors these are.
    """
    after = "" if wish.after is None else str(place_of(of, wish.after, [str])[0])
    page = read(wish)
    hidden = set(shadowing)
    end = name_of(page.items[-1]) if page.next and page.items else None
    found: dict[str, str | V] = {name_of(row): row for row in page.items if name_of(row) not in hidden}
    found |= {name: name for name in declared if name > after and (end is None or name <= end)}
    names = sorted(found)
    chosen = names[: wish.limit]
    items = tuple(found[name] for name in chosen)
    if len(names) > wish.limit:
        return Page(items, cursor_of(of, [chosen[-1]]))
    return Page(items, None if end is None else cursor_of(of, [end]))


def files_first(of: str, declared: Sequence[str], wish: Wish, read: Callable[[Wish], Page[V]]) -> Page[str | V]:
    """Names that are declared, in their order, and then the rows in theirs."""
    mine = f"{of} of gateway.yaml"
    after: str | None = None
    if wish.after is not None:
        try:
            after = str(place_of(mine, wish.after, [str])[0])
        except BadCursor:
            return _rows(read(wish))
    names = sorted(name for name in declared if after is None or name > after)
    chosen = tuple(names[: wish.limit])
    if len(names) > wish.limit or len(chosen) == wish.limit:
        more = len(names) > wish.limit or bool(read(Wish(1)).items)
        return Page(chosen, cursor_of(mine, [chosen[-1]]) if more else None)
    page = read(Wish(wish.limit - len(chosen)))
    return Page((*chosen, *page.items), page.next)


def of_names(of: str, items: dict[str, V], wish: Wish) -> Page[V]:
    """A page of what is in memory, by name."""
    after = "" if wish.after is None else str(place_of(of, wish.after, [str])[0])
    names = sorted(name for name in items if name > after)
    chosen = names[: wish.limit]
    return Page(
        tuple(items[name] for name in chosen), cursor_of(of, [chosen[-1]]) if len(names) > wish.limit else None
    )


def _rows(page: Page[V]) -> Page[str | V]:
    return Page(tuple(page.items), page.next)

"""Asking servers whether they are a cluster, and who has which slots: by a connection that there is, or a new one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import hiredis

from headgate.counters.address import CountersAddress
from headgate.counters.connection import Lost, accepted, connect
from headgate.counters.slots import Place, is_well, ranges_of
from headgate.counters.unavailable import Unavailable, code_of, reason_of


@dataclass(frozen=True, slots=True)
class Slots:
    """Slots `first` to `last`, and the node that has them."""

    first: int
    last: int
    address: CountersAddress


@dataclass(frozen=True, slots=True)
class Map:
    """Who has which slots. `addresses` are all nodes, replicas too; `is_well`: who said so is in touch with them."""

    ranges: tuple[Slots, ...]
    addresses: tuple[CountersAddress, ...]
    is_well: bool = True


async def ask(asked: CountersAddress, command: Callable[..., Awaitable[Any]]) -> Map:
    """The map by the words of this node. Raises ValueError, and what `command` raises."""
    well = is_well(await command("CLUSTER", "INFO"))
    return map_of(asked, await command("CLUSTER", "SLOTS"), well=well)


def map_of(asked: CountersAddress, reply: Sequence[Any], *, well: bool = True) -> Map:
    """What CLUSTER SLOTS answers. Raises ValueError when it is none of that."""
    ranges = ranges_of(reply)
    slots = tuple(Slots(one.first, one.last, address_of(asked, one.primary)) for one in ranges)
    places = dict.fromkeys(place for one in ranges for place in (one.primary, *one.replicas))
    return Map(slots, tuple(address_of(asked, place) for place in places), well)


def address_of(asked: CountersAddress, place: Place) -> CountersAddress:
    """Where a place is, by the words of the node that was asked."""
    if place.host is not None:
        return asked.at(place.host, place.port)
    return asked if asked.path else asked.at(asked.host, place.port)


async def look(addresses: Sequence[CountersAddress], timeout_s: float) -> Map | None:
    """The map as the first of these has it that is in touch with its cluster, or any; None: there is no cluster.

    All are asked at once. Raises Unavailable when none says anything, or there are several and no cluster.
    """
    tasks = [asyncio.create_task(_ask_anew(address, timeout_s)) for address in addresses]
    found: list[Map] = []
    reason = ""
    try:
        for answered in asyncio.as_completed(tasks):
            try:
                answer = await answered
            except (OSError, TimeoutError, Lost, ValueError, hiredis.HiredisError) as error:
                reason = reason_of(error)
                continue
            if answer is None and len(addresses) == 1:
                return None
            if answer is None:
                reason = "one of several nodes, and no cluster"
            elif answer.is_well:
                return answer
            else:
                found.append(answer)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if not found:
        raise Unavailable(reason, maybe=False)
    return max(found, key=lambda answer: len(answer.ranges))


async def _ask_anew(address: CountersAddress, timeout_s: float) -> Map | None:
    """By a connection of its own. None: it is no cluster, or does not let us know."""
    connection = await connect(address, timeout_s, lambda _: None)

    async def command(*words: str) -> Any:
        return accepted(await connection.call(words))

    try:
        return await ask(address, command)
    except hiredis.ReplyError as error:
        if code_of(error) in ("ERR", "NOPERM"):
            return None
        raise
    finally:
        connection.lose("asked")

"""What there is in place of an answer of the counters, and why, in words for people."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import hiredis

from headgate.counters.connection import Lost
from headgate.counters.slots import Redirect


class Unavailable(Exception):  # noqa: N818 - a state, decided upon by the caller
    """The counters did not decide. `maybe` says whether the call may have been carried out all the same.

    Unavailable
    ├── Failed      the server is well and this call is wrong, today and tomorrow
    └── Redirected  another node of the cluster has the key
    """

    def __init__(self, reason: str, *, maybe: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.maybe = maybe


class Failed(Unavailable):
    """The server is well and this call is wrong, today and tomorrow."""


class Redirected(Unavailable):
    """Another node of the cluster has the key, as this one says."""

    def __init__(self, reason: str, to: Redirect) -> None:
        super().__init__(reason, maybe=False)
        self.to = to


async def within(left_s: float, call: Awaitable[Any]) -> Any:
    """The reply of a call that had to wait for something else before. Raises Unavailable."""
    try:
        # Python 3.11's wait_for loses a cancellation that comes as it completes.
        async with asyncio.timeout(left_s):
            return await call
    except TimeoutError:
        raise Unavailable("no answer in time", maybe=True) from None


def code_of(error: hiredis.ReplyError) -> str:
    """The first word, such as OOM: the rest may name keys."""
    return str(error).partition(" ")[0]


def reason_of(error: Exception) -> str:
    """Why a server is away, for people."""
    if isinstance(error, hiredis.ReplyError):
        return f"answers {code_of(error)}"
    if isinstance(error, TimeoutError):
        return "no connection in time"
    return str(error) if isinstance(error, Lost) else type(error).__name__

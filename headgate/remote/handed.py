"""What a worker on another host was handed over by its gateway: files of the working directory, and its word.

Files are written as they come; whoever reads them follows them as on the gateway's own host. Without the gateway's
word for LAPSE_S what is known may not hold any more: a key may be revoked, the spool's disk full. A word
counts from when we asked for it, and only once all that it tells of is worked by.
"""

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

import structlog

from headgate import contract, spool_room
from headgate.feed.identity import GATEWAY_ID_ENV
from headgate.remote.messages import (
    LAPSE_S,
    SAID_EVERY_S,
    Add,
    Garbled,
    Handed,
    Hello,
    Put,
    Said,
    Unpacker,
    Word,
    is_handed_over,
    packed,
)

_REMEMBERED = 100  # of what was said: more than LAPSE_S has room for

log = structlog.get_logger()


class HandedOver:
    """The state of it. `turned` is called when there are other tables."""

    def __init__(self, turned: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.hello: Hello | None = None
        self.outdated = False  # another gateway's word, or other services: for a process that starts anew
        self._turned, self._clock = turned, clock
        self._link: Link | None = None
        self._asked: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED)  # numbers of what was said, and when
        self._number = 0
        self._word_at: float | None = None  # when the gateway's latest word was asked for
        self._good_at: float | None = None  # likewise of the latest one that is worked by
        self._told = 0  # the generation of the tables that were handed over
        self._said: tuple[int, tuple[str, ...]] | None = None  # over this connection
        self._said_at = 0.0
        contract.ISSUER_KEYS.mkdir(mode=0o700, exist_ok=True)  # workers ask for keys there

    def link(self) -> "Link":
        """A connection of the gateway's."""
        return Link(self)

    @property
    def is_fresh(self) -> bool:
        """Whether what is worked by can be gone by."""
        return self._is_recent(self._good_at)

    @property
    def is_told(self) -> bool:
        """Whether what is here can be begun with, taken over or not."""
        return self._is_recent(self._word_at)

    def _is_recent(self, at: float | None) -> bool:
        return at is not None and not self.outdated and self._clock() - at < LAPSE_S

    def environment(self) -> dict[str, str]:
        """What parts of a gateway get by their environment."""
        hello = self.hello
        if hello is None:
            return {}
        ours = {GATEWAY_ID_ENV: hello.gateway_id, contract.WORKERS_ENV: str(hello.workers)}
        return ours | {contract.COUNTERS_URL_ENV: hello.counters}

    def say(self, generation: int, *, has_all: bool) -> None:
        """Tables of this generation are worked by, and all or not all of the directory that is here.

        Called often, passed on when it is news or overdue.
        """
        if has_all and generation == self._told:
            self._good_at = self._word_at
        wanted = tuple(sorted(str(path) for path in contract.ISSUER_KEYS.glob("*.wanted")))
        said, now = (generation, wanted), self._clock()
        if self._link is None or (said == self._said and now - self._said_at < SAID_EVERY_S):
            return
        self._number += 1
        self._asked.append((self._number, now))
        self._link.send(Said(self._number, generation, wanted))
        self._said, self._said_at = said, now
        for path in wanted:
            Path(path).unlink(missing_ok=True)

    def begins(self, link: "Link", hello: Hello) -> None:
        """The latest connection that greets well counts: the one before may be of a supervisor that died.

        Raises Garbled for a greeting that is refused.
        """
        self._greet(hello)
        if self._link:
            self._link.abort()
        for folder in (contract.DIRECTORY, contract.IDENTITY, contract.SECRETS):
            folder.mkdir(mode=0o700, exist_ok=True)
            (folder / ".draft").unlink(missing_ok=True)  # of a connection that broke
        Path(".draft").unlink(missing_ok=True)
        self._link, self._said = link, None
        log.info("gateway is there")

    def begin_again(self) -> None:
        """Have the gateway hand everything over anew."""
        if self._link:
            self._link.abort()

    def ends(self, link: "Link") -> None:
        """The connection is gone; its last word holds for a while."""
        if self._link is link:
            self._link = None
            log.warning("gateway is gone", goes_on_s=LAPSE_S)

    def take(self, message: Put | Add | Word) -> None:
        """What the gateway says after its greeting. Raises Garbled, and OSError for what can't be written."""
        match message:
            case Put(path=path, content=content, last=last):
                draft = _file(path).with_name(".draft")
                with _opened(draft) as file:
                    file.write(content)
                if last:
                    draft.replace(path)
                    if path == str(contract.SNAPSHOT):
                        self._turned()
            case Add(path=path, content=content):
                with _opened(_file(path)) as file:
                    file.write(content)
            case Word(generation=told, spool_free_bytes=free, heard=heard):
                self._told = told
                spool_room.told_free_bytes[:] = [free]
                while self._asked and self._asked[0][0] <= heard:
                    self._word_at = self._asked.popleft()[1]

    def _greet(self, hello: Hello) -> None:
        if self.hello in (None, hello):
            self.hello = hello
        elif self.hello.gateway_id != hello.gateway_id and self.is_told:
            raise Garbled(f"gateway {hello.gateway_id} calls, and {self.hello.gateway_id} is served here")
        else:
            log.warning("gateway has other services than at the start, or is another one: a new start is needed")
            self.outdated = True


class Link(asyncio.Protocol):
    """One connection, from the gateway."""

    def __init__(self, handed: HandedOver) -> None:
        self._handed = handed
        self._unpacker: Unpacker[Handed] = Unpacker(Handed)  # type: ignore[arg-type] # a union is no class
        self._greeted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It begins; what counts is its greeting."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Takes what is said, until something can't be taken."""
        if self._transport.is_closing():
            return
        try:
            for message in self._unpacker.feed(data):
                self._take(message)
        except (Garbled, OSError) as error:
            log.error("what the gateway hands over can't be taken", reason=str(error))  # noqa: TRY400 - none of ours
            self.abort()

    def _take(self, message: Handed) -> None:
        if self._greeted != (not isinstance(message, Hello)):
            raise Garbled("a greeting comes first, and once")
        if isinstance(message, Hello):
            self._handed.begins(self, message)
            self._greeted = True
        else:
            self._handed.take(message)

    def connection_lost(self, _error: Exception | None) -> None:
        """It has ended."""
        self._handed.ends(self)

    def send(self, said: Said) -> None:
        """To the gateway."""
        if not self._transport.is_closing():
            self._transport.write(packed(said))

    def drain(self) -> None:
        """Let go of it: the gateway begins again, if it may."""
        self.abort()

    def refuse(self) -> None:
        """Likewise."""
        self.abort()

    def abort(self) -> None:
        """It ends now."""
        self._transport.abort()


def _file(path: str) -> Path:
    if not is_handed_over(path):
        raise Garbled("a file that nobody hands over")
    return Path(path)


def _opened(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600), "ab")

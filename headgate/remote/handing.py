"""The gateway's side: keeps each worker on another host told of everything that workers here read from files.

What changes is noticed by looking, ten times a second. A worker that is away is tried again and again. A connection
begins anew when the CAs change, and when the worker's certificate ends.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from headgate.config.addresses import Address
from headgate.config.certificates import CertificateError
from headgate.remote.contexts import Renewed, client_context
from headgate.remote.holdings import Holdings
from headgate.remote.messages import (
    LAPSE_S,
    PROTOCOL,
    Garbled,
    Handed,
    Hello,
    Said,
    Unpacker,
    Word,
    packed,
)
from headgate.remote.network import TlsFiles
from headgate.spool_room import free_bytes

LOOK_EVERY_S = 0.1
LOOK_AT_CERTIFICATES_EVERY_S = 1.0
CONNECT_WITHIN_S = 3.0
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 1.0

log = structlog.get_logger()


class Silent(Exception):  # noqa: N818 - what happened
    """The worker has said nothing for too long, or hung up."""


@dataclass(frozen=True, slots=True)
class Hosts:
    """Where the workers are, by which name each has to be known, and what both sides are verified with."""

    endpoints: tuple[Address, ...]
    server_name: str | None
    files: TlsFiles


class Handing:
    """To all workers on other hosts. The working directory is the state directory."""

    def __init__(self, hosts: Hosts, hello: Hello) -> None:
        self._workers = [_Worker(endpoint, hosts, hello) for endpoint in hosts.endpoints]

    async def run(self) -> None:
        """Until it is cancelled."""
        await asyncio.gather(*(worker.run() for worker in self._workers))

    async def until_turned(self, generation: int, within_s: float) -> None:
        """Wait until each that is there works by these tables. One that does not is begun with again."""
        deadline = time.monotonic() + within_s
        while behind := [one for one in self._workers if one.is_there and one.generation < generation]:
            if time.monotonic() >= deadline:
                for worker in behind:
                    log.warning("worker does not take the new tables, it is let go", worker=worker.name)
                    worker.let_go()
                return
            await asyncio.sleep(0.02)


class _Worker:
    def __init__(self, endpoint: Address, hosts: Hosts, hello: Hello) -> None:
        self.name = str(endpoint)
        self.is_there, self.generation = False, 0
        self._endpoint, self._hosts, self._hello = endpoint, hosts, hello
        self._reason: str | None = None
        self._tls: Renewed | None = None
        self._heard = 0  # the number of what it said last, over this connection
        self._let_go: Callable[[], object] = bool

    def let_go(self) -> None:
        """Begin again with it."""
        self._let_go()

    async def run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            began = time.monotonic()
            try:
                await self._connected()
            except (OSError, TimeoutError, Silent, Garbled, CertificateError, msgspec.DecodeError) as error:
                self._say(_reason_of(error))
            except Exception:  # a bug of ours must not end it for good
                log.exception("handing over failed", worker=self.name)
            finally:
                self.is_there, self.generation, self._heard = False, 0, 0
            if time.monotonic() - began > LONGEST_PAUSE_S:
                pause_s = FIRST_PAUSE_S
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _say(self, reason: str | None) -> None:
        """One line per change."""
        if reason == self._reason:
            return
        self._reason = reason
        if reason:
            log.warning("worker on another host is away", worker=self.name, reason=reason)
        else:
            log.info("worker on another host is there", worker=self.name)

    async def _connected(self) -> None:
        tls = await asyncio.to_thread(self._renewed)
        async with asyncio.timeout(CONNECT_WITHIN_S):
            reader, writer = await asyncio.open_connection(
                self._endpoint.host,
                self._endpoint.port,
                ssl=tls.context,
                server_hostname=self._hosts.server_name or self._endpoint.host,
            )
        if writer.get_extra_info("ssl_object").selected_alpn_protocol() != PROTOCOL:
            writer.transport.abort()
            raise Garbled("somebody answers who is no worker of ours")
        holdings = Holdings()
        ends = ssl.cert_time_to_seconds(writer.get_extra_info("peercert")["notAfter"])
        works = (self._hand(holdings, writer), self._hear(holdings, reader), _until_other_certificates(tls, ends))
        tasks = [asyncio.create_task(work) for work in works]
        self._let_go = writer.transport.abort
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            writer.transport.abort()

    def _renewed(self) -> Renewed:
        """By the files as they are, or as they were when they could be used. Raises OSError and CertificateError."""
        files = self._hosts.files
        if self._tls:
            self._tls.look()
        else:
            self._tls = Renewed(files, lambda: client_context(files, [PROTOCOL]))
        return self._tls

    async def _hand(self, holdings: Holdings, writer: asyncio.StreamWriter) -> None:
        answered = 0
        await _send(writer, [self._hello])
        while True:
            heard = self._heard  # before the look: the word is true of that moment, or of a later one
            news = holdings.news()
            has_news = False
            # Its files are read in a thread: the directory may be large, and a disk may be slow.
            while piece := await asyncio.to_thread(next, news, None):
                await _send(writer, [piece])
                has_news = True
            if holdings.generation and (has_news or heard != answered):
                await _send(writer, [Word(holdings.generation, free_bytes() or 0, heard)])
                answered = heard
            await asyncio.sleep(LOOK_EVERY_S)

    async def _hear(self, holdings: Holdings, reader: asyncio.StreamReader) -> None:
        unpacker = Unpacker(Said)
        while True:
            try:
                async with asyncio.timeout(LAPSE_S):
                    data = await reader.read(65_536)
            except TimeoutError:
                raise Silent(f"silent for {LAPSE_S:g} s") from None
            if not data:
                raise Silent("closed the connection")
            for said in unpacker.feed(data):
                self.generation, self._heard = said.generation, said.number
                if not self.is_there:
                    self.is_there = True
                    self._say(None)
                await asyncio.to_thread(_ask, said.wanted, holdings.wanted)


async def _until_other_certificates(tls: Renewed, ends: float) -> None:
    """Until others are trusted, or the worker's certificate, which `ends` then, is no good any more."""
    while time.time() < ends:
        await asyncio.sleep(LOOK_AT_CERTIFICATES_EVERY_S)
        if await asyncio.to_thread(tls.look):
            return


async def _send(writer: asyncio.StreamWriter, messages: Iterable[Handed]) -> None:
    for message in messages:
        writer.write(packed(message))
    async with asyncio.timeout(LAPSE_S):
        await writer.drain()


def _ask(wanted: Iterable[str], known: set[str]) -> None:
    """Have the ledger fetch issuers' keys, as a worker here would."""
    for path in known.intersection(wanted):
        with contextlib.suppress(OSError):
            Path(path).touch(0o600)


def _reason_of(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not good: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or 'failed'}"
    if isinstance(error, Silent | Garbled | CertificateError):
        return str(error)
    return type(error).__name__

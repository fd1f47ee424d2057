"""Control's process: the store, what follows it, and the admin API on a socket that Envoy leads clients to.

It starts with every gateway and is mostly idle: what it imports is what it costs. Whatever is wrong with the
database, the process lives, says so, and tries again.
"""

import asyncio
import importlib
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog
import uvloop

from control.accounts_work import AccountsWork
from control.adapter_work import AdapterWork
from control.admin_key import make_first_key
from control.admin_uses import AdminUses
from control.app_when_needed import AppWhenNeeded
from control.declared_file import DeclaredFile
from control.gate import Gate
from control.holdings import HostHolding, host_id, this_host, wanted
from control.key_uses import UsesTaken
from control.listening import listening
from control.opening import Opening
from control.publisher import Publisher
from control.store.credentials import list_credentials
from control.store.credits import find_account
from control.store.engine import file_of, sqlite_url
from control.store.erasure import unfinished_deletions
from control.store.failures import StoreAway, StoreError
from control.store.looks import Looks
from control.store.store import Store
from control.store.values import CreditAccount
from headgate import contract, metrics
from headgate.auth_secrets import AuthSecrets
from headgate.directory.following import Following
from headgate.lifeline import until_end
from headgate.snapshot import AuthRow
from headgate.ticks import until_next

USES_EVERY_S = 10.0
HOST_EVERY_S = 60.0
CREDITS_EVERY_S = 60.0
PROMOTIONS_EVERY_S = 2.0
UPLOADS_EVERY_S = 60.0
OBJECTS_EVERY_S = 6 * 3600.0
USAGE_WITHIN_S = 15.0  # for the usage store's answer: before control's own time is over (control/gate.py)
LOOK_EVERY_S = 1.0  # at the database's standing, and for deletions that another host has begun

log = structlog.get_logger()


def run(*, lifeline: bool) -> None:
    """Serve below the working directory until SIGTERM, SIGINT or, with `lifeline`, the end of stdin."""
    contract.RUN.mkdir(mode=0o700, exist_ok=True)
    uvloop.run(_serve(lifeline=lifeline))


class Control:
    """What one process has."""

    def __init__(self, database_url: str, counters_url: str | None) -> None:
        self.store = Store.at(database_url)
        self.opening = Opening(self.store, known=_directory_has_rows)
        self.declared = DeclaredFile(contract.DECLARED)
        self.app = AppWhenNeeded(self._make_app)
        self.usage = AppWhenNeeded(self._make_usage_app)
        self._publisher = Publisher(self.store, contract.DIRECTORY, counters_url)
        self._admin_uses = AdminUses()
        self._uses = UsesTaken(self.store, self._admin_uses)
        self._making = threading.Lock()
        self._credentials: Any = None
        self._accounts = AccountsWork(self.store, self.declared)
        self._adapters = AdapterWork(self.store, self.declared)
        self._row: AuthRow | None = None
        self._secrets = AuthSecrets(AuthRow())
        self._file = file_of(database_url)
        self._inode: int | None = None  # of the file that is open
        self._looks: Looks | None = None  # of the database that was looked at for work

    def gate(self) -> Gate:
        """What is served."""
        return Gate(
            self.opening,
            self.app,
            self.usage,
            lambda: make_first_key(self.store, self.make_digest),
            lambda body: _reports().answer_to(self.store, this_host(), body),
        )

    def secrets(self) -> AuthSecrets:
        """Those that the accepted gateway.yaml names."""
        row = self.declared().auth
        if row != self._row:
            self._secrets, self._row = AuthSecrets(row), row
        return self._secrets

    def make_digest(self, key: str) -> tuple[bytes, str]:
        """Of a new key, and the id of the pepper. Raises SecretAway."""
        return self.secrets().peppers().digest(key)

    async def work(self) -> None:
        """Until it is cancelled: opens the store, and does what has to be done beside requests."""
        await self.opening.run()
        self._inode = _inode_of(self._file)
        self._publisher.start()
        try:
            await asyncio.gather(
                _every(LOOK_EVERY_S, self._look),
                _every(USES_EVERY_S, lambda: asyncio.to_thread(self._uses.take_up)),
                _every(HOST_EVERY_S, lambda: asyncio.to_thread(self._accounts.note_host)),
                _every(HOST_EVERY_S, lambda: asyncio.to_thread(self._accounts.hand_over)),
                _every(CREDITS_EVERY_S, lambda: asyncio.to_thread(self._accounts.end_credits)),
                _every(PROMOTIONS_EVERY_S, lambda: asyncio.to_thread(self._adapters.settle_promotions)),
                _every(UPLOADS_EVERY_S, self._adapters.go_on),
                _every(OBJECTS_EVERY_S, self._adapters.tidy),
            )
        finally:
            await asyncio.to_thread(self._publisher.close)

    async def close(self) -> None:
        """End what the app runs, and let go of the database."""
        await self.app.close()
        await self.usage.close()
        if self._credentials:
            await asyncio.to_thread(self._credentials.close)
        self.store.close()

    async def _look(self) -> None:
        """Also for what another host has begun: the app works on deletions once it is there."""
        told = self._publisher.state
        self.opening.note(told.problem)
        if told.version is not None:
            metrics.DIRECTORY_VERSION.labels("control").set(told.version)
        if _inode_of(self._file) != self._inode:
            # What is written into the old one is lost. A new process finds out what there is now.
            log.error("the database's file was removed or exchanged under us: control starts again")
            os.kill(os.getpid(), signal.SIGTERM)
        looks = self.store.looks()
        if not self.app.is_made and (looks is None or looks != self._looks):
            deletions, credentials = await asyncio.to_thread(self._waiting)
            if deletions:
                await self.app()
            elif credentials and self._credentials is None:
                await asyncio.to_thread(self._follow_credentials)
            self._looks = looks

    def _account(self, tenant: str) -> CreditAccount | None:
        """As the database has it now. Raises StoreError."""
        if not self.opening.opened:
            raise StoreAway("the database is not open")
        with self.store.read() as reader:
            return find_account(reader, tenant)

    def _waiting(self) -> tuple[bool, bool]:
        """Whether there are deletions, and stored credentials."""
        with self.store.read() as reader:
            return bool(unfinished_deletions(reader)), bool(list_credentials(reader))

    def _follow_credentials(self) -> Any:
        """From the first time on that something is stored, or can be."""
        with self._making:
            if self._credentials is None:
                self._credentials = importlib.import_module("control.credentials").open_credentials(self.store)
                self._publisher.followers.append(self._credentials.changed)
                self._credentials.start()
        return self._credentials

    def _make_app(self) -> Any:
        make_app = importlib.import_module("control.app").make_app
        tools = importlib.import_module("control.tools")
        given = tools.Tools(
            make_digest=self.make_digest,
            ask_ledger=_ledger(),
            ask_usage=importlib.import_module("control.invoices.usage").asking(contract.USAGE_SOCKET),
            ask_marks=importlib.import_module("control.invoices.usage").asking_marks(contract.USAGE_SOCKET),
            seen_invoices=self._accounts.seen_invoices(),
            host=host_id(),
            hand_over=self._accounts.hand_over,
            holdings=[HostHolding(host_id()), self._adapters.holding()],
            wanted=wanted,
            vault=self._follow_credentials(),
            note_use=self._admin_uses.note,
        )
        return make_app(self.store, lambda: self.secrets().service_key(), self.declared, given)

    def _make_usage_app(self) -> Any:
        make_usage_app = importlib.import_module("control.usage_api.app").make_usage_app
        store = importlib.import_module("headgate.usage_client").UsageClient(contract.USAGE_SOCKET, USAGE_WITHIN_S)
        key, note = lambda: self.secrets().service_key(), self._admin_uses.note
        return make_usage_app(key, note, _ledger(), store, self._account)


def _ledger() -> Any:
    return importlib.import_module("control.ledger_questions").LedgerQuestions(contract.LEDGER_QUESTIONS)


def _reports() -> Any:
    return importlib.import_module("control.adapters.reports")


def _directory_has_rows() -> bool:
    following = Following(contract.DIRECTORY)
    following.catch_up()
    return following.directory.version > 0


def _inode_of(file: Path | None) -> int | None:
    try:
        return file.stat().st_ino if file else None
    except FileNotFoundError:
        return None


async def _every(seconds: float, work: Callable[[], Awaitable[object]]) -> None:
    while True:
        try:
            await work()
        except StoreError as error:
            log.warning("waits for the database", error=str(error))
        except Exception:  # a turn's boundary: the next one comes
            log.exception("work beside requests failed")
        await asyncio.sleep(until_next(seconds))


async def _serve(*, lifeline: bool) -> None:
    database_url = os.environ.get(contract.DATABASE_URL_ENV) or sqlite_url(contract.DATABASE)
    control = Control(database_url, os.environ.get(contract.COUNTERS_URL_ENV))
    async with listening(control.gate(), contract.CONTROL_API_SOCKET):
        log.info("control started", pid=os.getpid())
        work = asyncio.create_task(control.work())
        await until_end(lifeline=lifeline)
    work.cancel()
    await asyncio.wait({work})
    await control.close()
    log.info("control stopped")

"""Clients of the store, chdb in the state directory or a ClickHouse over HTTP: opened when needed, lent one by one.

All of this blocks: it is for threads. Nothing of ClickHouse is imported before a client is asked for: chdb's library
is in memory from then on, and cannot be let go. No error's text quotes a row, an address or a password.

StoreError
├── StoreAway     nothing can be kept or asked now, and no question is at fault: try again later
│   └── StoreTooNew   a newer version's tables: this one must not touch them
└── StoreRefused  this statement is not taken, however often it comes
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from headgate.standing import Standing, State
from headgate.store_url import PasswordPlace, StoreUrl
from ledger.store.schema import DATABASE

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

CONNECT_TIMEOUT_S = 5
ANSWER_TIMEOUT_S = 60  # of a ClickHouse: one that takes longer is away
AT_ONCE = 3  # clients that are lent; who asks for another one waits

# Its defaults are a server's: caches of 5 GB each, nine tenths of the machine's memory, and a look at every table for
# something to do ten times a second. A merge begins when a part has come; writing parts anew waits for the next look.
_OF_CHDB = {
    "max_server_memory_usage": str(1536 * 2**20),
    "mark_cache_size": str(64 * 2**20),
    "index_mark_cache_size": str(16 * 2**20),
    "primary_index_cache_size": str(64 * 2**20),
    "query_condition_cache_size": str(16 * 2**20),
    "memory_worker_period_ms": "2000",
    "background_processing_pool_thread_sleep_seconds_if_nothing_to_do": "1",  # with 5, erasing takes 4 times as long
    "background_streaming_processing_pool_thread_sleep_seconds": "60",  # no table here is a stream's
    "background_streaming_processing_pool_thread_sleep_seconds_if_nothing_to_do": "60",
}

# ClickHouse's codes for values that are none of their column's type or range; all else may be taken another time.
_OF_VALUES = frozenset({6, 26, 27, 38, 41, 53, 69, 70, 72, 117, 130, 131, 321, 349, 407, 441})

log = structlog.get_logger()


class StoreError(Exception):
    """The text is for the log, and for people. `code` is ClickHouse's; None where it has not answered."""

    def __init__(self, text: str, code: int | None = None) -> None:
        super().__init__(text)
        self.code = code


class StoreAway(StoreError):  # noqa: N818 - what happened, not what went wrong
    """No answer now."""


class StoreTooNew(StoreAway):
    """A newer version of Headgate has changed the tables."""


class StoreRefused(StoreError):  # noqa: N818 - likewise
    """A statement that is not taken."""


class Store:
    """`prepare` is called with the first client, and brings up the tables: True where there were none.

    It may raise StoreError. `was_empty` is what it has said; False before.
    """

    def __init__(self, url: StoreUrl | None, folder: Path, prepare: Callable[["Client"], bool]) -> None:
        self._url = url
        self._folder = folder
        self._prepare = prepare
        self._prepared = False
        self.was_empty = False
        self._damage: str | None = None
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(AT_ONCE)
        self._free: list[Client] = []
        self.standing = Standing("opening", time.time())

    @property
    def is_embedded(self) -> bool:
        """chdb, which ends with this process whatever it is doing."""
        return self._url is None

    @property
    def exists(self) -> bool:
        """False where nothing was ever stored: then there is nothing to look for, either."""
        return self._url is not None or self._folder.exists()

    @contextlib.contextmanager
    def client(self) -> Iterator["Client"]:
        """One for this thread alone, while it is held. Raises StoreError, also from within."""
        with self._room:
            client: Client | None = None
            try:
                with _own_errors():
                    client = self._taken()
                    yield client
            except StoreRefused:
                self._give_back(client)
                raise
            except StoreAway as error:
                _close(client)  # whatever is left in its connection
                if error.code is None:
                    self.stand("unusable" if isinstance(error, StoreTooNew) else "away", str(error))
                raise
            except BaseException:
                _close(client)
                raise
            self._give_back(client)
            self.stand("behind" if self._damage else "up", self._damage)

    def close(self) -> None:
        """Let go of those that nobody holds."""
        with self._lock:
            free, self._free = self._free, []
        for client in free:
            _close(client)

    def stand(self, state: State, detail: str | None = None) -> None:
        """How it is from now on."""
        if (state, detail) == (self.standing.state, self.standing.detail):
            return
        self.standing = Standing(state, time.time(), detail)
        if state == "up":
            log.info("usage store is there")
        elif state == "behind":
            log.error("usage store has lost something", reason=detail)
        else:
            log.error("usage store can't be used: requests wait in the journal", state=state, reason=detail)

    def _taken(self) -> "Client":
        with self._lock:
            if self._free:
                return self._free.pop()
            client = self._opened()
            if not self._prepared:
                try:
                    self.was_empty = self._prepare(client)
                except BaseException:
                    _close(client)
                    raise
                self._damage = _damage(client)
                self._prepared = True
            return client

    def _opened(self) -> "Client":
        import clickhouse_connect  # late, as this module says

        if self._url is None:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            here: dict[str, Any] = {"interface": "chdb", "path": str(self._folder), "chdb_options": _OF_CHDB}
            try:
                return _in_database(lambda **more: clickhouse_connect.get_client(**here, **more), DATABASE)
            except clickhouse_connect.driver.exceptions.ProgrammingError as error:
                text = "its folder can't be opened: something in it is damaged, or another process has it"
                raise StoreAway(text) from error
        url = self._url
        options: dict[str, Any] = {
            "interface": "https" if url.tls else "http",
            "host": url.host,
            "port": url.port,
            "username": url.user,
            "password": _password(url.password),
            "ca_cert": url.ca,
            "connect_timeout": CONNECT_TIMEOUT_S,
            "send_receive_timeout": ANSWER_TIMEOUT_S,
            "query_retries": 0,
            "autogenerate_session_id": False,
            "form_encode_query_params": True,  # names of many tenants are longer than a URL may be
        }
        return _in_database(lambda **more: clickhouse_connect.get_client(**options, **more), url.database)

    def _give_back(self, client: "Client | None") -> None:
        if client is not None:
            with self._lock:
                self._free.append(client)


def _in_database(get: Callable[..., "Client"], database: str) -> "Client":
    first = get()
    try:
        first.command(f"CREATE DATABASE IF NOT EXISTS {database}")
    finally:
        first.close()
    return get(database=database)


def _damage(client: "Client") -> str | None:
    """What ClickHouse has set aside of ours when it found it damaged, and goes on without."""
    ((parts, tables),) = client.query(
        "SELECT count(), arrayStringConcat(arraySort(groupUniqArray(table)), ', ') FROM system.detached_parts"
        " WHERE database = currentDatabase() AND startsWith(reason, 'broken')"
    ).result_rows
    return f"{parts} damaged parts of {tables} are set aside: what was in them is missing" if parts else None


def _password(given: str | PasswordPlace) -> str:
    if isinstance(given, str):
        return given
    try:
        return os.environ[given.place] if given.kind == "env" else Path(given.place).read_text().strip()
    except (KeyError, OSError, UnicodeDecodeError) as error:
        raise StoreAway(f"its password can't be read ({type(error).__name__})") from None


def _close(client: "Client | None") -> None:
    if client is not None:
        with contextlib.suppress(Exception):  # whatever state it is in
            client.close()


def is_of_values(error: Exception) -> bool:
    """Whether the client says that a value is none of its column's."""
    return getattr(error, "code", None) in _OF_VALUES


@contextlib.contextmanager
def _own_errors() -> Iterator[None]:
    """What the client raises, as ours: by ClickHouse's name and number for it, never with its text."""
    try:
        yield
    except (StoreError, GeneratorExit):
        raise
    except OSError as error:
        raise StoreAway(error.strerror or type(error).__name__) from error
    except Exception as error:
        kind = type(error)
        if not kind.__module__.startswith(("clickhouse_connect", "chdb")):
            raise
        code, name = getattr(error, "code", None), getattr(error, "name", None) or kind.__name__
        if code in _OF_VALUES:
            raise StoreRefused(f"{name} ({code})", code) from error
        raise StoreAway(f"{name} ({code})" if code else name, code) from error

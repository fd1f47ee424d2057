"""The one place of a host that is signed in to Vault: reads what is referred to, and reads it again.

What was read is in files of the `secrets` folder, and stays there when Vault is away, denies it or has lost it: the
value in use goes on, and `error` says so. A token is renewed in time whether or not anything has to be read.
"""

import hashlib
import threading
import time
from collections.abc import Collection, Mapping
from pathlib import Path

import structlog
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from headgate.supervise.files import write_atomic
from headgate.vault import files
from headgate.vault.errors import VaultAway, VaultDenied, VaultError
from headgate.vault.login import Credentials, Session
from headgate.vault.reading import Reader
from headgate.vault.server import Server

log = structlog.get_logger()

START_WITHIN_S = 10.0  # for a Vault that is just starting
AWAY_S = 5.0  # while it is away it is asked this often
_LEAST_S = 0.2

Problems = dict[str, str]  # by place


class Following:
    """Of one Vault. `shares_token`: who wraps data keys has to have it."""

    def __init__(
        self, server: Server, credentials: Credentials, folder: Path, refresh_s: float, *, shares_token: bool = False
    ) -> None:
        self.error: str | None = None  # for /readyz; no secret in it
        self._session, self._reader = Session(server, credentials), Reader()
        self._folder, self._refresh_s, self._shares_token = folder, refresh_s, shares_token
        self._places: set[str] = set()
        self._turn = threading.Lock()  # one at a time asks Vault
        self._wake, self._closed = threading.Event(), False
        self._forget_other(server)

    def first(self, places: Collection[str], within_s: float = START_WITHIN_S) -> Problems:
        """Read these at a start: what is not known from before is waited for. The problems of what stays unknown."""
        self._places = set(places)
        retrying = Retrying(
            stop=stop_after_delay(within_s),
            wait=wait_exponential(0.2, max=2),
            retry=retry_if_exception_type(VaultAway),
        )
        problems: Problems = {}
        try:
            for attempt in retrying:
                with attempt:
                    problems, away = self._read(places)
                    if away and self._unknown(places):
                        raise away
        except RetryError:
            pass  # the problems say it
        self._tell(problems)
        return {place: problems[place] for place in self._unknown(places) if place in problems}

    def want(self, places: Collection[str]) -> Problems:
        """Have these too, for an edit; the problems of those that are not known. Blocks as long as Vault may take."""
        unknown = self._unknown(places)
        if not unknown:
            return {}
        paths = {files.split(place)[0] for place in unknown}
        again = {place for place in self._places | set(places) if files.split(place)[0] in paths}
        problems, _ = self._read(again)
        self._places |= set(places)
        return {place: problems[place] for place in self._unknown(places) if place in problems}

    def keep(self, places: Collection[str]) -> None:
        """From now on these and no others are read; the files of others go."""
        self._places = set(places)
        for path in files.leftovers(self._folder, places):
            path.unlink(missing_ok=True)

    def start(self) -> None:
        """Follow in a thread that nobody has to wait for."""
        threading.Thread(target=self._follow, name="vault", daemon=True).start()

    def close(self) -> None:
        """Do not ask any more."""
        self._closed = True
        self._wake.set()

    def _follow(self) -> None:
        next_read = time.monotonic() + self._refresh_s
        while not self._closed:
            due_s = self._session.due_s
            wait_s = min(next_read - time.monotonic(), due_s if due_s is not None else self._refresh_s)
            self._wake.wait(max(wait_s, _LEAST_S))
            if self._closed:
                return
            try:
                if time.monotonic() < next_read:
                    self._stay_signed_in()
                    continue
                problems, away = self._read(self._places)
                self._tell(problems)
            except Exception:  # a bug or a full disk costs this reading
                log.exception("reading from Vault failed")
                away = None
            next_read = time.monotonic() + min(self._refresh_s, AWAY_S if away else self._refresh_s)

    def _stay_signed_in(self) -> None:
        try:
            with self._turn:
                self._session.ensure()
                self._share_token()
        except VaultError as error:
            self._tell({"": str(error)})

    def _read(self, places: Collection[str]) -> tuple[Problems, VaultAway | None]:
        """Read all of these once. While Vault is away nothing more is asked: it would hang each time."""
        problems: Problems = {}
        if not places and not self._shares_token:
            return problems, None
        with self._turn:
            try:
                self._session.ensure()
            except VaultError as error:
                if not self._session.token:
                    return self._all(places, error)
            self._share_token()
            for path, fields in files.by_path(places).items():
                try:
                    values = self._values_of(path, fields)
                except VaultAway as error:
                    return self._all(places, error)
                except VaultError as error:
                    problems |= {place: str(error) for place in places if files.split(place)[0] == path}
                else:
                    write_atomic(self._folder / files.values_file(f"{path}#"), files.written(values))
        return problems, None

    def _values_of(self, path: str, fields: Collection[str]) -> Mapping[str, str]:
        try:
            return self._reader.read(self._session.client, path, fields)
        except VaultDenied:
            if self._session.works():
                raise
        self._session.sign_in()
        self._share_token()
        return self._reader.read(self._session.client, path, fields)

    @staticmethod
    def _all(places: Collection[str], error: VaultError) -> tuple[Problems, VaultAway | None]:
        found = {place: str(error) for place in places} or {"": str(error)}
        return found, error if isinstance(error, VaultAway) else None

    def _unknown(self, places: Collection[str]) -> list[str]:
        return [place for place in places if files.read_value(self._folder, place) is None]

    def _share_token(self) -> None:
        if self._shares_token and self._session.token:
            write_atomic(files.token_file(self._folder), self._session.token.encode())

    def _forget_other(self, server: Server) -> None:
        """What another Vault has said, before a restart, is no value of this one's."""
        source = hashlib.sha256(f"{server.url}\n{server.namespace}".encode()).hexdigest().encode()
        marker = files.source_file(self._folder)
        if write_atomic(marker, source):
            for path in self._folder.glob(f"{files.PREFIX}*"):
                if path != marker:
                    path.unlink(missing_ok=True)

    def _tell(self, problems: Problems) -> None:
        text = "; ".join(dict.fromkeys(problems.values())) or None
        error = f"services.secrets: {text}; what was read before stays in use" if text else None
        if error != self.error:
            self.error = error
            if text:
                log.error("secrets not read from Vault", problems=list(dict.fromkeys(problems.values())))
            else:
                log.info("secrets are read from Vault again")

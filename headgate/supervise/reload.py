"""Reload: an edit of gateway.yaml, or of a file that it refers to, takes effect while everything runs.

Nothing is changed in place. An edit is first added to what Envoy has (secrets, clusters, routes), then the workers'
tables turn to it, and the rest is taken out (routes, clusters, secrets) when nothing that was planned by older tables
can still need it. So a request meets either the one configuration or the other, as a whole, whichever process dies
meanwhile. What cannot be taken over, for whatever reason, changes nothing and is reported.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from headgate import contract
from headgate.cluster_names import accounts_of
from headgate.compile import compile_snapshot
from headgate.compile_declared import compile_declared
from headgate.config.chains import chains_of
from headgate.config.model import Gateway
from headgate.config.secret_places import vault_places
from headgate.declared import write_declared
from headgate.edge.render import Edit
from headgate.edge.secrets import missing_credentials, own_files, secret_sources, usable_secret_files
from headgate.engine_waits import longest_wait_s
from headgate.feed.identity import make_gateway_id
from headgate.remote.handing import Handing
from headgate.snapshot import write_snapshot
from headgate.supervise import binaries, generation, inotify, ports, vault
from headgate.supervise.generation import Generation, generation_of
from headgate.supervise.part import Part
from headgate.supervise.plan import Plan, checked_gateway
from headgate.supervise.refusal import Refusal
from headgate.supervise.restart_keys import by_restart, restart_keys
from headgate.supervise.turning import RETRY_S, Turning
from headgate.supervise.watch import POLL_S, Watch

log = structlog.get_logger()

# A request planned by old tables may begin another attempt for as long as its model's `total` lasts. After this long,
# whatever a model says, a removed provider is removed: then such an attempt is a 503.
LONGEST_STAY_S = 900.0
# From the tables that a worker planned with to the clock that starts with the plan: its time for a body, and some.
STAY_SLACK_S = 10.0
_SHOWN_LINES = 20
_LOOKS_AFTER_S = 1.0  # what a restart has left to be done


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that requests are answered by, and since when, in seconds since the epoch."""

    gateway: Gateway
    generation: Generation
    since: float
    clusters: frozenset[str]  # that its tables name

    @classmethod
    def now(cls, gateway: Gateway, generation: Generation) -> "Loaded":
        """From this moment on."""
        return cls(gateway, generation, time.time(), frozenset(_clusters_of(gateway)))


@dataclass(frozen=True, slots=True)
class _Candidate:
    gateway: Gateway
    generation: Generation
    edit: Edit


class Reloader:
    """Keeps one running gateway to its file. `parts` are those that run now, `handing` knows workers elsewhere.

    `turned` is called with each gateway that requests are answered by from then on.
    """

    def __init__(
        self,
        plan: Plan,
        parts: Callable[[], Sequence[Part]],
        turned: Callable[[Gateway], None],
        handing: Handing | None = None,
    ) -> None:
        self.loaded = Loaded.now(plan.gateway, plan.generation)
        self.outcomes = dict.fromkeys(("loaded", "refused", "unchanged", "failed"), 0)  # for /metrics
        self.error: str | None = None  # why the file as it stands is not what runs
        # Held while files and tables are switched; a restart of parts that relies on them takes it too.
        self.busy = asyncio.Lock()
        self._secrets_error: str | None = None
        self._plan, self._edge, self._turned = plan, plan.edge, turned
        self._turning = Turning(plan.edge, parts, handing)
        self._watch = Watch(plan.config, plan.content)
        self._watch.sources(secret_sources(plan.gateway, plan.config.parent))
        self._asked = False
        self._woken = threading.Event()  # ends a look at the files
        self._again: tuple[float, bytes] | None = None  # when to try what once more
        # Clusters and until when (monotonic) a request may need them; those of an earlier supervisor's tables too.
        left = set(self._edge.clusters) - self.loaded.clusters
        self._needed_until = dict.fromkeys(left, time.monotonic() + LONGEST_STAY_S)
        self._routes = plan.edge.own_routes
        self._dropping = False  # what was taken out may still have secrets on disk

    def report(self) -> dict[str, object]:
        """For /readyz: what runs, since when, and what is wrong with the file that should."""
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.loaded.since))
        return {
            "generation": self.loaded.generation.number,
            "loaded": since,
            "age_s": round(max(time.time() - self.loaded.since, 0.0), 1),
            "error": "\n".join(filter(None, (self.error, self._secrets_error, *self._waiting()))) or None,
        }

    def _waiting(self) -> list[str | None]:
        """What others have to give: Vault, and credentials that are to be stored."""
        keys = missing_credentials(self.loaded.gateway)
        missing = f"{', '.join(keys)}: no credential is stored, requests are refused" if keys else None
        return [self._plan.vault.error if self._plan.vault else None, missing]

    def ask(self) -> None:
        """Read the file now, whether it looks edited or not (SIGHUP)."""
        self._asked = True
        self._woken.set()

    async def run(self) -> None:
        """Until it is cancelled; whatever came together in one round is one reload."""
        try:
            while True:
                try:
                    await self._round()
                except Exception as error:  # a bug or a full disk costs this edit, not the supervisor
                    log.exception("reload failed")
                    self.outcomes["failed"] += 1
                    self.error = f"reload failed: {type(error).__name__}; see the log"
        finally:
            self._woken.set()

    async def _round(self) -> None:
        within_s = POLL_S if self._again or self._needed_until or self._dropping else _LOOKS_AFTER_S
        content, renewed = await asyncio.to_thread(self._watch.until_edited, self._woken, within_s)
        self._woken.clear()
        asked, self._asked = self._asked, False
        if asked:
            content, renewed = await asyncio.to_thread(self._watch.read_now), True
        elif content is None and self._again and time.monotonic() >= self._again[0]:
            content = self._again[1]
        async with self.busy:
            if renewed:
                await self._renew_secrets()
            if content is not None:
                await self._load(content)
            await self._drop()

    async def _load(self, content: bytes) -> None:
        """Take the file's content over, or say why not."""
        began = time.monotonic()
        self._again = None
        try:
            candidate = await self._accepted(content)
            if candidate:
                self._again = (began + RETRY_S, content)  # for what goes wrong from here on, the file is not to blame
                await self._apply(candidate)
                self._again = None
        except Refusal as refusal:
            self._refused(refusal)
            self.outcomes["refused"] += 1
            return
        self.error = None
        self.outcomes["loaded" if candidate else "unchanged"] += 1
        if candidate is None:
            log.info("configuration is unchanged", generation=self.loaded.generation.number)
            return
        took_s = round(time.monotonic() - began, 3)
        log.info("configuration loaded", generation=candidate.generation.number, took_s=took_s)

    def _refused(self, refusal: Refusal) -> None:
        lines = [*refusal.lines[:_SHOWN_LINES], *(["…"] if len(refusal.lines) > _SHOWN_LINES else [])]
        text = "\n".join(lines)
        if text != self.error:
            running = self.loaded.generation.number
            log.error("configuration not loaded, the running one stays", generation=running, problems=lines)
        self.error = text

    async def _accepted(self, content: bytes) -> _Candidate | None:
        """Checked, rendered and validated by Envoy; None for what runs already. Raises Refusal."""
        found = generation_of(content)
        if found.sha256 == self.loaded.generation.sha256:
            return None
        gateway = await asyncio.to_thread(_checked, self._plan, content)
        changed = restart_keys(self.loaded.gateway, gateway)
        if changed:
            by = "headgate restart takes" if all(map(by_restart, changed)) else "a new start of headgate up takes"
            raise Refusal(
                f"restart needed: {', '.join(changed)} changed, which only {by} over; "
                "until then nothing of this edit is applied"
            )
        try:
            await vault.require(self._plan.vault, gateway)
        except Refusal:
            self._again = (time.monotonic() + RETRY_S, content)  # Vault may have it by then
            raise
        return await self._candidate(gateway, found)

    async def _candidate(self, gateway: Gateway, found: Generation, *, whole: bool = False) -> _Candidate:
        """Rendered and validated. With `whole`, listeners too, whose secrets have no files yet. Raises Refusal."""
        edit = await asyncio.to_thread(self._edge.edit, gateway)
        await self._edge.validate(binaries.envoy(), self._plan.env, None if whole else edit.inline)
        inotify.require(self._edge.watches_more(edit))
        return _Candidate(gateway, found, edit)

    async def take_for_restart(self) -> int:
        """Take over the file as it stands, also what only processes that start anew can; the generation that runs.

        For a restart, which holds `busy`. Raises Refusal; then nothing has changed.
        """
        inotify.require(self._edge.watches + inotify.OWN)  # for a while two Envoys run
        content = await asyncio.to_thread(self._watch.read_now)
        found = generation_of(content)
        if found.sha256 != self.loaded.generation.sha256:
            gateway = await asyncio.to_thread(_checked, self._plan, content)
            left = [key for key in restart_keys(self.loaded.gateway, gateway) if not by_restart(key)]
            if left:
                raise Refusal(f"{', '.join(left)} changed, which only a new start of headgate up takes over")
            await vault.require(self._plan.vault, gateway)
            held = ports.edge_listens(self.loaded.gateway)
            for listen in ports.edge_listens(gateway):
                if not any((one.kind, one.address) == (listen.kind, listen.address) for one in held):
                    ports.require_free(listen)
            undo = await asyncio.to_thread(self._edge.rebase, gateway)
            try:
                candidate = await self._candidate(gateway, found, whole=True)
                await self._apply(candidate)
            except BaseException:
                undo()
                raise
        self.error = self._again = None
        return self.loaded.generation.number

    async def _apply(self, candidate: _Candidate) -> None:
        """The switch. Raises Refusal when Envoy does not take its part: then the tables have not turned."""
        generation.store(candidate.generation)  # before anybody can bill by this number
        self._edge.add(candidate.edit)
        await asyncio.to_thread(self._edge.write)
        await self._turning.until_envoy_has(set(candidate.edit.clusters))
        base = self._plan.config.parent
        declared = compile_declared(candidate.gateway, candidate.generation.number, base)
        await asyncio.to_thread(write_declared, declared, contract.DECLARED)
        tables = compile_snapshot(candidate.gateway, candidate.generation.number, make_gateway_id())
        await asyncio.to_thread(write_snapshot, tables, contract.SNAPSHOT)
        await self._turning.until_tables_turned(candidate.generation.number)
        before, self.loaded = self.loaded, Loaded.now(candidate.gateway, candidate.generation)
        self._routes = candidate.edit.routes
        self._turned(candidate.gateway)
        self._watch.sources(secret_sources(candidate.gateway, base))
        if self._plan.vault:
            self._plan.vault.keep(vault_places(candidate.gateway))
        self._note_needs(before.gateway)
        self._dropping |= own_files(before.gateway) != own_files(candidate.gateway)

    async def until_envoy_has_all(self) -> None:
        """Wait until an Envoy that was taken over knows every cluster of the tables, or does not say so in time."""
        try:
            await self._turning.until_envoy_has(set(self.loaded.clusters))
        except Refusal as refusal:
            log.warning("envoy does not say what it has read", reason=str(refusal))

    def _note_needs(self, before: Gateway) -> None:
        """The old tables are gone now; what was planned by them may go on."""
        now = time.monotonic()
        for name, model in before.models.items():
            stay_s = min(model.timeouts.total_s + longest_wait_s(before, name), LONGEST_STAY_S) + STAY_SLACK_S
            for target in (target for chain in chains_of(before, name) for target in chain):
                for account in accounts_of(target.provider, before.providers[target.provider]):
                    cluster = account.cluster
                    self._needed_until[cluster] = max(self._needed_until.get(cluster, 0.0), now + stay_s)

    async def _drop(self) -> None:
        """Take out of Envoy what nothing needs any more."""
        now = time.monotonic()
        named = self.loaded.clusters
        self._needed_until = {name: until for name, until in self._needed_until.items() if until > now}
        kept = {name for name in self._edge.clusters if name in named or name in self._needed_until}
        if self._edge.keep(kept, self._routes):
            await asyncio.to_thread(self._edge.write)
            self._dropping = True
        if self._dropping and await self._turning.envoy_has_read():
            self._edge.remove_secrets(own_files(self.loaded.gateway))
            self._dropping = False

    async def _renew_secrets(self) -> None:
        """Hand on secrets and certificates whose files say something else; what cannot be used changes nothing."""
        gateway, base = self.loaded.gateway, self._plan.config.parent
        found, problems = await asyncio.to_thread(usable_secret_files, gateway, base, os.environ)
        changed = self._edge.renew_secrets(found)
        if changed:
            log.info("secrets renewed", files=sorted(changed))
        text = "\n".join(f"{problem}; the one in use stays" for problem in problems) or None
        if text and text != self._secrets_error:
            log.error("secrets not renewed", problems=problems)
        self._secrets_error = text


def _checked(plan: Plan, content: bytes) -> Gateway:
    try:
        return checked_gateway(
            plan.config, content or None, plan.places
        )  # b"": it may have gone, and the check says so
    except Refusal as refusal:
        if any("environment variable" in line for line in refusal.lines):
            raise Refusal(*refusal.lines, "headgate up has the environment of its start: restart it") from None
        raise


def _clusters_of(gateway: Gateway) -> set[str]:
    providers = gateway.providers.items()
    return {account.cluster for name, provider in providers for account in accounts_of(name, provider)}

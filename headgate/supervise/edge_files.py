"""Envoy's files: rendered, validated by Envoy itself, written where it reads them.

Secrets go into `secrets/` alone. The order of writing is the order in which a running Envoy may load: secrets,
clusters, then the routes that name them; the bootstrap is read only at a start.

A cluster's and a route's name says all that is in it, so nothing is ever changed in place: an edit is added (`add`),
and what it no longer names is taken out later (`keep`). In between the files hold both, for an Envoy that starts too.
"""

import asyncio
import dataclasses
import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from headgate import contract
from headgate.config.model import Gateway
from headgate.config.secret_places import secret_places
from headgate.config.secrets import SecretError
from headgate.edge.filters import MODULE
from headgate.edge.render import EdgeSettings, Edit, render, render_edit
from headgate.edge.secrets import is_handed_over
from headgate.feed.attempts_file import attempts_file
from headgate.store_url import password_variables
from headgate.supervise import files, ports
from headgate.supervise.refusal import Refusal

# In Envoy's configuration a value of its own, in what a filter of the module is told the rest of a line.
_SECRET_FILE = re.compile(rf'[" ]{contract.SECRETS}/([^"/\\ ]+)')


def new_spool() -> str:
    """A spool file's name for one life of Envoy; names sort by time."""
    return str(contract.SPOOL / f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(3)}.ndjson")


@dataclasses.dataclass(frozen=True, slots=True)
class _Files:
    """What the files say."""

    clusters: Mapping[str, dict[str, Any]]
    routes: dict[str, Any]
    secrets: Mapping[str, bytes]


class EdgeFiles:
    """One gateway's rendering and where it goes; relative paths of the file start at `base`.

    Raises Refusal for a credential that is not there.
    """

    def __init__(self, gateway: Gateway, settings: EdgeSettings, base: Path, environ: Mapping[str, str]) -> None:
        self.spool = settings.spool  # the name that stands for a spool file in the bootstrap
        self.addresses = tuple(str(listen.address) for listen in ports.edge_listens(gateway))  # what Envoy binds
        self._settings, self._base, self._environ = settings, base, environ
        try:
            rendering = render(gateway, settings, base, environ)
        except SecretError as error:
            raise Refusal(str(error)) from error
        self._bootstrap, self._inline = rendering.bootstrap, rendering.inline()
        self._now = _Files(
            {cluster["name"]: cluster for cluster in rendering.clusters.get("resources", [])},
            rendering.routes["resources"][0],
            rendering.secrets,
        )
        self.own_routes = self._now.routes  # without what is inherited
        self.versions = _versions(self._now)  # by which Envoy tells that it has read the clusters and the routes

    def rebase(self, gateway: Gateway) -> Callable[[], None]:
        """Take another gateway's bootstrap, for Envoys that start from now on; what is returned undoes it."""
        before = self._bootstrap, self._inline, self.addresses
        try:
            rendering = render(gateway, self._settings, self._base, self._environ)
        except SecretError as error:
            raise Refusal(str(error)) from error
        addresses = tuple(str(listen.address) for listen in ports.edge_listens(gateway))
        self._bootstrap, self._inline, self.addresses = rendering.bootstrap, rendering.inline(), addresses

        def undo() -> None:
            self._bootstrap, self._inline, self.addresses = before

        return undo

    def listener_text(self) -> str:
        """The bootstrap without its spool file: while this stays the same, a running Envoy can go on."""
        return json.dumps(self._bootstrap, sort_keys=True).replace(contract.epoch_of(self.spool), "")

    @property
    def clusters(self) -> Collection[str]:
        """The names of the clusters that the files hold."""
        return self._now.clusters.keys()

    def inherit(self) -> bool:
        """Keep what the files of an earlier supervisor hold besides: its Envoy has requests that may need it.

        Returns whether those files already held everything of ours, so that Envoy has read it.
        """
        try:
            clusters = _resources(contract.CLUSTERS)
            (routes,) = _resources(contract.ROUTES)
            found = {cluster["name"]: cluster for cluster in clusters}
        except (OSError, msgspec.DecodeError, LookupError, TypeError, ValueError):
            return False
        self._take(_Files({**found, **self._now.clusters}, _both(self._now.routes, routes), self._now.secrets))
        return self.versions == (_version(clusters), _version([routes]))

    def edit(self, gateway: Gateway) -> Edit:
        """What another gateway needs that is not here yet. Raises Refusal for a credential that is not there."""
        try:
            return render_edit(gateway, self._bootstrap, self.clusters, self._base, self._environ)
        except SecretError as error:
            raise Refusal(str(error)) from error

    @property
    def watches(self) -> int:
        """How many secrets Envoy watches."""
        return len(_watched(self._now.secrets))

    def watches_more(self, edit: Edit) -> int:
        """How many secrets it has to watch besides for an edit."""
        return len(_watched(edit.secrets) - _watched(self._now.secrets))

    def add(self, edit: Edit) -> None:
        """Take an edit in, beside what is here; `write` follows."""
        now = self._now
        self._take(
            _Files({**now.clusters, **edit.clusters}, _both(edit.routes, now.routes), {**now.secrets, **edit.secrets})
        )

    def keep(self, clusters: Collection[str], routes: dict[str, Any]) -> bool:
        """Leave out all other clusters and routes, if there are any.

        Then `write` follows, and `remove_secrets` when Envoy has read it.
        """
        kept = {name: cluster for name, cluster in self._now.clusters.items() if name in clusters}
        if len(kept) == len(self._now.clusters) and routes == self._now.routes:
            return False
        self._take(_Files(kept, routes, self._now.secrets))
        return True

    def renew_secrets(self, renewed: Mapping[str, bytes]) -> list[str]:
        """Write secrets that were read again; the names of those files that now say something else."""
        changed = [name for name, content in renewed.items() if self._now.secrets.get(name) != content]
        for name in changed:
            files.write_atomic(contract.SECRETS / name, renewed[name])
        self._now = dataclasses.replace(self._now, secrets={**self._now.secrets, **renewed})
        return changed

    def remove_secrets(self, besides: Collection[str]) -> None:
        """Remove the files of secrets that no cluster and no listener asks for, and that are not these `besides`."""
        needed = {*secret_names([self._bootstrap, list(self._now.clusters.values())]), *besides}
        kept = {name: content for name, content in self._now.secrets.items() if name in needed}
        self._now = dataclasses.replace(self._now, secrets=kept)
        for path in contract.SECRETS.iterdir():
            if path.name not in needed and not path.name.startswith(("validate-", ".")) and not is_handed_over(path):
                path.unlink(missing_ok=True)

    def write(self) -> None:
        """Write all files but the bootstrap, each atomically; those that did not change are not touched."""
        now = self._now
        for name, content in now.secrets.items():
            files.write_atomic(contract.SECRETS / name, content)
        files.write_json(contract.CLUSTERS, _response(list(now.clusters.values())))
        files.write_json(contract.ROUTES, _response([now.routes]))

    def write_bootstrap(self, spool: str, admin: Path) -> None:
        """Write what one Envoy process starts from: it has a spool file and an admin socket of its own."""
        # Not rendered anew: a restart must not depend on a secret's file that has gone in the meantime.
        text = json.dumps(self._bootstrap).replace(contract.epoch_of(self.spool), contract.epoch_of(spool))
        files.write_json(contract.BOOTSTRAP, json.loads(text.replace(str(contract.ENVOY_ADMIN_SOCKET), str(admin))))

    async def validate(self, envoy: str, env: Mapping[str, str], inline: dict[str, Any] | None = None) -> None:
        """Let Envoy check everything in one document; raises Refusal with Envoy's own words."""
        path = contract.SECRETS / f"validate-{secrets.token_hex(4)}.json"  # never on a disk, whatever it holds
        # Validation opens access logs: without this it would leave an empty spool file behind.
        document = json.dumps(inline or self._inline).replace(self.spool, "/dev/null")
        document = document.replace(attempts_file(self.spool), "/dev/null")
        files.write_atomic(path, document.encode())
        try:
            status, output = await _output_of(envoy, "--mode", "validate", "-l", "warning", "-c", str(path), env=env)
        finally:
            path.unlink()
        # First: of a module that was made for another ABI Envoy only warns; what that would meter nobody knows.
        if "dynamic module" in output.lower():
            raise Refusal(f"{envoy} cannot run {MODULE}, which is made for Envoy 1.40:", output)
        if status != 0:
            raise Refusal("Envoy rejects the configuration made from this file (a bug of Headgate's):", output)

    def _take(self, now: _Files) -> None:
        self._now, self.versions = now, _versions(now)


def secret_names(configuration: Any) -> list[str]:
    """The files of secrets that Envoy, or what runs inside it, reads by this configuration."""
    return _SECRET_FILE.findall(json.dumps(configuration))


def _both(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Routes of two route tables, each name once. They match exactly; what catches the rest stays at the end."""
    (host,), (other,) = first["virtual_hosts"], second["virtual_hosts"]
    named = {route["name"] for route in host["routes"]}
    more = [route for route in other["routes"] if route["name"] not in named]
    routes = [*host["routes"][:1], *more, *host["routes"][1:]]
    return {**first, "virtual_hosts": [{**host, "routes": routes}]}


def _watched(secrets: Collection[str]) -> set[str]:
    """Those that come by SDS, and AWS keys."""
    return {name for name in secrets if name.endswith((".json", ".aws"))}


def _response(resources: list[dict[str, Any]]) -> dict[str, Any]:
    return {"version_info": _version(resources), "resources": resources}


def _versions(now: _Files) -> tuple[str, str]:
    return _version(list(now.clusters.values())), _version([now.routes])


def _version(resources: list[dict[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(resources, sort_keys=True).encode()).hexdigest()[:16]


def _resources(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = msgspec.json.decode(path.read_bytes())["resources"]
    return found


async def _output_of(*command: str, env: Mapping[str, str]) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        env=dict(env),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode(errors="replace").strip()


def withheld_env(gateway: Gateway, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for parts: ours, without any variable that a secret is read from.

    Nor the one that names gateway.yaml: a part that reads it would go by what nobody has accepted yet.
    """
    hidden = {reference.place for _, reference in secret_places(gateway) if reference.kind == "env"}
    hidden |= {"HEADGATE_CONFIG", *password_variables(gateway.services.usage)}
    return {name: value for name, value in environ.items() if name not in hidden}

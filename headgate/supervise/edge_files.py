"""Envoy's files: rendered, validated by Envoy itself, written where it reads them.

Secrets go into `secrets/` alone. The order of writing is the order in which a running Envoy may load:
secrets, clusters, then the routes that name them; the bootstrap is read only at a start.
"""

import asyncio
import dataclasses
import json
import secrets
import time
from collections.abc import Mapping
from pathlib import Path

from headgate import contract
from headgate.config.model import Gateway
from headgate.config.secrets import SecretError
from headgate.edge.render import EdgeSettings, render
from headgate.supervise import files
from headgate.supervise.refusal import Refusal


def new_spool() -> str:
    """A spool file's name for one life of Envoy; names sort by time."""
    return str(contract.SPOOL / f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(3)}.ndjson")


class EdgeFiles:
    """One gateway's rendering and where it goes; relative paths of the file start at `base`.

    Raises Refusal for a credential that is not there.
    """

    def __init__(self, gateway: Gateway, settings: EdgeSettings, base: Path, environ: Mapping[str, str]) -> None:
        self.spool = settings.spool  # the file that the bootstrap names now
        try:
            self._rendering = render(gateway, settings, base, environ)
        except SecretError as error:
            raise Refusal(f"a provider's api_key: {error}") from error

    def listener_text(self) -> str:
        """The bootstrap without its spool file: while this stays the same, a running Envoy can go on."""
        return json.dumps(self._rendering.bootstrap, sort_keys=True).replace(self.spool, "")

    def take_spool(self, spool: str) -> None:
        """Name another spool file in the bootstrap: every Envoy process has its own."""
        # Not rendered anew: a restart must not depend on a secret's file that has gone in the meantime.
        bootstrap = json.loads(json.dumps(self._rendering.bootstrap).replace(self.spool, spool))
        self._rendering = dataclasses.replace(self._rendering, bootstrap=bootstrap)
        self.spool = spool

    def unchanged(self) -> bool:
        """Whether an Envoy that runs has already read all of this."""
        return all(path.is_file() and json.loads(path.read_bytes()) == document for path, document in self._dynamic())

    def write(self) -> None:
        """Write all files, each atomically; those that did not change are not touched."""
        for name, content in self._rendering.secrets.items():
            files.write_json(contract.SECRETS / name, content)
        for path, document in self._dynamic():
            files.write_json(path, document)
        files.write_json(contract.BOOTSTRAP, self._rendering.bootstrap)

    async def validate(self, envoy: str, env: Mapping[str, str]) -> None:
        """Let Envoy check everything in one document; raises Refusal with Envoy's own words."""
        path = contract.SECRETS / f"validate-{secrets.token_hex(4)}.json"  # never on a disk, whatever it holds
        # Validation opens access logs: without this it would leave an empty spool file behind.
        document = json.dumps(self._rendering.inline()).replace(self.spool, "/dev/null")
        files.write_atomic(path, document.encode())
        try:
            status, output = await _output_of(envoy, "--mode", "validate", "-l", "error", "-c", str(path), env=env)
        finally:
            path.unlink()
        if status != 0:
            raise Refusal("Envoy rejects the configuration made from this file (a bug of Headgate's):", output)

    def _dynamic(self) -> list[tuple[Path, object]]:
        return [(contract.CLUSTERS, self._rendering.clusters), (contract.ROUTES, self._rendering.routes)]


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
    """The environment for parts: ours, without any variable that holds a provider's credential."""
    references = [provider.api_key for provider in gateway.providers.values() if provider.api_key]
    hidden = {reference.place for reference in references if reference.kind == "env"}
    return {name: value for name, value in environ.items() if name not in hidden}

"""Where the admin API is, and the key to it. Reads files and the environment; sends nothing.

A key is never taken from a command line, where every process of the machine could read it.
"""

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from headgate import contract
from headgate.admin_client.failures import NotAsked
from headgate.config.addresses import Address, url

KEY_ENV = "HEADGATE_ADMIN_KEY"
_LONGEST_KEY = 64 * 2**10  # a token with many claims
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read here, never bound


@dataclass(frozen=True, slots=True)
class Place:
    """`url` is the gateway's, without `/admin/v1`; `ca` a file of certificates in place of the system's."""

    url: str
    key: str = field(repr=False)
    ca: Path | None = None

    @property
    def is_local(self) -> bool:
        """Whether it is this machine: then no proxy stands in between."""
        host = url(self.url).host
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    @property
    def in_clear(self) -> bool:
        """Whether the key would go over a network that others may listen to."""
        return self.url.startswith("http://") and not self.is_local


def find_place(
    given: str | None, state: Path, key_file: Path | None, ca: Path | None, environ: Mapping[str, str]
) -> Place:
    """Raises NotAsked when there is no address or no key."""
    return Place(checked_url(given) if given else local_url(state), _key(key_file, environ), ca)


def checked_url(given: str) -> str:
    """A URL of an operator's."""
    try:
        return str(url(given))
    except ValueError as error:
        raise NotAsked(f"--url: {error}") from None


def local_url(state: Path) -> str:
    """Where the gateway that runs on this state directory is reached from here."""
    if not (state / contract.ADMIN_ADDRESS).exists():
        raise NotAsked(f"no gateway runs on {state}: give its --state, or --url")
    try:
        bootstrap = json.loads((state / contract.BOOTSTRAP).read_bytes())
        listeners = {one["name"]: one["address"] for one in bootstrap["static_resources"]["listeners"]}
        scheme = "http" if "http" in listeners else "https"
        found = listeners[scheme]["socket_address"]
        address = Address(_WILDCARDS.get(found["address"], found["address"]), found["port_value"])
    except (OSError, ValueError, LookupError, TypeError):
        raise NotAsked(f"the gateway on {state} does not say where it listens: give --url") from None
    return f"{scheme}://{address}"


def _key(file: Path | None, environ: Mapping[str, str]) -> str:
    if file is None:
        source, text = KEY_ENV, environ.get(KEY_ENV, "")
        if not text.strip():
            raise NotAsked(
                f"no key: put one in {KEY_ENV}, or in a file for --key-file; `headgate up` prints the first one"
            )
    else:
        source = str(file)
        try:
            with file.open("rb") as opened:
                text = opened.read(_LONGEST_KEY + 1).decode("ascii", "replace")
        except OSError as error:
            raise NotAsked(f"{file}: {error.strerror}") from None
    key = text.strip()
    if len(key) > _LONGEST_KEY or not re.fullmatch(r"[!-~]+", key):
        raise NotAsked(f"{source} holds no key: expected one key (hg-…) or token on one line")
    return key

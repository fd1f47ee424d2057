"""The gateway that runs without a file: one demo tenant, and the simulator as its only provider.

It is written to the state directory as a file like any other, and goes through the same check.
"""

import hashlib
import os
import secrets
from pathlib import Path
from typing import Any

import yaml

from headgate import contract
from headgate.supervise import files
from headgate.supervise.refusal import Refusal
from headgate.virtual_key import KEY

FILE = Path("quickstart.yaml")
HTTP = "127.0.0.1:8080"
ADMIN = "127.0.0.1:9902"

_HEAD = "# Written by `headgate up` without -c, on every start: an edit lasts until then. Copy it to make it yours.\n"


def demo_key() -> str:
    """The demo tenant's key, made once and kept. Raises Refusal when the file holds something else."""
    try:
        key = contract.DEMO_KEY.read_text().strip()
    except FileNotFoundError:
        return _new_key()
    if not KEY.fullmatch(key):
        raise Refusal(f"{contract.DEMO_KEY.absolute()}: holds no key; remove it and a new one is made")
    return key


def write(key: str, simulator_port: int, http: str | None = None, admin: str | None = None) -> Path:
    """Write the quickstart's gateway.yaml into the working directory; where it is."""
    document = gateway_document(
        hashlib.sha256(key.encode()).hexdigest(), simulator_port, http or HTTP, admin or ADMIN
    )
    files.write_atomic(FILE, (_HEAD + yaml.safe_dump(document, sort_keys=False)).encode())
    return FILE.absolute()


def last_simulator_port() -> int | None:
    """The port in the file of an earlier start: keeping it keeps the file, and so its generation, the same."""
    try:
        document = yaml.safe_load(FILE.read_bytes())
        return int(document["providers"]["local"]["endpoints"][0].rpartition(":")[2])
    except (FileNotFoundError, yaml.YAMLError, TypeError, LookupError, ValueError):
        return None


def gateway_document(key_sha256: str, simulator_port: int, http: str, admin: str) -> dict[str, Any]:
    """The file's content: models `chat` and `embed` of the simulator, for the tenant `demo`."""
    return {
        "listen": {"http": http, "admin": admin},
        "providers": {
            "local": {
                "api": "openai",
                "endpoints": [f"http://127.0.0.1:{simulator_port}"],
                "health_check": "/health",
                "usage": "continuous",
                "zone": "internal",
            }
        },
        "models": {
            "chat": {"targets": [{"provider": "local", "model": "headgate-simulator"}]},
            "embed": {"targets": [{"provider": "local", "model": "headgate-simulator-embed"}]},
        },
        "tenants": {"demo": {"models": ["chat", "embed"], "keys": [{"name": "demo", "sha256": key_sha256}]}},
    }


def _new_key() -> str:
    key = f"hg-{secrets.token_urlsafe(32)}"
    descriptor = os.open(contract.DEMO_KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key + "\n")
    return key

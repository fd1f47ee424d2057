"""What operators do through the admin API of a gateway with known secrets: keys are made, used and revoked."""

import base64
import json
import os
import re
import subprocess
import time
from secrets import token_urlsafe
from typing import Any

import httpx2
from running_gateway import HEADGATE, headgate
from secretive_gateway import Secretive
from tenants import CHAT, chat

_ADMIN_KEY = re.compile(r"^admin key  (hg-[A-Za-z0-9_-]{43})\b", re.MULTILINE)
_WAIT_S = 60.0


def administer(secretive: Secretive) -> None:
    """Adds to the secrets those that come into being on the way."""
    secretive.secrets["admin key"] = admin = _first_key(secretive)
    for arguments in (
        ("whoami",),
        ("tenants", "create", "kept", "--display-name", "Kept"),
        ("tenants", "create", "gone"),
        ("tenants", "grant", "kept", "keyed"),
        ("limits", "set", "kept", "rpm=1000"),
        ("plans", "create", "small", "rpm=60"),
        ("users", "create", "--issuer", "https://id.example", "--subject", "ada"),
    ):
        secretive.administer(admin, *arguments)
    _store(secretive, admin)
    for name in ("service-key", "pepper", "local-key", "adapter-key"):
        secretive.secrets[f"own {name}"] = (secretive.gateway.state / "identity" / name).read_text().strip()
    made = {
        "key of the database": ("keys", "create", "--tenant", "kept", "--name", "one"),
        "owner's key": ("keys", "create", "--tenant", "kept", "--name", "two", "--role", "owner"),
        "key of who is gone": ("keys", "create", "--tenant", "gone", "--name", "three"),
        "other admin key": ("keys", "create", "--platform", "--name", "four"),
    }
    ids = {name: _make(secretive, admin, name, *arguments) for name, arguments in made.items()}
    _make(secretive, admin, "rotated key", "keys", "rotate", ids["key of the database"], "--tenant", "kept")
    _ask_with_them(secretive, [*made, "rotated key"])
    _ask_with_tokens(secretive)
    owner = secretive.secrets["owner's key"]
    for arguments in (
        ("keys", "list"),
        ("keys", "create", "--name", f"{owner}"),  # refused: no name
        ("tenants", "update", "kept", "--display-name", owner),
        ("tenants", "delete", "kept", "--yes"),
        ("audit", "list"),
    ):
        secretive.administer(owner, *arguments)
    for arguments in (
        ("keys", "revoke", ids["owner's key"], "--tenant", "kept", "--yes"),
        ("tenants", "delete", "gone", "--yes", "--wait"),
        ("providers", "show", "keyed"),
        ("audit", "list", "--json"),
        ("audit", "export"),
        ("audit", "verify"),
        ("deletions", "list"),
    ):
        secretive.administer(admin, *arguments)


def _store(secretive: Secretive, admin: str) -> None:
    """A provider's key; it comes on standard input, and is in use within seconds."""
    command = [HEADGATE, "providers", "credentials", "set", "stored", "api_key"]
    secret = secretive.secrets["stored provider key"]
    env = {**os.environ, **secretive.operator(admin)}
    done = subprocess.run(command, env=env, input=secret, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    secretive.said.append(("headgate providers", (done.stdout + done.stderr).encode()))
    deadline = time.monotonic() + _WAIT_S
    while (reply := secretive.post(CHAT, chat("stored"), secretive.keys.acme)) is None or reply.status_code != 200:
        assert time.monotonic() < deadline, reply and reply.text
        time.sleep(0.2)


def _ask_with_them(secretive: Secretive, names: list[str]) -> None:
    secretive.secrets["token"] = token = _token()
    keys = [*(secretive.secrets[name] for name in names), token, secretive.secrets["admin key"][:-1] + "?"]
    for key in keys:
        secretive.post(CHAT, chat("keyed"), key)
        secretive.get("/admin/v1/me", key)
        body = {"id": "x", "display_name": key, "metadata": {key: key}, key: key}
        secretive.post("/admin/v1/tenants", body, key, idempotency_key=key)
        secretive.post(f"/admin/v1/tenants?q={key}", b"{" + key.encode(), secretive.secrets["admin key"])


def _ask_with_tokens(secretive: Secretive) -> None:
    """Good ones, of a known issuer: on requests for models and on the admin API, where they count and where not."""
    developer = secretive.issuer.token(org={"tenant": "acme", "role": "dev"})
    platform = secretive.issuer.token(sub="root", org={"role": "platform"})
    for name, token in (("good token", developer), ("good token of an admin", platform)):
        secretive.secrets |= {name: token, f"signature of a {name}": token.rpartition(".")[2]}
    deadline = time.monotonic() + _WAIT_S
    while (reply := secretive.post(CHAT, chat("keyed"), developer)) is None or reply.status_code != 200:
        assert time.monotonic() < deadline, reply and reply.text  # the issuer's keys are on their way
        time.sleep(0.2)
    secretive.post(CHAT, chat("keyed"), None, x_api_key=developer)
    secretive.post(CHAT, chat("keyed", stream=True), None, api_key=developer)
    secretive.post(f"{CHAT}?access_token={developer}", chat("keyed") | {"user": "somebody"}, developer)
    secretive.post(CHAT, chat("keyed"), developer, openai_tenant="globex")
    secretive.post(CHAT, chat("keyed"), developer[:-4] + "AAAA")
    secretive.post(CHAT, chat("keyed"), developer, x_request_id=developer, traceparent=developer, baggage=developer)
    for token, status in ((developer, 403), (platform, 200)):
        assert secretive.get("/v1/models", token) == (200 if token == developer else 403)
        assert secretive.get("/admin/v1/me", token) == 200
        assert secretive.get("/admin/v1/keys", token) == status
        assert secretive.get(f"/admin/v1/tenants?q={token}", token) == 422
        secretive.post("/admin/v1/tenants", {"id": "by-token"}, token, idempotency_key=token[-200:])
        secretive.post("/admin/v1/tenants", {"id": token}, token)
        secretive.post("/admin/v1/tenants", b"{" + token.encode(), token)
    for command in (("whoami",), ("tenants", "list"), ("keys", "list", "--tenant", "kept"), ("audit", "list")):
        secretive.administer(platform, *command)


def _token() -> str:
    """What a token looks like whose issuer nobody knows."""
    parts: list[Any] = [{"alg": "RS256", "kid": "1"}, {"iss": "https://id.example", "sub": "ada", "exp": 2**33}]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, token_urlsafe(64)])


def _make(secretive: Secretive, admin: str, name: str, *arguments: str) -> str:
    """A new key by the command line: it alone is on standard output. Its id."""
    done = headgate(*arguments, "--json", **secretive.operator(admin))
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    secretive.secrets[name] = answer.pop("key")
    secretive.said.append((f"headgate {arguments[0]}", (json.dumps(answer) + done.stderr).encode()))
    return str(answer["id"])


def _first_key(secretive: Secretive) -> str:
    deadline = time.monotonic() + _WAIT_S
    while not (printed := _ADMIN_KEY.findall(secretive.gateway.log())):
        assert time.monotonic() < deadline, "no admin key was printed"
        time.sleep(0.05)
    headers = {"authorization": f"Bearer {printed[0]}"}
    while httpx2.get(f"{secretive.gateway.url}/admin/v1/me", headers=headers, timeout=30).status_code != 200:
        assert time.monotonic() < deadline, "the admin key does not work"
        time.sleep(0.05)
    return str(printed[0])

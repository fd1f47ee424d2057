"""Signing in to a real OpenBao in each way, and staying signed in, by a clock of the test's own."""

import base64
import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from bao_server import Bao

from headgate.vault.errors import VaultDenied, VaultError, VaultRefused
from headgate.vault.login import Credentials, Session
from headgate.vault.reading import Reader
from headgate.vault.server import Server
from tests.certificates import Authority


class Clock:
    """Runs ahead of the real one by what a test says."""

    ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s


@pytest.fixture(scope="module", autouse=True)
def arranged(bao: Bao) -> None:
    bao.put("openai", key="sk-one")
    bao.policy("reads", "secret/data/openai: read")


def signed_in(bao: Bao, credentials: Credentials, clock: Clock | None = None) -> Session:
    session = Session(Server(bao.url), credentials, clock or Clock())
    session.ensure()
    return session


def key_of(session: Session) -> str:
    return Reader().read(session.client, "secret/openai", ["key"])["key"]


def by_approle(bao: Bao, **times: str) -> Credentials:
    role_id, secret_id = bao.approle("reads", **times)
    return Credentials("approle", "approle", lambda: role_id, lambda: secret_id)


def test_with_a_token(bao: Bao) -> None:
    token = bao.token("reads")
    session = signed_in(bao, Credentials("token", "token", lambda: token))
    assert key_of(session) == "sk-one"
    assert session.due_s is not None
    assert 1700 < session.due_s <= 1800


def test_a_token_that_nobody_knows_is_refused_and_not_shown(bao: Bao) -> None:
    with pytest.raises(VaultError) as caught:
        signed_in(bao, Credentials("token", "token", lambda: "s.hunter2"))
    assert isinstance(caught.value, VaultDenied)
    assert "hunter2" not in str(caught.value)


def test_a_token_without_an_end_is_never_due(bao: Bao) -> None:
    session = signed_in(bao, Credentials("token", "token", lambda: str(bao.admin.token)))
    assert session.due_s is None


def test_with_an_approle(bao: Bao) -> None:
    assert key_of(signed_in(bao, by_approle(bao))) == "sk-one"


def test_a_wrong_secret_id_is_refused_and_not_shown(bao: Bao) -> None:
    role_id, _ = bao.approle("reads")
    with pytest.raises(VaultRefused) as caught:
        signed_in(bao, Credentials("approle", "approle", lambda: role_id, lambda: "hunter2"))
    assert "hunter2" not in str(caught.value)
    assert role_id not in str(caught.value)


def test_a_token_is_renewed_when_half_its_time_is_over(bao: Bao) -> None:
    clock = Clock()
    session = signed_in(bao, by_approle(bao), clock)
    token, due_s = session.token, session.due_s or 0
    clock.ahead_s += due_s - 60
    session.ensure()
    assert (session.due_s or 0) < 61  # not yet
    clock.ahead_s += 61
    session.ensure()
    assert session.token == token
    assert (session.due_s or 0) > 1700
    assert bao.admin.auth.token.lookup(token)["data"]["last_renewal"]


def test_where_renewing_gains_nothing_there_is_a_new_token(bao: Bao) -> None:
    clock = Clock()
    session = signed_in(bao, by_approle(bao, ttl="1h", max_ttl="1h"), clock)
    token = session.token
    clock.ahead_s += (session.due_s or 0) + 1
    session._ends_at = time.monotonic() + clock.ahead_s + 3600  # as if it had been renewed up to its longest time
    session.ensure()
    assert session.token != token
    assert key_of(session) == "sk-one"


def test_a_token_that_was_revoked_is_known_to_be(bao: Bao) -> None:
    session = signed_in(bao, by_approle(bao))
    assert session.works()
    bao.admin.auth.token.revoke(session.token)
    assert not session.works()
    session.sign_in()
    assert key_of(session) == "sk-one"


def test_while_vault_is_away_a_token_is_kept_as_long_as_it_lasts(bao: Bao) -> None:
    clock = Clock()
    session = signed_in(bao, by_approle(bao), clock)
    token = session.token
    bao.hang()
    try:
        clock.ahead_s += (session.due_s or 0) + 1
        with pytest.raises(VaultError):
            session.ensure()
        assert session.token == token
        assert 0 < (session.due_s or 0) < 1000
        clock.ahead_s += 4000
        with pytest.raises(VaultError):
            session.ensure()
        assert session.token == ""
    finally:
        bao.go_on()
    session.ensure()
    assert session.token not in ("", token)


@contextmanager
def kubernetes_api(pod_token: str) -> Iterator[str]:
    """As much of Kubernetes' API as a Vault asks: whose token this is."""

    class Api(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            review: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["content-length"])))
            known = review["spec"]["token"] == pod_token
            user = {"username": "system:serviceaccount:default:headgate", "uid": "u-1", "groups": []}
            review["status"] = {"authenticated": known, "user": user if known else {}}
            content = json.dumps(review).encode()
            self.send_response(201)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:  # type: ignore[override]
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Api) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def pod_token() -> str:
    """What Kubernetes gives a pod; Vault reads it, and asks whether it is valid."""

    def part(said: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(said).encode()).rstrip(b"=").decode()

    claims = {
        "iss": "kubernetes/serviceaccount",
        "sub": "system:serviceaccount:default:headgate",
        "nbf": int(time.time()) - 60,
        "iat": int(time.time()) - 60,
        "exp": int(time.time()) + 3600,
        "kubernetes.io/serviceaccount/namespace": "default",
        "kubernetes.io/serviceaccount/service-account.name": "headgate",
        "kubernetes.io/serviceaccount/service-account.uid": "u-1",
    }
    signature = base64.urlsafe_b64encode(b"signature" * 28).rstrip(b"=").decode()
    return f"{part({'alg': 'RS256', 'kid': 'k'})}.{part(claims)}.{signature}"


def test_with_a_pods_token(bao: Bao) -> None:
    jwt = pod_token()
    with kubernetes_api(jwt) as api:
        bao.admin.sys.enable_auth_method("kubernetes", path="cluster/one")
        at = "/v1/auth/cluster/one"
        config = {
            "kubernetes_host": api,
            "kubernetes_ca_cert": Authority().pem.decode(),
            "disable_local_ca_jwt": True,
        }
        bao.admin.adapter.post(f"{at}/config", json=config)
        bound = {"bound_service_account_names": "headgate", "bound_service_account_namespaces": "default"}
        bao.admin.adapter.post(f"{at}/role/gate", json={**bound, "token_policies": ["reads"], "token_ttl": "1h"})
        session = signed_in(bao, Credentials("kubernetes", "cluster/one", lambda: "gate", lambda: jwt))
        assert key_of(session) == "sk-one"
        with pytest.raises(VaultError) as caught:
            signed_in(bao, Credentials("kubernetes", "cluster/one", lambda: "gate", lambda: f"{jwt}x"))
        assert jwt not in str(caught.value)

"""The admin API through a real gateway: who gets in, what bounds it; requests for models do not notice it."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from admin_gateway import AdminGateway, admin_gateway, until
from running_gateway import free_address, headgate
from upstreams import Engine

from headgate.contract import CONTROL_API_SOCKET
from tests.stopped import stop

ME, TENANTS, OPENAPI = "/admin/v1/me", "/admin/v1/tenants", "/admin/v1/openapi.json"
SECURITY = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}


@pytest.fixture(scope="module")
def admin(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Iterator[AdminGateway]:
    with admin_gateway(tmp_path_factory.mktemp("admin"), engine) as running:
        running.admin_key()
        until(lambda: running.ask("GET", ME, key=running.admin_key()).status_code == 200)
        yield running


def problem(answer: httpx2.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """An error in the shape that all of them have here."""
    told = (answer.status_code, answer.headers["content-type"])
    assert told == (status, "application/problem+json"), answer.text[:500]
    assert {name: answer.headers.get(name) for name in SECURITY} == SECURITY
    found: dict[str, Any] = answer.json()
    assert found.keys() - {"errors"} == {"type", "title", "status", "detail", "code", "request_id"}
    assert (found["status"], found["type"]) == (status, f"urn:headgate:problem:{found['code']}")
    assert found["request_id"] == answer.headers["x-request-id"]
    assert code in (None, found["code"])
    assert not {"x-headgate-target", "x-headgate-attempts"} & set(answer.headers)
    return found


def test_the_first_key_is_printed_once_and_is_an_admins(admin: AdminGateway) -> None:
    (key,) = admin.printed()
    me = admin.ask("GET", ME, key=key).json()
    assert (me["kind"], me["role"], me["tenant"]) == ("key", "admin", None)
    assert [tenant["id"] for tenant in admin.ask("GET", TENANTS, key=key).json()["data"]] == ["acme"]
    written = [path for path in admin.gateway.state.rglob("*") if path.is_file()]
    assert not [path for path in written if key.encode() in path.read_bytes()]


def test_without_a_key_every_path_is_401(admin: AdminGateway) -> None:
    described = admin.ask("GET", OPENAPI)
    assert described.status_code == 200
    asked = 0
    for path, operations in described.json()["paths"].items():
        if path == OPENAPI:
            continue
        filled = re.sub(r"\{[^}]+\}", "x", path)
        for method in operations:
            problem(admin.ask(method.upper(), filled), 401)
            asked += 1
    assert asked > 40
    problem(admin.ask("GET", TENANTS, key="hg-" + "x" * 43), 401)
    for path in ("/admin/v1", "/admin/v1/", "/admin/v1/nowhere", "/admin/v1/../v1/me"):
        problem(admin.ask("GET", path), 401)
    problem(admin.ask("POST", OPENAPI), 401)


def test_a_tenants_key_is_known_too(admin: AdminGateway) -> None:
    assert admin.ask("GET", ME, key=admin.tenant_key).json()["tenant"] == "acme"
    problem(admin.ask("POST", TENANTS, {"id": "x", "display_name": "X"}, key=admin.tenant_key), 403)
    problem(admin.ask("GET", "/admin/v1/nowhere", key=admin.admin_key()), 404)
    problem(admin.ask("PATCH", ME, {}, key=admin.admin_key()), 405)


def test_nobody_says_who_he_is_himself(admin: AdminGateway) -> None:
    for header in ("x-headgate-identity", "X-Headgate-Identity", "x-headgate-admin"):
        forged = httpx2.get(admin.gateway.url + ME, headers={header: "e30.AAAA"})
        problem(forged, 401)


@pytest.mark.parametrize("tls", [False, True])
def test_answers_are_safe_in_a_browser(admin: AdminGateway, *, tls: bool) -> None:
    for path, key in ((ME, admin.admin_key()), (ME, None), (OPENAPI, None), ("/admin/v1/nowhere", admin.admin_key())):
        answer = admin.ask("GET", path, key=key, tls=tls)
        assert {name: answer.headers.get(name) for name in SECURITY} == SECURITY
        assert ("strict-transport-security" in answer.headers) is tls
    assert "strict-transport-security" not in admin.chat().headers
    assert "x-frame-options" not in admin.chat().headers


def test_bodies_are_bounded(admin: AdminGateway) -> None:
    """Announced as too large, or longer than they may be without saying so; also while authz decides."""
    headers = {"authorization": f"Bearer {admin.admin_key()}", "content-type": "application/json"}

    def pieces(count: int) -> Iterator[bytes]:
        for _ in range(count):
            yield b" " * 2**18

    url = admin.gateway.url + TENANTS
    for content in (b" " * (2**20 + 1), pieces(6), pieces(9), pieces(24)):
        problem(httpx2.post(url, content=content, headers=headers, timeout=60), 413, "body_too_large")
    problem(httpx2.post(url, content=b" " * (2**20 + 1), timeout=60), 401)
    assert admin.ask("GET", ME, key=admin.admin_key()).status_code == 200


def test_what_envoy_refuses_itself(admin: AdminGateway) -> None:
    upgrade = {
        "connection": "upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "x",
    }
    problem(httpx2.get(admin.gateway.url + ME, headers=upgrade), 403, "gateway_refused")
    for path in ("/admin/v1x", "/admin/v2/me", "/admin", "/tenants/acme/admin/v1/me"):
        answer = admin.ask("GET", path, key=admin.tenant_key)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_url")


def test_nothing_of_it_is_billed_or_counted(admin: AdminGateway) -> None:
    until(lambda: requests_counted(admin) == requests_ended(admin))  # those of other tests
    before = requests_counted(admin)
    ids = {
        admin.ask("GET", ME, key=key).headers["x-request-id"] for key in (admin.admin_key(), admin.tenant_key, None)
    }
    problem(admin.ask("POST", TENANTS, {"id": 1}, key=admin.admin_key()), 422)
    counted = admin.chat()
    admin.gateway.end_line(counted.headers["x-request-id"])
    until(lambda: requests_counted(admin) > before)
    assert requests_counted(admin) == before + 1
    spooled = [path.read_bytes() for path in (admin.gateway.state / "spool").iterdir()]
    assert not [one for one in ids for data in spooled if one.encode() in data]
    assert not [data for data in spooled if b"admin" in data]


def requests_counted(admin: AdminGateway) -> int:
    text = httpx2.get(f"http://{admin.gateway.admin_address}/metrics").text
    return sum(
        int(float(count)) for count in re.findall(r"^headgate_requests_total\{.*\} (\S+)$", text, re.MULTILINE)
    )


def requests_ended(admin: AdminGateway) -> int:
    return sum(path.read_bytes().count(b'"type":"end"') for path in (admin.gateway.state / "spool").glob("*.ndjson"))


def test_without_control_requests_for_models_go_on(admin: AdminGateway) -> None:
    socket = admin.gateway.state / CONTROL_API_SOCKET
    socket.rename(socket.with_name("aside"))
    socket.mkdir()  # nothing can listen there
    os.kill(admin.gateway.pids("control")["control"], signal.SIGKILL)
    try:
        until(lambda: "control" not in admin.gateway.pids("control"))
        refused = problem(admin.ask("GET", ME, key=admin.admin_key()), 503, "control_unavailable")
        assert "models" in refused["detail"]
        assert admin.chat().status_code == 200
        report = admin.gateway.readyz()
        assert (report["ready"], report["degraded"]) == (True, ["control", "database"])
        assert report["parts"]["database"]["detail"] == "not known: control does not answer"
    finally:
        socket.rmdir()
        socket.with_name("aside").unlink()
    until(lambda: admin.ask("GET", ME, key=admin.admin_key()).status_code == 200)
    until(lambda: admin.gateway.readyz()["degraded"] == [])


def test_control_is_restarted_and_the_key_is_not_printed_again(admin: AdminGateway) -> None:
    assert admin.ask("POST", TENANTS, {"id": "kept", "display_name": "K"}, key=admin.admin_key()).status_code == 201
    pid = admin.gateway.pids("control")["control"]
    os.kill(pid, signal.SIGKILL)
    statuses = set()

    def answers() -> bool:
        found = admin.ask("GET", f"{TENANTS}/kept", key=admin.admin_key())
        statuses.add(found.status_code)
        return found.status_code == 200 and admin.gateway.pids("control").get("control") not in (None, pid)

    until(answers)
    assert statuses <= {200, 503}
    assert len(admin.printed()) == 1
    assert admin.chat().status_code == 200


def test_one_that_hangs_is_ended(admin: AdminGateway) -> None:
    pid = admin.gateway.pids("control")["control"]
    stop(pid)
    answer = admin.ask("GET", ME, key=admin.admin_key())
    # The watchdog's patience and Envoy's end at about the same time on a busy machine.
    expected = {503: "control_disconnected", 504: "control_timeout"}
    refused = problem(answer, answer.status_code, expected[answer.status_code])
    assert "Idempotency-Key" in refused["detail"]
    until(lambda: admin.ask("GET", ME, key=admin.admin_key()).status_code == 200)


def test_a_restart_keeps_it(admin: AdminGateway) -> None:
    done = headgate("restart", "--state", str(admin.gateway.state), "--json")
    assert done.returncode == 0, done.stderr
    steps = {step.get("part"): step.get("state") for step in map(json.loads, done.stdout.splitlines())}
    assert steps["control"] == "restarted"
    until(lambda: admin.ask("GET", ME, key=admin.admin_key()).status_code == 200)


def test_a_database_that_is_away_keeps_nobody_from_models(tmp_path: Path, engine: Engine) -> None:
    services = {"database": f"postgresql://somebody:hidden-word@{free_address()}/none"}
    with admin_gateway(tmp_path, engine, services=services) as alone:
        assert alone.chat().status_code == 200
        until(lambda: alone.gateway.readyz()["degraded"] == ["database"])
        report = alone.gateway.readyz()
        assert report["ready"]
        assert re.fullmatch(r"away since \S+Z: the database is not reachable", report["parts"]["database"]["detail"])
        problem(alone.ask("GET", ME, key=alone.tenant_key), 503, "store_away")
        problem(alone.ask("GET", ME), 401)
        assert alone.ask("GET", OPENAPI).status_code == 200
        assert not alone.printed()
        texts = [path.read_text() for path in alone.gateway.texts()]
        assert not [text for text in texts if "hidden-word" in text]
        commands = [Path(f"/proc/{pid}/cmdline").read_text() for pid in alone.gateway.pids("").values()]
        assert not [command for command in commands if "hidden-word" in command]

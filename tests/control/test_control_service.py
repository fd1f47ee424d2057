"""Control as a process: its socket, its database that may be away or unusable, the first admin key, its end."""

import signal
import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from control_process import DEADLINE_S, ControlProcess, control_process
from databases import Database, PostgresDatabase
from postgres_server import PostgresServer, postgres_server
from usage_rows import RowStore, serving

from control.store.store import Store
from headgate.contract import CONTROL_API_SOCKET, DATABASE, DIRECTORY, USAGE_SOCKET
from headgate.declared import Declared, DeclaredTenant, write_declared
from headgate.directory.following import Following
from headgate.virtual_key import has_checksum

TENANTS, COSTS = "/admin/v1/tenants", "/v1/organization/costs?start_time=1700000000"


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Unix socket's path ends at 107 bytes."""
    return tmp_path_factory.mktemp("c")


@pytest.fixture
def control(short: Path) -> Iterator[ControlProcess]:
    with control_process(short) as running:
        running.until_state("up")
        yield running


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_files_and_socket_are_the_owners_alone(control: ControlProcess) -> None:
    assert mode_of(control.state / DATABASE) == mode_of(control.state / CONTROL_API_SOCKET) == 0o600


def test_requests_need_an_identity_and_openapi_does_not(control: ControlProcess) -> None:
    assert control.ask("GET", TENANTS).json() == {"data": [], "next": None}
    refused = control.ask("GET", TENANTS, signed=False)
    assert (refused.status_code, refused.headers["content-type"]) == (401, "application/problem+json")
    assert control.ask("GET", "/admin/v1/openapi.json", signed=False).json()["openapi"].startswith("3.")


def test_what_gateway_yaml_declares_is_read_when_it_changes(control: ControlProcess) -> None:
    for generation, names in ((1, ["acme"]), (2, ["acme", "globex"])):
        declared = Declared(generation, tenants={name: DeclaredTenant() for name in names})
        write_declared(declared, control.state / "declared.json")
        assert [tenant["id"] for tenant in control.ask("GET", TENANTS).json()["data"]] == names
    (control.state / "declared.json").write_text("{")
    assert len(control.ask("GET", TENANTS).json()["data"]) == 2


def test_the_lifeline_ends_it_and_a_written_tenant_stays(control: ControlProcess) -> None:
    assert control.ask("POST", TENANTS, {"id": "acme", "display_name": "Acme"}).status_code == 201
    assert control.end() == 0
    control.start()
    control.until_state("up")
    assert [tenant["id"] for tenant in control.ask("GET", TENANTS).json()["data"]] == ["acme"]
    assert control.process
    control.process.send_signal(signal.SIGTERM)
    assert control.process.wait(DEADLINE_S) == 0
    assert "Traceback" not in control.log()


def test_a_request_that_runs_is_answered_before_the_end(control: ControlProcess) -> None:
    """It waits for the database's lock; the end waits for it."""
    writer = sqlite3.connect(control.state / DATABASE, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    answers: list[int] = []
    asking = threading.Thread(
        target=lambda: answers.append(control.ask("POST", TENANTS, {"id": "a", "display_name": "A"}).status_code)
    )
    asking.start()
    assert control.process
    asking.join(1.0)
    control.process.send_signal(signal.SIGTERM)
    asking.join(0.5)
    writer.execute("ROLLBACK")
    writer.close()
    asking.join(DEADLINE_S)
    assert answers == [201]
    assert control.process.wait(DEADLINE_S) == 0


@pytest.mark.parametrize(
    ("damage", "code", "state"),
    [
        ("UPDATE headgate_schema SET version_num = '9999'", "store_newer", "unusable"),
        ("DROP TABLE headgate_schema", "store_foreign", "unusable"),
        (None, "store_damaged", "away"),
    ],
)
def test_a_database_that_cant_be_opened(short: Path, damage: str | None, code: str, state: str) -> None:
    path = short / DATABASE
    Store.open(f"sqlite:///{path}").close()
    good = path.read_bytes()
    if damage:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute(damage)
        connection.close()
    else:
        path.write_bytes(b"no database" * 1000)
    with control_process(short) as control:
        standing = control.until_state(state)
        assert standing.detail
        for method, where in (("GET", TENANTS), ("POST", TENANTS), ("GET", "/admin/v1/nowhere")):
            refused = control.ask(method, where)
            body = refused.json()
            assert (refused.status_code, body["code"]) == (503, code)
            assert refused.headers["content-type"] == "application/problem+json"
            assert (body["type"], body["request_id"]) == (f"urn:headgate:problem:{code}", "request-1")
            assert refused.headers["retry-after"]
        assert control.ask("GET", TENANTS, signed=False).status_code == 401
        assert control.ask("GET", "/admin/v1/openapi.json", signed=False).status_code == 200
        assert control.first_key().status_code == 503
        # Who mends it need not restart anything.
        draft = short / "good"
        draft.write_bytes(good)
        for left in short.glob("control.db-*"):
            left.unlink()
        draft.replace(path)
        assert control.until_state("up").detail is None
        assert control.ask("GET", TENANTS).status_code == 200


def test_postgresql_that_is_away_at_the_start_and_later(short: Path) -> None:
    with postgres_server() as server:
        database = PostgresDatabase.created(server, "control")
        server.stop()
        url = database.url.replace("postgresql:///", "postgresql://:hidden-password@/")
        with control_process(short, url) as control:
            assert control.until_state("away").detail == "the database is not reachable"
            assert control.ask("GET", TENANTS).json()["code"] == "store_away"
            (control.state / USAGE_SOCKET).parent.mkdir(exist_ok=True)
            with serving(RowStore(), control.state / USAGE_SOCKET):  # usage needs no database
                assert control.ask("GET", COSTS).json()["object"] == "page"
            refused = control.ask("GET", COSTS)
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "usage_away")
            assert control.ask("GET", COSTS, signed=False).json()["error"]["code"] == "unauthenticated"
            server.start()
            control.until_state("up")
            assert control.ask("POST", TENANTS, {"id": "acme", "display_name": "Acme"}).status_code == 201
            server.stop()
            away = control.until_state("away")
            assert control.ask("GET", TENANTS).json()["code"] == "store_away"
            assert control.standing() == away  # since then
            server.start()
            control.until_state("up")
            assert control.ask("GET", TENANTS).json()["data"][0]["id"] == "acme"
            assert "hidden-password" not in control.log()


def test_the_first_admin_key_is_made_once(control: ControlProcess) -> None:
    answers = [control.first_key() for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 204, 204]
    key = answers[0].json()["key"]
    assert has_checksum(key)
    (shown,) = control.ask("GET", "/admin/v1/keys").json()["data"]
    assert (shown["name"], shown["role"], shown["prefix"], shown["created_by"]) == (
        "first",
        "admin",
        key[:8],
        "system",
    )
    (entry,) = control.ask("GET", "/admin/v1/audit?action=keys.create_first").json()["data"]
    assert (entry["action"], entry["actor_kind"]) == ("keys.create_first", "system")
    # Whoever revokes it wants none in its place.
    assert control.ask("DELETE", f"/admin/v1/keys/{shown['id']}").status_code == 204
    assert control.first_key().status_code == 204
    assert control.end() == 0
    assert key not in control.log()
    assert key.encode() not in (control.state / DATABASE).read_bytes()


def test_two_hosts_on_one_database_make_one_key(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    database: Database = PostgresDatabase.created(postgres, "two_controls")
    folders = [tmp_path_factory.mktemp("h") for _ in range(2)]
    with control_process(folders[0], database.url) as one, control_process(folders[1], database.url) as other:
        for host in (one, other):
            host.until_state("up")
        answers: list[int] = []
        asking = [
            threading.Thread(target=lambda host=host: answers.append(host.first_key().status_code))
            for host in (one, other) * 3
        ]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        assert sorted(answers) == [201, 204, 204, 204, 204, 204]


def test_a_file_that_is_lost_is_noticed_and_no_key_is_forgotten_for_it(control: ControlProcess) -> None:
    assert control.ask("POST", TENANTS, {"id": "acme", "display_name": "Acme"}).status_code == 201
    path = control.state / DATABASE
    known = rows_in(control.state)
    copy = sqlite3.connect(control.state / "copy.db")
    with sqlite3.connect(path) as database:
        database.backup(copy)
    copy.close()
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    assert control.process
    assert control.process.stdin
    assert control.process.wait(DEADLINE_S) == 0  # a supervisor starts it again
    control.process.stdin.close()
    assert "was removed or exchanged" in control.log()
    control.start()
    control.until_state("unusable")
    lost = control.ask("GET", TENANTS)
    assert (lost.status_code, lost.json()["code"]) == (503, "store_lost")
    assert rows_in(control.state) == known
    (control.state / "copy.db").replace(path)
    control.until_state("up")
    assert [tenant["id"] for tenant in control.ask("GET", TENANTS).json()["data"]] == ["acme"]
    assert rows_in(control.state) == known


def rows_in(state: Path) -> tuple[int, list[str]]:
    """What the workers of this host know."""
    directory = Following(state / DIRECTORY).directory
    return directory.version, list(directory.tenants())

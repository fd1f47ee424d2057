"""What a host knows of a real OpenBao: values that change, that are gone or denied, and a Vault that is away."""

import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bao_server import Bao, bao_server, free_port

from headgate.vault import files
from headgate.vault.following import Following
from headgate.vault.login import Credentials
from headgate.vault.server import Server

KEY, OTHER = "secret/openai#key", "secret/openai#other"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "secrets"
    made.mkdir(mode=0o700)
    return made


@pytest.fixture
def token(bao: Bao) -> str:
    bao.put("openai", key="sk-one", other="two")
    bao.policy("reads", "secret/data/openai: read", "secret/data/more/*: read", "first/*: read")
    return bao.token("reads")


def following(bao: Bao, folder: Path, token: str, refresh_s: float = 0.2, **more: bool) -> Following:
    return Following(Server(bao.url), Credentials("token", "token", lambda: token), folder, refresh_s, **more)


@contextmanager
def running(one: Following) -> Iterator[Following]:
    one.start()
    try:
        yield one
    finally:
        one.close()


def within(condition: Callable[[], object], within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_is_read_is_in_files_that_only_we_can_read(bao: Bao, folder: Path, token: str) -> None:
    assert following(bao, folder, token).first({KEY, OTHER}, 5) == {}
    assert (files.read_value(folder, KEY), files.read_value(folder, OTHER)) == ("sk-one", "two")
    assert files.read_value(folder, "secret/openai#third") is None
    assert files.values_file(KEY) == files.values_file(OTHER)
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert token not in "".join(path.read_text() for path in folder.iterdir())


def test_a_new_version_is_read_and_one_that_is_gone_leaves_the_old(bao: Bao, folder: Path, token: str) -> None:
    one = following(bao, folder, token)
    one.first({KEY}, 5)
    with running(one):
        bao.put("openai", key="sk-two", other="two")
        within(lambda: files.read_value(folder, KEY) == "sk-two")
        bao.admin.secrets.kv.v2.delete_latest_version_of_secret("openai", mount_point="secret")
        within(lambda: one.error)
        assert "vault:secret/openai: its newest version is deleted; what was read before stays" in str(one.error)
        assert files.read_value(folder, KEY) == "sk-two"
        bao.put("openai", key="sk-three")
        within(lambda: one.error is None)
        assert files.read_value(folder, KEY) == "sk-three"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("secret/openai#third", "vault:secret/openai: no field third"),
        ("secret/openai#number", "vault:secret/openai#number: expected text"),
        ("secret/more/none#key", "vault:secret/more/none: there is none"),
        ("secret/elsewhere#key", "vault:secret/elsewhere: permission denied"),
        ("nowhere/at/all#key", "vault:nowhere/at/all: permission denied"),
        ("cubbyhole/a#key", "vault:cubbyhole/a: a mount of type cubbyhole, expected kv"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_place(
    bao: Bao, folder: Path, token: str, place: str, said: str
) -> None:
    bao.put("openai", key="sk-one", number=7)
    role_id, secret_id = bao.approle("reads")
    before = bao.sign_ins()
    credentials = Credentials("approle", "approle", lambda: role_id, lambda: secret_id)
    one = Following(Server(bao.url), credentials, folder, 30)
    assert one.first({place}, 5) == {place: said}
    assert bao.sign_ins() == before + 1  # that is no reason to sign in again


def test_a_mount_without_versions_and_one_of_two_parts(bao: Bao, folder: Path, token: str) -> None:
    bao.admin.sys.enable_secrets_engine("kv", path="first/team", options={"version": "1"})
    bao.admin.secrets.kv.v1.create_or_update_secret("openai", {"key": "sk-first"}, mount_point="first/team")
    assert following(bao, folder, token).first({"first/team/openai#key"}, 5) == {}
    assert files.read_value(folder, "first/team/openai#key") == "sk-first"


def test_a_token_that_was_revoked_is_replaced(bao: Bao, folder: Path, token: str) -> None:
    given = [token]
    one = Following(Server(bao.url), Credentials("token", "token", lambda: given[-1]), folder, 0.2)
    one.first({KEY}, 5)
    with running(one):
        bao.admin.auth.token.revoke(token)
        within(lambda: one.error)
        given.append(bao.token("reads"))
        bao.put("openai", key="sk-again")
        within(lambda: files.read_value(folder, KEY) == "sk-again")
        within(lambda: one.error is None)


def test_what_an_edit_needs_is_read_and_what_it_leaves_goes(bao: Bao, folder: Path, token: str) -> None:
    bao.put("more/claude", key="sk-claude")
    one = following(bao, folder, token)
    one.first({KEY}, 5)
    assert one.want({KEY, "secret/more/none#key"}) == {
        "secret/more/none#key": "vault:secret/more/none: there is none"
    }
    assert one.want({"secret/more/claude#key", OTHER}) == {}
    assert (files.read_value(folder, OTHER), files.read_value(folder, KEY)) == ("two", "sk-one")
    one.keep({"secret/more/claude#key"})
    assert files.read_value(folder, KEY) is None
    assert files.read_value(folder, "secret/more/claude#key") == "sk-claude"


def test_the_token_is_shared_only_where_somebody_needs_it(bao: Bao, folder: Path, token: str) -> None:
    following(bao, folder, token, shares_token=True).first((), 5)
    assert files.read_token(folder) == token


def test_nothing_to_read_signs_in_nowhere(folder: Path) -> None:
    credentials = Credentials("token", "token", lambda: "t")
    one = Following(Server(f"http://127.0.0.1:{free_port()}"), credentials, folder, 30)
    began = time.monotonic()
    assert one.first((), 30) == {}
    assert time.monotonic() - began < 10
    assert one.error is None


@pytest.mark.parametrize("how", ["hangs", "is sealed", "is killed"])
def test_while_vault_is_away_what_was_read_goes_on(tmp_path: Path, folder: Path, how: str) -> None:
    with bao_server(tmp_path) as bao:
        bao.put("openai", key="sk-one")
        token = str(bao.admin.token)
        one = following(bao, folder, token)
        assert one.first({KEY}, 5) == {}
        with running(one):
            if how == "hangs":
                bao.hang()
            elif how == "is sealed":
                bao.admin.sys.seal()
            else:
                bao.kill()
            within(lambda: one.error)
            assert {"hangs": "does not answer in time", "is sealed": "is sealed", "is killed": "cannot be reached"}[
                how
            ] in str(one.error)
            assert files.read_value(folder, KEY) == "sk-one"
            if how == "hangs":
                bao.go_on()
                within(lambda: one.error is None)
                return
        again = following(bao, folder, token)  # as after a restart: what it needs is known
        assert again.first({KEY}, 30) == {}
        assert "stays in use" in str(again.error)
        unknown = "secret/other#key"
        assert list(again.first({KEY, unknown}, 1)) == [unknown]


def test_another_vaults_values_are_not_taken_for_this_ones(bao: Bao, folder: Path, token: str) -> None:
    following(bao, folder, token).first({KEY}, 5)
    dead = Server(f"http://127.0.0.1:{free_port()}")
    one = Following(dead, Credentials("token", "token", lambda: token), folder, 30)
    assert "cannot be reached" in one.first({KEY}, 1)[KEY]
    assert files.read_value(folder, KEY) is None


def test_a_start_waits_for_a_vault_that_is_just_starting(tmp_path: Path, folder: Path) -> None:
    port = free_port()
    one = Following(Server(f"http://127.0.0.1:{port}"), Credentials("token", "token", lambda: "root"), folder, 30)
    began = time.monotonic()
    problems = one.first({KEY}, 2)
    assert 1 < time.monotonic() - began < 60
    assert "cannot be reached" in problems[KEY]

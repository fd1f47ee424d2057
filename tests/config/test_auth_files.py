"""Peppers and the service key: in which files they are, what readers make of these, and what a host makes itself."""

import stat
from collections.abc import Callable
from hashlib import sha256
from hmac import new
from pathlib import Path

import pytest

from headgate.auth_secrets import LOOKS_EVERY_S, AuthSecrets, SecretAway
from headgate.config.check import Checked
from headgate.contract import ADAPTER_KEY, ENGINES_KEY, PEPPER, SERVICE_KEY
from headgate.peppers import Peppers, pepper_id
from headgate.snapshot import AuthRow
from headgate.supervise.own_secrets import make_own_secrets
from headgate.supervise.refusal import Refusal

MODELS = 'providers: {a: {api: openai, base_url: "http://a/v1"}}\nmodels: {m: {targets: [{provider: a, model: x}]}}\n'
ONE, TWO, THREE = (letter * 40 for letter in "abc")
OWN = (PEPPER, SERVICE_KEY, ENGINES_KEY, ADAPTER_KEY)
KEY = f"hg-{'k' * 43}"

Checking = Callable[[str], Checked]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now

    def go_on(self) -> None:
        self.now += LOOKS_EVERY_S


def test_what_is_stored_of_a_key() -> None:
    peppers = Peppers(ONE.encode(), [TWO.encode()])
    digest, name = peppers.digest(KEY)
    assert digest == new(ONE.encode(), KEY.encode(), sha256).digest()
    assert name == sha256(b"headgate pepper" + ONE.encode()).hexdigest()[:16]
    assert list(peppers.candidates(KEY)) == [
        (digest, name),
        (new(TWO.encode(), KEY.encode(), sha256).digest(), pepper_id(TWO.encode())),
    ]
    assert peppers.ids == (name, pepper_id(TWO.encode()))


def test_a_pepper_that_is_given_twice_is_tried_once() -> None:
    assert len(list(Peppers(ONE.encode(), [TWO.encode(), ONE.encode()]).candidates(KEY))) == 2


@pytest.mark.parametrize(
    ("database", "auth", "warned"),
    [
        ("postgresql://db/x", "", ["auth.pepper", "auth.service_key"]),
        ("postgresql://db/x", "auth: {pepper: env:PEPPER}\n", ["auth.service_key"]),
        ("postgresql://db/x", "auth: {service_key: env:PEPPER}\n", ["auth.pepper"]),
        ("sqlite:///x.db", "", []),
    ],
)
def test_hosts_that_share_a_database_are_given_the_same(
    check_text: Checking, database: str, auth: str, warned: list[str]
) -> None:
    checked = check_text(f'{MODELS}services: {{database: "{database}"}}\n{auth}')
    assert [warning.path for warning in checked.warnings if warning.path.startswith("auth")] == warned


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    clock, row = Clock(), AuthRow("pepper", ("previous",), "service")
    (tmp_path / "pepper").write_text(f"{ONE}\n")
    secrets = AuthSecrets(row, tmp_path, clock)
    assert secrets.peppers().ids == (pepper_id(ONE.encode()),)
    with pytest.raises(SecretAway):
        secrets.service_key()

    (tmp_path / "previous").write_text(ONE)
    (tmp_path / "pepper").write_text(f"{TWO}{TWO}")
    (tmp_path / "service").write_text(THREE)
    assert secrets.peppers().ids == (pepper_id(ONE.encode()),)  # it has just looked
    clock.go_on()
    assert secrets.peppers().ids == (pepper_id((TWO + TWO).encode()), pepper_id(ONE.encode()))
    assert secrets.service_key() == THREE.encode()


@pytest.mark.parametrize("then", [None, "", "short"])
def test_what_is_no_secret_takes_no_ones_place(tmp_path: Path, then: str | None) -> None:
    clock, file = Clock(), tmp_path / "pepper"
    file.write_text(ONE)
    secrets = AuthSecrets(AuthRow("pepper"), tmp_path, clock)
    known = secrets.peppers().ids
    file.unlink() if then is None else file.write_text(then)
    clock.go_on()
    assert secrets.peppers().ids == known
    with pytest.raises(SecretAway):
        AuthSecrets(AuthRow("pepper"), tmp_path, clock).peppers()


def test_a_host_makes_its_secrets_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_own_secrets()
    made = [path.read_text() for path in OWN]
    assert [len(text) for text in made] == [44] * len(OWN)
    assert len(set(made)) == len(OWN)
    assert {stat.S_IMODE(path.stat().st_mode) for path in OWN} == {0o600}
    assert stat.S_IMODE(PEPPER.parent.stat().st_mode) == 0o700
    make_own_secrets()
    assert [path.read_text() for path in OWN] == made
    assert sorted(PEPPER.parent.iterdir()) == sorted(OWN)
    AuthSecrets(AuthRow()).peppers()


def test_a_file_that_lost_its_secret_is_not_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_own_secrets()
    PEPPER.write_text("")
    with pytest.raises(Refusal) as refused:
        make_own_secrets()
    assert "identity/pepper holds no secret" in refused.value.lines[0]

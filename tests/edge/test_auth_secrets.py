"""`auth`: its secrets go into files that the tables name, and to no part by its environment."""

from pathlib import Path

import pytest

from headgate.compile import compile_snapshot
from headgate.config.check import check
from headgate.config.model import Gateway
from headgate.contract import PEPPER, SERVICE_KEY
from headgate.edge.secrets import own_files, secret_files
from headgate.snapshot import AuthRow
from headgate.supervise.edge_files import withheld_env

MODELS = 'providers: {a: {api: openai, base_url: "http://a/v1"}}\nmodels: {m: {targets: [{provider: a, model: x}]}}\n'
AUTH = "auth: {pepper: env:PEPPER, previous_peppers: [file:older, file:old], service_key: file:service}\n"
ONE, TWO, THREE, FOUR = (letter * 40 for letter in "abcd")


def gateway_of(folder: Path, text: str) -> Gateway:
    for name, secret in (("older", TWO), ("old", THREE), ("service", FOUR)):
        (folder / name).write_text(f"{secret}\n")
    (folder / "gateway.yaml").write_text(text)
    checked = check(folder / "gateway.yaml", {"PEPPER": ONE})
    assert checked.gateway, checked.problems
    return checked.gateway


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return gateway_of(tmp_path, MODELS + AUTH)


def test_the_tables_name_files_which_hold_the_secrets(gateway: Gateway, tmp_path: Path) -> None:
    row = compile_snapshot(gateway, 1).auth
    files = secret_files(gateway, tmp_path, {"PEPPER": ONE})
    named = [row.pepper, *row.previous_peppers, row.service_key]
    assert [files[Path(name).name].decode() for name in named] == [ONE, TWO, THREE, FOUR]
    assert {Path(name).name for name in named} == own_files(gateway)
    assert {str(Path(name).parent) for name in named} == {"secrets"}
    assert not [secret for secret in (ONE, TWO, THREE, FOUR) if secret in repr(row) + repr(gateway)]


def test_parts_get_no_pepper_in_their_environment(gateway: Gateway) -> None:
    assert withheld_env(gateway, {"PEPPER": ONE, "HOME": "/"}) == {"HOME": "/"}


def test_without_auth_they_are_files_of_this_host(tmp_path: Path) -> None:
    gateway = gateway_of(tmp_path, MODELS)
    assert compile_snapshot(gateway, 1).auth == AuthRow(str(PEPPER), (), str(SERVICE_KEY))
    assert own_files(gateway) == set()

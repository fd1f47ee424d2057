"""A gateway with known secrets everywhere, put to work of every kind: none of them is where it has no business."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from secret_search import Search, files_below
from secretive_admin import administer
from secretive_gateway import OF_PROVIDERS, Secretive, search_of, secretive_gateway, shown_by, work
from upstreams import Engine

pytestmark = pytest.mark.timeout(900)  # it is some hundred requests and commands

# Below the state directory: whose job it is to hold what. Everything here is for its owner alone.
HOLDERS = {
    "secrets/": OF_PROVIDERS | {"webhook secret", "pepper", "previous pepper"},
    "identity/service-key": {"own service-key"},
    "identity/pepper": {"own pepper"},
    "identity/local-key": {"own local-key"},
    "identity/adapter-key": {"own adapter-key"},
}


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory, engine: Engine, other_engine: Engine) -> Iterator[Secretive]:
    with secretive_gateway(tmp_path_factory.mktemp("secretive"), engine, other_engine) as secretive:
        administer(secretive)
        work(secretive)
        yield secretive


@pytest.fixture(scope="module")
def search(worked: Secretive) -> Search:
    return search_of(worked)


def test_the_secrets_were_used(worked: Secretive, other_engine: Engine) -> None:
    """Otherwise nothing below would be worth anything."""
    seen = other_engine.record.read_text()
    used = {name for name in OF_PROVIDERS if worked.secrets[name] in seen}
    assert used == OF_PROVIDERS - {"AWS key"}  # which signs
    assert worked.prompts["prompt"] in seen
    ended = [line for line in worked.gateway.spool.all() if line["type"] == "end"]
    assert {200, 400, 401, 404} <= {line["status"] for line in ended}
    assert {line["status"] for line in ended if line["tenant"] == "kept"} == {200}  # by keys of the database
    assert 200 in {line["status"] for line in ended if str(line["key_id"]).startswith("oidc_")}  # by tokens
    deadline = time.monotonic() + 60
    while not any(b"limit.soft_exceeded" in body for body in worked.sink.bodies):  # signed with the webhook's secret
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_files_hold_none_but_those_whose_job_it_is(worked: Secretive, search: Search) -> None:
    state, holding = worked.gateway.state, {}
    for path, names in search.below(state):
        allowed = [HOLDERS[place] for place in HOLDERS if str(path).startswith(place)]
        if not allowed or names - allowed[0]:
            holding[str(path)] = names
    assert holding == {}
    held = {name for path, names in search.below(state) for name in names}
    assert held == {name for names in HOLDERS.values() for name in names}


def test_no_prompt_is_kept_not_even_of_who_would_let_it(worked: Secretive) -> None:
    """Nothing of this version stores what requests and answers say."""
    admin = worked.secrets["admin key"]
    tenant = worked.gateway.get("/admin/v1/tenants/acme", admin).json()
    assert (tenant["store_prompts"], tenant["managed_by"]) == (True, "file")
    prompts = Search(worked.prompts)
    assert list(prompts.below(worked.gateway.state)) == []
    assert len(list(files_below(worked.gateway.state))) > 20


def test_what_holds_one_is_for_its_owner_alone(worked: Secretive, search: Search) -> None:
    state = worked.gateway.state
    for place in HOLDERS:
        path = state / place
        assert path.exists()
        assert path.stat().st_mode & 0o077 == 0, place
        for file in files_below(path) if path.is_dir() else [path]:
            assert file.stat().st_mode & 0o077 == 0, file


def test_logs_and_counters_hold_none(worked: Secretive, search: Search) -> None:
    folder = worked.gateway.folder
    printed, *others = [line for line in worked.gateway.log().splitlines() if search.names_in(line)]
    assert (printed[:11], search.names_in(printed), others) == ("admin key  ", {"admin key"}, [])  # for the operator
    assert len(worked.gateway.log()) > 500
    assert list(search.below(folder / "valkey")) == []


def test_the_database_holds_none(worked: Secretive, search: Search) -> None:
    dump = worked.postgres.dump("postgres")
    assert "virtual_keys" in dump
    assert "provider_credentials" in dump
    assert search.names_in(dump) == set()
    assert list(search.below(worked.postgres.folder)) == []


def test_answers_and_outputs_of_commands_hold_none(worked: Secretive) -> None:
    """Prompts come back in answers; keys never do."""
    search = Search(worked.secrets)
    assert len(worked.said) > 50
    assert {what: names for what, said in worked.said if (names := search.names_in(said))} == {}


def test_processes_show_none(worked: Secretive, search: Search) -> None:
    found = {what: search.names_in(shown) for what, shown in shown_by(worked)}
    assert {what: names for what, names in found.items() if names} == {}
    assert len(found) > 15


def test_traces_and_webhooks_hold_none(worked: Secretive, search: Search) -> None:
    assert len(worked.sink.bodies) > 5
    assert [body for body in worked.sink.bodies if search.names_in(body)] == []


def test_parts_have_none_in_their_environment_but_where_their_services_are(worked: Secretive, search: Search) -> None:
    for name, pid in worked.gateway.pids("").items():
        held = search.names_in(Path(f"/proc/{pid}/environ").read_bytes())
        services = {"counters' password"} if name.startswith(("filters", "ledger", "control")) else set()
        assert held <= (services | {"database's password"} if name == "control" else services), name

"""What commands of the admin API do about answers that are late, broken, hostile or no: against scripted bytes."""

import json
import ssl
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from scripted_gateway import Scripted, answer, problem, scripted

from headgate.cli import main
from tests.certificates import Authority

KEY = "hg-" + "s" * 43
DONE = {"id": "acme", "display_name": "Acme"}


def headgate(running: Scripted | str, *arguments: str, stdin: str | None = None, **environ: str | None) -> Result:
    url = running if isinstance(running, str) else running.url
    environ = {"HEADGATE_ADMIN_KEY": KEY, "HEADGATE_URL": url, "HEADGATE_TENANT": None, **environ}
    result = CliRunner().invoke(main, arguments, env=environ, input=stdin)
    assert KEY not in result.output
    return result


def one_line(result: Result) -> str:
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.mark.parametrize(
    "broken", [b"", answer(503, {}), b"HTTP/1.1 201 x\r\ncontent-length: 40\r\nconnection: close\r\n\r\n{"]
)
def test_a_create_whose_answer_is_lost_is_given_again_under_the_same_idempotency_key(broken: bytes) -> None:
    with scripted(broken, broken, answer(201, DONE)) as running:
        result = headgate(running, "tenants", "create", "acme", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, DONE)
    assert [asked.method for asked in running.asked] == ["POST"] * 3
    assert len({asked.headers["idempotency-key"] for asked in running.asked}) == 1
    assert [asked.json for asked in running.asked] == [{"id": "acme"}] * 3


def test_two_creates_have_different_idempotency_keys() -> None:
    with scripted(*[answer(201, DONE)] * 2) as running:
        for _ in range(2):
            headgate(running, "tenants", "create", "acme")
    assert len({asked.headers["idempotency-key"] for asked in running.asked}) == 2


@pytest.mark.parametrize(
    "arguments",
    [("tenants", "update", "acme", "--disable"), ("keys", "revoke", "key_1", "--tenant", "acme", "--yes")],
)
def test_what_may_not_be_done_twice_is_sent_once(arguments: tuple[str, ...]) -> None:
    with scripted(b"") as running:
        text = one_line(headgate(running, *arguments))
    assert len(running.asked) == 1
    assert "whether it was done is open" in text


def test_what_has_to_match_a_version_is_sent_once_too() -> None:
    with scripted(answer(200, {"limits": {}}), b"") as running:
        assert "is open" in one_line(headgate(running, "limits", "set", "acme", "rpm=5"))
    assert [asked.headers.get("if-match") for asked in running.asked] == [None, '"v0"']


def test_who_stays_busy_is_asked_a_few_times() -> None:
    busy = problem(503, "store_away", "the database does not answer")
    with scripted(*[busy] * 9) as running:
        text = one_line(headgate(running, "tenants", "list"))
    assert len(running.asked) == 4
    assert text.startswith("the database does not answer; ")
    assert "`headgate status`" in text


def test_the_key_follows_no_redirect() -> None:
    with scripted() as elsewhere, scripted(answer(307, {}, location=f"{elsewhere.url}/admin/v1/me")) as running:
        one_line(headgate(running, "whoami"))
        assert running.asked[0].headers["authorization"] == f"Bearer {KEY}"
        assert elsewhere.asked == []


def test_no_proxy_stands_before_this_machine() -> None:
    with scripted() as proxy, scripted(answer(200, {"id": "key_1"})) as running:
        assert headgate(running, "whoami", HTTP_PROXY=proxy.url, http_proxy=proxy.url, NO_PROXY=None).exit_code == 0
        assert proxy.asked == []


def test_all_pages_of_a_list_or_as_much_as_was_asked_for() -> None:
    pages = [
        answer(200, {"data": [{"id": f"t{page}-{row}"} for row in range(200)], "next": following})
        for page, following in enumerate(["one/+", "two", None])
    ]
    with scripted(*pages) as running:
        result = headgate(running, "tenants", "list", "--json")
    found = json.loads(result.stdout)
    assert (len(found["data"]), found["next"]) == (600, None)
    assert [asked.target for asked in running.asked] == [
        "/admin/v1/tenants?limit=200",
        "/admin/v1/tenants?limit=200&after=one%2F%2B",
        "/admin/v1/tenants?limit=200&after=two",
    ]
    with scripted(*pages[:2]) as running:
        result = headgate(running, "tenants", "list", "--limit", "400", "--after", "zero")
    assert running.asked[1].target == "/admin/v1/tenants?limit=200&after=one%2F%2B"
    assert result.stderr == "there are more: raise --limit, or go on with --after two\n"
    assert len(result.stdout.splitlines()) == 401


@pytest.mark.parametrize(
    "arguments",
    [
        ("keys", "revoke", "..", "--tenant", "acme", "--yes"),
        ("keys", "revoke", "", "--tenant", "acme", "--yes"),
        ("keys", "revoke", ".", "--tenant", "acme", "--yes"),
        ("tenants", "ungrant", "acme", "../.."),
        ("tenants", "ungrant", "acme", "vendor//chat"),
        ("members", "remove", "acme", ".."),
        ("limits", "unset", "acme", "--user", "..", "--all"),
        ("providers", "credentials", "remove", "p", "..", "--yes"),
    ],
    ids=" ".join,
)
def test_a_name_that_would_lead_elsewhere_is_not_sent(arguments: tuple[str, ...]) -> None:
    with scripted() as running:
        assert one_line(headgate(running, *arguments)).startswith("expected a name, found ")
        assert running.asked == []


def test_names_stay_one_part_of_the_path_and_models_may_have_several() -> None:
    with scripted(answer(200, DONE), answer(204)) as running:
        for name in ("a/../b", "acme/keys/key_1", "acme\\keys"):
            assert "expected a name, found" in one_line(headgate(running, "tenants", "show", name))
        headgate(running, "tenants", "show", "a..b?c#d")
        headgate(running, "tenants", "grant", "acme", "vendor/chat 1")
    assert [asked.target for asked in running.asked] == [
        "/admin/v1/tenants/a..b%3Fc%23d",
        "/admin/v1/tenants/acme/grants/vendor/chat%201",
    ]


@pytest.mark.parametrize("said", [{}, {"data": 7}, {"data": None, "next": "x"}])
def test_a_list_that_is_none_is_no_answer(said: dict[str, Any]) -> None:
    with scripted(answer(200, said)) as running:
        assert "is no admin API's" in one_line(headgate(running, "tenants", "list"))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (problem(401, "unauthenticated", "no such key."), ["no such key; ", "HEADGATE_ADMIN_KEY", "(request r-1)"]),
        (
            problem(403, "role_not_allowed", "expected the role admin"),
            ["expected the role admin; ", "`headgate whoami`"],
        ),
        (problem(404, "not_found", "there is no such tenant"), ["there is no such tenant (request r-1)"]),
        (problem(409, "managed_by_file", "declared in gateway.yaml"), ["declared in gateway.yaml; ", "change it in"]),
        (problem(409, "exists", "there is one"), ["there is one (request r-1)"]),
        (problem(412, "stale", "it has changed"), ["it has changed; look at what it is now"]),
        (problem(503, "store_full", "no room"), ["no room; ", "`headgate status`"]),
        (
            problem(
                422, "invalid_request", "x", errors=[{"at": "a.b", "expected": "text", "found": "7"}, {"at": "c"}]
            ),
            ["a.b: expected text, found 7, c: not allowed"],
        ),
        (
            answer(401, {"error": {"message": "Incorrect API key", "code": "invalid_api_key"}}),
            ["Incorrect API key; "],
        ),
        (answer(404, b"<html>nginx</html>"), ["status 404", "is the address right"]),
        (answer(500, b"[" * 100_000), ["status 500"]),
        (problem(404, "x", "a\x1b]0;evil\x07\nsecond line"), ["a\\u001b]0;evil\\u0007\\nsecond line"]),
        (answer(200, b"<html>"), ["is no admin API's"]),
        (answer(200, []), ["is no admin API's"]),
    ],
)
def test_a_no_becomes_one_line_that_says_what_to_do(said: bytes, words: list[str]) -> None:
    with scripted(*[said] * 4) as running:
        text = one_line(headgate(running, "tenants", "show", "acme"))
    assert [word for word in words if word not in text] == []
    assert text.strip().isprintable()


def test_what_a_terminal_would_act_on_is_shown_and_does_nothing() -> None:
    rows = [{"id": "a", "display_name": "\x1b[31mred\r\n", "plan": "[bold]x[/bold]", "zones": ["\x07", "b"]}]
    with scripted(answer(200, {"data": rows, "next": None}), answer(200, rows[0])) as running:
        listed = headgate(running, "tenants", "list").stdout
        shown = headgate(running, "tenants", "show", "a").stdout
    for text in (listed, shown):
        assert all(line.isprintable() for line in text.splitlines())
        assert '"\\u001b[31mred\\r\\n"' in text
        assert "[bold]x[/bold]" in text


def test_a_new_key_stands_alone_on_standard_output() -> None:
    made = {"id": "key_1", "name": "ci", "role": "developer", "expires_at": None, "key": "hg-new"}
    with scripted(*[answer(201, made)] * 3) as running:
        created = headgate(running, "keys", "create", "--tenant", "acme", "--name", "ci")
        rotated = headgate(running, "keys", "rotate", "--tenant", "acme", "key_1", "--overlap", "1h")
        as_json = headgate(running, "keys", "create", "--platform", "--name", "ci", "--json")
    for result in (created, rotated):
        assert (result.exit_code, result.stdout) == (0, "hg-new\n")
        assert "key_1" in result.stderr
    assert json.loads(as_json.stdout) == made
    assert [(asked.target, asked.json) for asked in running.asked] == [
        ("/admin/v1/tenants/acme/keys", {"name": "ci"}),
        ("/admin/v1/tenants/acme/keys/key_1/rotate", {"overlap": "1h"}),
        ("/admin/v1/keys", {"name": "ci", "role": "admin"}),
    ]


def test_no_key_becomes_the_platforms_because_a_tenant_was_forgotten() -> None:
    with scripted(answer(200, {"tenant": None}), answer(200, {"tenant": "acme"}), answer(204)) as running:
        result = headgate(running, "keys", "create", "--name", "ci")
        assert (result.exit_code, result.stdout) == (2, "")
        assert headgate(running, "keys", "revoke", "key_1", "--yes").exit_code == 0
    assert [(asked.method, asked.target) for asked in running.asked] == [
        ("GET", "/admin/v1/me"),
        ("GET", "/admin/v1/me"),
        ("DELETE", "/admin/v1/tenants/acme/keys/key_1"),
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("tenants", "delete", "acme"),
        ("plans", "delete", "small"),
        ("users", "delete", "user_1"),
        ("keys", "revoke", "key_1", "--tenant", "acme"),
        ("providers", "credentials", "remove", "openai", "api_key"),
    ],
    ids=" ".join,
)
def test_nothing_is_destroyed_without_a_yes(arguments: tuple[str, ...]) -> None:
    with scripted() as running:
        result = headgate(running, *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "--yes" in result.stderr
        assert running.asked == []


def test_a_secret_comes_on_standard_input_and_goes_nowhere_else() -> None:
    with scripted(answer(200, {"field": "api_key"})) as running:
        result = headgate(running, "providers", "credentials", "set", "openai", "api_key", stdin="sk-very-secret\n")
        assert headgate(running, "providers", "credentials", "set", "openai", "api_key", stdin="\n").exit_code == 2
    assert result.exit_code == 0
    assert "sk-very-secret" not in result.output
    assert [(asked.method, asked.json) for asked in running.asked] == [("PUT", {"secret": "sk-very-secret"})]


def test_limits_that_are_not_named_stay_and_a_change_in_between_is_found() -> None:
    now = answer(200, {"limits": {"rpm": 60, "tpm": 1000}}, etag='"v7"')
    stale = problem(412, "stale", "it has changed since it was read")
    with scripted(now, answer(200, {}), now, stale) as running:
        headgate(running, "limits", "set", "acme", "rpm=5", "monthly_usd=2.50", "tpm={limit: 7, burst: 1}")
        text = one_line(headgate(running, "limits", "unset", "acme", "rpm"))
    first, second = running.asked[1], running.asked[3]
    assert first.json == {"limits": {"rpm": 5, "tpm": {"limit": 7, "burst": 1}, "monthly_usd": "2.50"}}
    assert second.json == {"limits": {"tpm": 1000}}
    assert [asked.headers["if-match"] for asked in (first, second)] == ['"v7"'] * 2
    assert "look at what it is now" in text


def test_an_export_that_is_cut_off_leaves_no_file(tmp_path: Path) -> None:
    newest = answer(200, {"data": [{"seq": 2}], "next": None})
    head = b"HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    cut = (head + b"5\r\n{}\n{}\r\n", head + b"3\r\n{}\n\r\n4\r\n", head + b"5\r\n{}\n{}\r\n0\r\n\r\n")
    file = tmp_path / "audit.ndjson"
    for said in cut:
        with scripted(newest, said) as running:
            one_line(headgate(running, "audit", "export", "-o", str(file)))
        assert list(tmp_path.iterdir()) == []
    with scripted(newest, head + b"4\r\n{}\n{\r\n2\r\n}\n\r\n0\r\n\r\n") as running:
        assert headgate(running, "audit", "export", "-o", str(file)).exit_code == 0
    assert file.read_bytes() == b"{}\n{}\n"
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_gateway_is_trusted_by_its_certificate(tmp_path: Path) -> None:
    authority = Authority()
    ca = tmp_path / "ca.pem"
    ca.write_bytes(authority.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("127.0.0.1").write(tmp_path, "gateway"))
    with scripted(answer(200, {"id": "key_1"}), tls=context) as running:
        text = one_line(headgate(running, "whoami"))
        assert "give --ca" in text
        assert running.asked == []
        assert headgate(running, "whoami", "--ca", str(ca)).exit_code == 0


@pytest.mark.parametrize("key", ["two words", "hg-ü", "a\nb", "x" * 70_000])
def test_what_can_be_no_key_is_not_sent_and_not_shown(key: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(key)
    with scripted() as running:
        for result in (
            headgate(running, "whoami", HEADGATE_ADMIN_KEY=key),
            headgate(running, "whoami", "--key-file", str(file)),
        ):
            assert "holds no key" in one_line(result)
            assert key not in result.stderr
        assert running.asked == []


def test_a_key_over_a_foreign_network_in_clear_is_warned_of() -> None:
    result = headgate("http://gateway.invalid:8080", "whoami")
    assert result.stderr.startswith("warning: http://gateway.invalid:8080 is not https")


def test_no_command_takes_a_key_or_a_secret_as_an_argument() -> None:
    def walk(group: click.Group) -> list[click.Command]:
        context = click.Context(group)
        found = [group.get_command(context, name) for name in group.list_commands(context)]
        return [
            one
            for command in found
            if command
            for one in (walk(command) if isinstance(command, click.Group) else [command])
        ]

    names = {option for command in walk(main) for parameter in command.params for option in parameter.opts}
    assert names & {"--token", "--secret", "--password", "--admin-key", "--api-key"} == set()
    assert "--key-file" in names

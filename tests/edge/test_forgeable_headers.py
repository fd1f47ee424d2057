"""Which headers a client may not send: those by which it could speak for the gateway, or for a proxy before it."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rendering import EXAMPLE, manager_of, rendered

from headgate import contract


def is_removed(mutations: list[dict[str, Any]], name: str) -> bool:
    """Whether Envoy takes the header away: it has names in lower case, and matches regular expressions whole."""
    for mutation in mutations:
        matcher = mutation.get("remove_on_match", {}).get("key_matcher", {"exact": mutation.get("remove")})
        if re.fullmatch(matcher.get("safe_regex", {}).get("regex", "(?!)"), name):
            return True
        if name == matcher.get("exact") or name.startswith(matcher.get("prefix", "\0")):
            return True
    return False


MANAGER = manager_of(rendered(EXAMPLE.read_text()))
EARLY = MANAGER["early_header_mutation_extensions"][0]["typed_config"]["mutations"]
SAID_BY_CLIENTS = {contract.TARGET, contract.FALLBACK}
OURS = {name for name in vars(contract).values() if isinstance(name, str) and name.startswith("x-headgate-")}


def near(name: str) -> set[str]:
    """Names that differ in one character."""
    found = set()
    for at in range(len("x-headgate-"), len(name) + 1):
        start, rest = name[:at], name[at:]
        found |= {start, start + rest[1:], f"{start}-{rest}", f"{start}x{rest[1:]}", f"{start}{rest[:1]}{rest}"}
    return found - {name}


def test_forgeable_headers_are_taken_from_clients() -> None:
    assert MANAGER["use_remote_address"] is True
    assert not MANAGER.get("preserve_external_request_id", False)
    assert len(MANAGER["early_header_mutation_extensions"]) == 1
    assert is_removed(EARLY, contract.REQUEST_ID)  # its own id is what a request is billed by
    assert len(OURS) >= 8
    for name in (OURS | set().union(*map(near, SAID_BY_CLIENTS))) - SAID_BY_CLIENTS:
        assert is_removed(EARLY, name), name
    for name in ("x-envoy-max-retries", "x-envoy-", "x-forwarded-for", "x-headgate-", "x-headgate-target-x"):
        assert is_removed(EARLY, name), name


@settings(deadline=None)
@given(st.text("abcdefgklrt-_.0", max_size=12))
def test_of_our_own_headers_clients_may_say_two(rest: str) -> None:
    name = f"x-headgate-{rest}"
    assert is_removed(EARLY, name) == (name not in SAID_BY_CLIENTS)


@pytest.mark.parametrize(
    "name", [*sorted(SAID_BY_CLIENTS), "content-type", "authorization", "x-head", "traceparent", "x-own"]
)
def test_headers_that_clients_may_send(name: str) -> None:
    assert not is_removed(EARLY, name)

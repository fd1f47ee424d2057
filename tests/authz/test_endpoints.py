"""The names that keys are confined by: there is one for everything that clients can call."""

import pytest

from extproc.surfaces import BY_PATH, CHAT_BY_ID, MODELS, RESPONSE_BY_ID
from headgate.endpoints import ALWAYS, ENDPOINTS, endpoint_of, is_about_usage

PATHS = sorted({*BY_PATH, *(one.path for one in (MODELS, *CHAT_BY_ID, *RESPONSE_BY_ID))})


@pytest.mark.parametrize("path", PATHS)
def test_every_surface_has_a_name(path: str) -> None:
    for place in (f"/v1{path}", f"/v1{path}/x?y=1", f"/tenants/acme/v1{path}"):
        assert endpoint_of(place) in (*ENDPOINTS, ALWAYS)


def test_no_name_is_of_nothing() -> None:
    assert {endpoint_of(f"/v1{path}") for path in PATHS} == {*ENDPOINTS, ALWAYS} - {"admin", "usage"}


@pytest.mark.parametrize(
    "path", ["", "/", "/v1", "/v1/", "v1/chat", "/v1//chat", "/v1/Chat", "/v1/chat;x", "/x/v1/chat"]
)
def test_other_paths_have_none(path: str) -> None:
    assert endpoint_of(path) is None


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/usage", "/v1/usage/x", "/v1/usage?a=/v1/chat", "/tenants/a/v1/usage", "/v1/organization/costs?x"),
        *("/v1/organization", "/tenants/a%2Fb/v1/organization/usage/completions"),
    ],
)
def test_what_is_asked_about_usage_has_one_name(path: str) -> None:
    assert endpoint_of(path) == "usage"
    assert is_about_usage(path)


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/usages", "/v1/chat/usage", "/v1/organizations", "/tenants/a/b/v1/usage", "/v1/models?x=/v1/usage"),
        *("/usage", "/admin/v1/tenants/a/usage", "/v1//usage", "/v1/Usage", "/v1/usage;x", "/v1/us%61ge"),
    ],
)
def test_others_are_not_about_usage(path: str) -> None:
    assert not is_about_usage(path)

"""Error bodies in both APIs' shapes, and whose client a path belongs to."""

import json

import pytest

from headgate.error_shapes import Api, Problem, api_of_path, api_of_surface, rendered


@pytest.mark.parametrize(
    ("path", "api"),
    [
        ("/v1/messages", "anthropic"),
        ("/v1/messages?beta=true", "anthropic"),
        ("/v1/messages/", "anthropic"),
        ("/v1/messages/count_tokens", "anthropic"),
        ("/v1/messages/batches/x?y", "anthropic"),
        ("/tenants/acme/v1/messages", "anthropic"),
        ("/tenants/a%2Fc/v1/messages/count_tokens?x", "anthropic"),
        ("/tenants//v1/messages", "anthropic"),
        ("/v1/messagesx", "openai"),
        ("/v1/Messages", "openai"),
        ("/v2/messages", "openai"),
        ("/x/v1/messages", "openai"),
        ("/tenants/a/b/v1/messages", "openai"),
        ("/v1/chat/completions?x=/v1/messages", "openai"),
        ("/v1/chat/completions/v1/messages", "openai"),
        ("/", "openai"),
        ("", "openai"),
    ],
)
def test_a_path_tells_whose_client_asks(path: str, api: Api) -> None:
    assert {api_of_path(path, versioned=versioned) for versioned in (True, False)} == {api}


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/org/m", "/v1/models?limit=1", "/tenants/a/v1/models/m"])
def test_for_models_a_header_tells(path: str) -> None:
    assert (api_of_path(path, versioned=True), api_of_path(path, versioned=False)) == ("anthropic", "openai")


def test_surfaces() -> None:
    found = {name: api_of_surface(name) for name in ("chat", "messages", "count_tokens", "embeddings", "")}
    assert [name for name, api in found.items() if api == "anthropic"] == ["messages", "count_tokens"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (405, "invalid_request_error"),
        (408, "invalid_request_error"),
        (413, "request_too_large"),
        (415, "invalid_request_error"),
        (429, "rate_limit_error"),
        (431, "invalid_request_error"),
        (500, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
def test_anthropics_type_follows_from_the_status(status: int, kind: str) -> None:
    answer = json.loads(rendered("anthropic", Problem(status, "No.", "x"), "r"))
    assert answer == {"type": "error", "error": {"type": kind, "message": "No."}, "request_id": "r"}


def test_openais_shape_has_all_four_members_always() -> None:
    problem = Problem(400, 'a "b"\n', "invalid_request_error")
    expected = {"message": 'a "b"\n', "type": "invalid_request_error", "param": None, "code": None}
    assert json.loads(rendered("openai", problem, "r")) == {"error": expected}


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("Must be positive.", "messages[0].x: Must be positive."),
        ("The parameter 'messages[0].x' must be positive.", "The parameter 'messages[0].x' must be positive."),
        ("'Messages[0].X' is odd.", "'Messages[0].X' is odd."),
    ],
)
def test_anthropics_shape_loses_nothing(message: str, shown: str) -> None:
    error = json.loads(rendered("anthropic", Problem(400, message, "x", "messages[0].x", "odd"), ""))
    assert error == {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": shown,
            "details": {"error_code": "odd", "param": "messages[0].x"},
        },
        "request_id": None,
    }

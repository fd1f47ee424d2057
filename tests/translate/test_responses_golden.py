"""The golden folders of Responses' directions, and of those made of two: requests to their own SDKs."""

import json
from dataclasses import replace

import pytest
from anthropic.types.message_create_params import MessageCreateParams
from pydantic import TypeAdapter

from extproc.translate import direction_of
from extproc.translate.direction import Direction, Known
from tests.translate.golden import KNOWN, Case, cases
from tests.translate.openai_requests import checked_openai, read
from tests.translate.openai_responses import checked_request, checked_response

WAYS = (("responses", "openai"), ("responses", "anthropic"), ("responses", "gemini"))
WAYS += (("messages", "bedrock"), ("messages", "cohere"), ("messages", "gemini"))
MESSAGES: TypeAdapter[MessageCreateParams] = TypeAdapter(MessageCreateParams)
EXTENSIONS = ("unsupported",)  # asks for what no client's SDK knows, too


def having(*files: str) -> list[tuple[str, str, Case]]:
    return [(surface, api, case) for surface, api in WAYS for case in cases(f"{surface}_{api}") if case.has(*files)]


def named(found: list[tuple[str, str, Case]]) -> list[str]:
    return [f"{surface}-{api}-{case}" for surface, api, case in found]


def direction(surface: str, api: str) -> Direction:
    found = direction_of(surface, api)
    assert found is not None
    return found


def known(surface: str, api: str, case: Case) -> Known:
    """With what the answer repeats of the request, and the model where the answer does not say it."""
    about = replace(KNOWN, model=case.target.model) if api == "bedrock" else KNOWN
    if not case.has("request.client.json"):
        return about
    return replace(about, echo=direction(surface, api).request(case.json("request.client.json"), case.target).echo)


REQUESTS, ANSWERS = having("request.client.json"), having("answer.provider.json")


@pytest.mark.parametrize(("surface", "api", "case"), REQUESTS, ids=named(REQUESTS))
def test_a_request_becomes_the_providers(surface: str, api: str, case: Case) -> None:
    body = case.json("request.client.json")
    made = direction(surface, api).request(body, case.target)
    assert json.loads(made.body) == case.json("request.provider.json")
    assert direction(surface, api).unsupported(body, case.target) == case.dropped
    assert made.dropped == case.dropped + case.left_out
    assert body == case.json("request.client.json")
    if api == "openai" and case.target.preset is None:
        checked_openai({"stream": False, **json.loads(made.body)})


@pytest.mark.parametrize(("surface", "api", "case"), REQUESTS, ids=named(REQUESTS))
def test_a_client_request_is_one_to_its_own_sdk(surface: str, api: str, case: Case) -> None:
    body = {"stream": False, **case.json("request.client.json")}
    if str(case) in EXTENSIONS:
        return
    if surface == "responses":
        checked_request(body)
    else:
        read(MESSAGES.validate_python(body))


@pytest.mark.parametrize(("surface", "api", "case"), ANSWERS, ids=named(ANSWERS))
def test_a_whole_answer_becomes_the_clients(surface: str, api: str, case: Case) -> None:
    made = direction(surface, api).whole(case.read("answer.provider.json"), known(surface, api, case))
    if not isinstance(made, bytes):
        assert made == case.failure
        return
    assert json.loads(made) == case.json("answer.client.json")
    if surface == "responses":
        checked_response(made)

"""Every parameter of every endpoint about usage, and every value that it can't have: 400 that names it."""

from typing import Any

import pytest
from usage_asking import NOW_S, TODAY_S, Api, Caller, error_of
from usage_rows import RowStore

from control.usage_api.kinds import KINDS, UNKNOWN_KINDS
from tests.openai_spec.spec import PARAMETERS

SINCE = ("start_time", TODAY_S)
OURS = ("tenant_ids", "tenant_id")
UNRECORDED = {
    ("usage/completions", "group_by", "service_tier"),
    ("usage/images", "group_by", "size"),
    *(("usage/images", "sizes", size) for size in ("256x256", "512x512", "1024x1024", "1792x1792", "1024x1792")),
}


@pytest.fixture
def api() -> Api:
    return Api(RowStore())


def parameters(kind: str) -> dict[str, dict[str, Any]]:
    return PARAMETERS[f"/organization/{kind}"]


def test_all_kinds_of_the_specification_are_known() -> None:
    assert {f"/organization/{kind}" for kind in (*KINDS, *UNKNOWN_KINDS)} == set(PARAMETERS)


def valid(name: str, schema: dict[str, Any]) -> list[str]:
    schema = schema.get("items", schema)
    if "enum" in schema:
        return [str(value) for value in schema["enum"]]
    return {"integer": ["1"], "boolean": ["true", "false"], "string": ["x"]}[schema["type"]]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_the_specification_has_is_taken_or_said_to_be_unrecorded(api: Api, kind: str) -> None:
    for name, schema in parameters(kind).items():
        for value in valid(name, schema):
            if name in ("start_time", "page"):
                continue
            said = (str(NOW_S), "end_time") if name == "end_time" else (value, name)
            spellings = (name, f"{name}[]") if schema["type"] == "array" else (name,)
            for spelling in spellings:
                answer = await Caller(api).get(f"/v1/organization/{kind}", SINCE, (spelling, said[0]))
                if (kind, name, value) in UNRECORDED:
                    assert answer.status_code == 400
                    assert error_of(answer)["code"] == "not_recorded"
                    assert error_of(answer)["param"] in (name, spelling)
                else:
                    assert answer.status_code == 200, (name, value, answer.text)


@pytest.mark.parametrize("kind", KINDS)
async def test_every_wrong_value_is_named(api: Api, kind: str) -> None:
    known = parameters(kind)
    most = {"1d": 180 if kind == "costs" else 31, "1h": 168, "1m": 1440}
    numbers = ("", "x", "-1", "1.5", "1e3", " 1", "+1", "٣", "0x1", "9" * 16, "NaN", "1_0")
    wrong: list[tuple[str, tuple[tuple[str, Any], ...]]] = []
    wrong += [("start_time", (("start_time", value),)) for value in numbers]
    wrong += [("end_time", (SINCE, ("end_time", value))) for value in (*numbers, TODAY_S, TODAY_S - 1, 0)]
    wrong += [("limit", (SINCE, ("limit", value))) for value in (*numbers, 0)]
    wrong += [("bucket_width", (SINCE, ("bucket_width", value))) for value in ("", "1w", "1D", "d", "60")]
    widths = known["bucket_width"]["enum"]
    wrong += [("limit", (SINCE, ("bucket_width", width), ("limit", most[width] + 1))) for width in widths]
    wrong += [("page", (SINCE, ("page", value))) for value in ("", "x", "page_", "page_AAAA", "page_é", "p" * 5000)]
    wrong += [
        ("group_by", (SINCE, ("group_by", value))) for value in ("", "nobody", "Model", "model,user_id", "surface")
    ]
    wrong += [(name, (SINCE, (name, ""))) for name in (*known, "tenant_ids") if name.endswith("_ids")]
    wrong += [(name, (SINCE, (name, "n" * 1025))) for name in (*known, "tenant_ids") if name.endswith("_ids")]
    wrong += [(name, (SINCE, *((name, str(value)) for value in range(1001)))) for name in ("project_ids",)]
    if "models" in known:
        wrong += [("models", (SINCE, ("models[]", "")))]
    if "batch" in known:
        wrong += [("batch", (SINCE, ("batch", value))) for value in ("", "1", "True", "yes", "null")]
    if "sources" in known:
        wrong += [("sources", (SINCE, ("sources", value))) for value in ("", "images", "image")]
    for name, schema in known.items():
        if schema["type"] != "array":
            wrong += [(name, (SINCE, (name, valid(name, schema)[0]), (name, valid(name, schema)[0])))]
            wrong += [(f"{name}[]", (SINCE, (f"{name}[]", "1")))]
    wrong += [
        (name, (SINCE, (name, "1"))) for name in ("modles", "model", "Limit", "group_by[][]", "group_by[0]", "x" * 50)
    ]
    if kind == "costs":
        wrong += [(name, (SINCE, (name, "x"))) for name in ("models", "user_ids", "batch", "sources", "line_items")]
        wrong += [("bucket_width", (SINCE, ("bucket_width", width))) for width in ("1h", "1m")]
        wrong += [("group_by", (SINCE, ("group_by", "model")))]
    for param, query in wrong:
        answer = await Caller(api).get(f"/v1/organization/{kind}", *query)
        assert answer.status_code == 400, (query, answer.text)
        error = error_of(answer)
        assert (error["param"], error["type"]) == (param, "invalid_request_error"), query
        assert len(error["message"]) < 400
    assert not api.rows.questions  # none of them reached the store


@pytest.mark.parametrize("kind", KINDS)
async def test_without_a_start_there_is_no_answer(api: Api, kind: str) -> None:
    error = error_of(await Caller(api).get(f"/v1/organization/{kind}"))
    assert (error["param"], error["code"]) == ("start_time", "missing_required_parameter")


@pytest.mark.parametrize("kind", UNKNOWN_KINDS)
async def test_what_the_gateway_does_not_have_is_said_and_not_counted_as_nothing(api: Api, kind: str) -> None:
    answer = await Caller(api).get(f"/v1/organization/{kind}", SINCE)
    assert (answer.status_code, error_of(answer)["code"]) == (404, "not_recorded")


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/usage/", "/v1/usage/x", "/v1/organization", "/v1/organization/", "/v1/organization/usage"),
        *("/v1/organization/costs/", "/v1/organization/projects", "/v1/organization/usage/completions/x"),
    ],
)
async def test_other_paths_are_404(api: Api, path: str) -> None:
    answer = await Caller(api).get(path)
    assert (answer.status_code, error_of(answer)["code"]) == (404, "unknown_url")


@pytest.mark.parametrize("path", ["/v1/usage", *(f"/v1/organization/{kind}" for kind in (*KINDS, *UNKNOWN_KINDS))])
async def test_only_get_is_known(api: Api, path: str) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        answer = await Caller(api).get(path, method=method)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
        assert error_of(answer)["code"] == "method_not_allowed"


async def test_a_key_in_a_parameter_is_not_shown(api: Api) -> None:
    key = f"hg-{'k' * 43}"
    for query in ((("limit", key),), ((key, "1"),), (("group_by", key),)):
        answer = await Caller(api).get("/v1/organization/costs", SINCE, *query)
        assert answer.status_code == 400
        assert key not in answer.text

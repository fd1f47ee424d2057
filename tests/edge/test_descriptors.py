"""What the limiter is told of a request that may have to wait, and what the spool has: from where it is written."""

import pytest
from rendering import EXAMPLE, manager_of, rendered

from headgate.contract import ADMISSION, AUTHZ, PLAN, REQUEST

FILES = rendered(EXAMPLE.read_text())
(HOST,) = FILES.routes["resources"][0]["virtual_hosts"]


@pytest.mark.parametrize(("index", "why"), [(0, "engine"), (1, "lacks_adapter")])
def test_what_the_limiter_is_told(index: int, why: str) -> None:
    """Only texts can be told. What is absent is left out, but for the reason: without that Envoy asks nobody."""
    found, needed = {}, []
    for action in HOST["rate_limits"][index]["actions"]:
        if "metadata" in action:
            told = action["metadata"]
            (segment,) = told["metadata_key"]["path"]
            assert segment["key"] == told["descriptor_key"]
            found[told["descriptor_key"]] = told["metadata_key"]["key"]
            if not told.get("skip_if_absent"):
                needed.append(told["descriptor_key"])
        else:
            assert action["request_headers"]["skip_if_absent"] is True
    planned = ("model", "base_model", "user", "surface", "directory", "upstream_model", "leading_key")
    known = dict.fromkeys((why, *planned, "adapter", "cluster"), REQUEST)
    assert found == {"tenant": AUTHZ, "key_id": AUTHZ, "hosts": PLAN} | known
    assert needed == [why]


def test_no_other_request_is_asked_about_again() -> None:
    assert len(HOST["rate_limits"]) == 2
    names = [one["name"] for one in manager_of(FILES)["http_filters"]]
    assert names.index(ADMISSION) > names.index("envoy.filters.http.ext_proc"), "what waits has reserved"
    limiting = [one for one in manager_of(FILES)["http_filters"] if "ratelimit" in one["typed_config"]["@type"]]
    assert [one["name"] for one in limiting] == [ADMISSION]


def test_the_spool_has_what_was_counted() -> None:
    logs = {one["name"]: one["typed_config"]["log_format"] for one in manager_of(FILES)["access_log"]}
    formats = [one["json_format"] for one in logs.values() if "json_format" in one]
    assert {one["type"] for one in formats} == {"progress", "end"}
    for line in formats:
        assert line["estimated_tokens"] == f"%DYNAMIC_METADATA({REQUEST}:estimated)%"
        assert line["counted_tokens"] == f"%DYNAMIC_METADATA({REQUEST}:counted)%"
        assert line["price_factor"] == f"%DYNAMIC_METADATA({REQUEST}:price_factor)%"

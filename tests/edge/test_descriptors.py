"""What the limiter is told of a request, and what of it the spool has: each from where it is written."""

from rendering import EXAMPLE, manager_of, rendered

from headgate.contract import ADMISSION, AUTHZ, LIMITER, REQUEST
from headgate.edge.filters import ADMISSION_STAGE

FILES = rendered(EXAMPLE.read_text())


def test_what_the_limiter_is_told() -> None:
    """Only texts can be told, and what is absent is left out."""
    (host,) = FILES.routes["resources"][0]["virtual_hosts"]
    limits, *_ = host["rate_limits"]
    found = {}
    for action in limits["actions"]:
        if "metadata" in action:
            told = action["metadata"]
            assert told["skip_if_absent"] is True
            (segment,) = told["metadata_key"]["path"]
            assert segment["key"] == told["descriptor_key"]
            found[told["descriptor_key"]] = told["metadata_key"]["key"]
    planned = (
        *("model", "base_model", "user", "surface", "input", "output", "times", "unit", "units"),
        *("price_factor", "directory", "adapter", "cluster"),
    )
    assert found == {"tenant": AUTHZ, "key_id": AUTHZ} | dict.fromkeys(planned, REQUEST)


def test_only_requests_that_may_have_to_wait_are_asked_about_twice() -> None:
    """By what the plan says: without that there is no descriptor, and Envoy asks nobody."""
    (host,) = FILES.routes["resources"][0]["virtual_hosts"]
    limiter, *admissions = host["rate_limits"]
    assert [one.get("stage", 0) for one in (limiter, *admissions)] == [0, ADMISSION_STAGE, ADMISSION_STAGE]
    needed = [
        action["metadata"]["descriptor_key"]
        for admission in admissions
        for action in admission["actions"]
        if not action.get("metadata", {"skip_if_absent": True}).get("skip_if_absent")
    ]
    assert needed == ["engine", "lacks_adapter"]
    names = [one["name"] for one in manager_of(FILES)["http_filters"]]
    assert names.index(ADMISSION) == names.index(LIMITER) + 1, "what waits has reserved"


def test_the_spool_has_what_was_counted() -> None:
    logs = {one["name"]: one["typed_config"]["log_format"] for one in manager_of(FILES)["access_log"]}
    formats = [one["json_format"] for one in logs.values() if "json_format" in one]
    assert {one["type"] for one in formats} == {"progress", "end"}
    for line in formats:
        assert line["estimated_tokens"] == f"%DYNAMIC_METADATA({REQUEST}:estimated)%"
        assert line["counted_tokens"] == f"%DYNAMIC_METADATA({REQUEST}:counted)%"
        assert line["price_factor"] == f"%DYNAMIC_METADATA({REQUEST}:price_factor)%"

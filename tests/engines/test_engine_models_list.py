"""What an engine serves, by its /v1/models."""

import json
from pathlib import Path

import pytest

from engines.watch.models import served

BODY = (Path(__file__).parent / "vllm_texts" / "models.json").read_bytes()


def test_of_a_real_engine_with_adapters() -> None:
    found = served(BODY)
    assert found.models == {"tiny"}
    assert found.adapters == {"acme/support-bot@3-0a1b2c3d", "acme/sales-bot@1-99887766"}


def test_a_model_may_have_several_names() -> None:
    data = [{"id": "llama", "parent": None}, {"id": "llama-3-8b"}, {"id": "x@1", "parent": "llama"}]
    found = served(json.dumps({"data": data}).encode())
    assert (found.models, found.adapters) == ({"llama", "llama-3-8b"}, {"x@1"})


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"data": null}', b'{"data": [{"name": "llama"}]}', b'{"data": [{"id": 7}]}', b"\xff", b"[" * 9999],
)
def test_what_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="no list of models"):
        served(body)


def test_names_are_bounded() -> None:
    data = [{"id": "x" * 501}, {"id": ""}, *({"id": f"m{number}"} for number in range(5_000))]
    assert len(served(json.dumps({"data": data}).encode()).models) == 1_998

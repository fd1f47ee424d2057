"""A new generation of tables: all parts at once or none, and calls that have begun keep theirs."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

import authz.service
import extproc.service
from headgate.compile import compile_snapshot
from headgate.config.check import check
from headgate.feed.states import TargetStates
from headgate.limiting import UNLIMITED
from headgate.snapshot import Snapshot
from headgate.tables import Holder
from headgate.wire.ext_authz_pb2 import CheckRequest, CheckResponse
from headgate.wire.ext_proc_pb2 import ProcessingRequest, ProcessingResponse

KEYS = {name: f"hg-{name * 43}" for name in "ab"}


def snapshot_of(folder: Path, generation: int, key: str, upstream: str) -> Snapshot:
    file = folder / "gateway.yaml"
    digest = hashlib.sha256(KEYS[key].encode()).hexdigest()
    file.write_text(f"""\
providers: {{p: {{api: openai, base_url: "http://p.test"}}}}
models: {{m: {{targets: [{{provider: p, model: {upstream}}}]}}}}
tenants: {{acme: {{models: [m], keys: [{{name: {key}, sha256: {digest}}}]}}}}
""")
    checked = check(file, {})
    assert checked.gateway, checked.problems
    return compile_snapshot(checked.gateway, generation=generation)


@pytest.fixture
def first(tmp_path: Path) -> Snapshot:
    return snapshot_of(tmp_path, 1, "a", "old")


@pytest.fixture
def second(tmp_path: Path) -> Snapshot:
    return snapshot_of(tmp_path, 2, "b", "new")


class Call:
    def header(self, _name: str) -> None:
        return None


def who(method: Any, key: str) -> dict[str, Any]:
    request = CheckRequest()
    request.attributes.request.http.path = "/v1/models"
    request.attributes.request.http.headers["api-key"] = KEYS[key]
    answer = method.handler(method.decode(request.SerializeToString()), Call())
    found: dict[str, Any] = MessageToDict(CheckResponse.FromString(answer).dynamic_metadata)
    return found


def headers_message() -> ProcessingRequest:
    message = ProcessingRequest()
    given = {":method": "POST", ":path": "/v1/embeddings", "content-type": "application/json", "x-request-id": "r"}
    for name, value in given.items():
        message.request_headers.headers.headers.add(key=name, raw_value=value.encode())
    message.metadata_context.filter_metadata["envoy.filters.http.ext_authz"].update({"tenant": "acme"})
    return message


def model_of(answer: bytes) -> str:
    metadata = MessageToDict(ProcessingResponse.FromString(answer).dynamic_metadata)
    return str(metadata["hg.request"]["upstream_model"])


def test_a_swap_is_seen_by_every_call_that_begins_after_it(first: Snapshot, second: Snapshot) -> None:
    holder = Holder(first)
    (asking,) = authz.service.services(holder)
    (processing,) = extproc.service.services(holder, TargetStates())
    holder.reserve = lambda _ask, _call: UNLIMITED
    body = ProcessingRequest()
    body.request_body.body = b'{"model": "m", "input": "x"}'
    running, later = processing.handler(Call()), None
    running.on_message(headers_message())
    assert who(asking, "a") == {"tenant": "acme", "key_id": "a", "generation": 1}
    assert who(asking, "b") == {"answered": True}

    holder.swap(second)

    assert who(asking, "a") == {"answered": True}
    assert who(asking, "b") == {"tenant": "acme", "key_id": "b", "generation": 2}
    assert model_of(running.on_message(body)[0]) == "old"
    later = processing.handler(Call())
    later.on_message(headers_message())
    assert model_of(later.on_message(body)[0]) == "new"
    assert holder.current.snapshot is second


def test_a_generation_that_cannot_be_built_changes_nothing(first: Snapshot, second: Snapshot) -> None:
    def picky(snapshot: Snapshot) -> int:
        if snapshot is second:
            raise ValueError
        return snapshot.generation

    holder = Holder(first)
    (asking,) = authz.service.services(holder)
    holder.add(picky)
    before = holder.current
    with pytest.raises(ValueError):  # noqa: PT011 - it has no text
        holder.swap(second)
    assert holder.current is before
    assert before.of(picky) == 1
    assert who(asking, "a")["generation"] == 1

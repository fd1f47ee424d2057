"""Asking authz as Envoy does: a worker's tables from a gateway.yaml, a directory as control writes it, questions."""

import hashlib
import inspect
import json
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import msgspec
from google.protobuf.json_format import MessageToDict

from authz.service import services
from headgate.compile import compile_snapshot
from headgate.config.check import check
from headgate.contract import PEPPER, SERVICE_KEY
from headgate.directory.following import Following
from headgate.directory.rows import Change, KeyRow, Mark, change_to
from headgate.directory.writer import Writer
from headgate.grpc_server import Method
from headgate.snapshot import Snapshot
from headgate.tables import Holder
from headgate.virtual_key import digest_of
from headgate.wire.ext_authz_pb2 import CheckRequest, CheckResponse

FILE_KEY = f"hg-{'F' * 43}"
PEPPERS = [letter * 40 for letter in "pq"]
SERVICE = "s" * 40
MODEL = """\
providers: {p: {api: openai, base_url: "http://p.test"}}
models: {m: {targets: [{provider: p, model: m}]}}
"""


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def snapshot_of(folder: Path, text: str, generation: int = 7) -> Snapshot:
    file = folder / "gateway.yaml"
    file.write_text(MODEL + text)
    checked = check(file, {"OLD_PEPPER": PEPPERS[1]})
    assert checked.gateway, checked.problems
    return compile_snapshot(checked.gateway, generation)


def key_row(
    key: str, key_id: str = "key_1", tenant: str | None = "db", pepper: str = PEPPERS[0], **more: Any
) -> KeyRow:
    return KeyRow(key_id, tenant, digest_of(key, pepper.encode()), "", **({"role": "developer"} | more))


class Asked:
    """A worker's authz in the working directory, which is a state directory."""

    def __init__(self, snapshot: Snapshot) -> None:
        PEPPER.parent.mkdir(exist_ok=True)
        PEPPER.write_text(PEPPERS[0])
        SERVICE_KEY.write_text(SERVICE)
        self._writer = Writer(Path("directory"))
        assert self._writer.open()
        self.version = 0
        self._writer.replace(self._mark(), [])
        self.holder = Holder(snapshot, Following(Path("directory")))
        self.service: Method = services(self.holder)[0]

    def _mark(self) -> Mark:
        return Mark(self.version, self.version, bytes(32))

    def write(self, *rows: Any) -> None:
        """As control does: rows, or changes; nobody is told."""
        self.version += 1
        stamped = [
            row if isinstance(row, Change) else msgspec.structs.replace(row, version=self.version) for row in rows
        ]
        changes = [row if isinstance(row, Change) else change_to(row) for row in stamped]
        self._writer.append(self._mark(), changes)

    def put(self, *rows: Any) -> None:
        """The same, and the worker has heard of it."""
        self.write(*rows)
        self.holder.following.catch_up()

    def restore(self, *rows: Any) -> None:
        """Another database takes this one's place: these rows are all there is, at the same version."""
        self._writer.replace(Mark(self.version, self.version, bytes([1] * 32)), [[change_to(row) for row in rows]])
        self.holder.following.catch_up()

    def begin(self, headers: dict[str, str], path: str, method: str, source: str) -> bytes | Awaitable[bytes]:
        request = CheckRequest()
        http = request.attributes.request.http
        http.path, http.method = path, method
        http.headers.update(headers)
        if source:
            request.attributes.source.address.socket_address.address = source
        answer: bytes | Awaitable[bytes] = self.service.handler(
            self.service.decode(request.SerializeToString()), None
        )
        return answer

    def ask(
        self, headers: dict[str, str], path: str = "/v1/chat/completions", method: str = "POST", source: str = ""
    ) -> CheckResponse:
        answer = self.begin(headers, path, method, source)
        assert not inspect.isawaitable(answer)
        return CheckResponse.FromString(answer)


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def metadata(answer: CheckResponse) -> dict[str, Any]:
    """Of a caller who may go on."""
    assert answer.status.code == 0, answer.denied_response.body
    found: dict[str, Any] = MessageToDict(answer.dynamic_metadata)
    return found


def error_of(answer: CheckResponse) -> tuple[int, str | None]:
    """Status and code, in OpenAI's shape."""
    assert answer.WhichOneof("http_response") == "denied_response"
    return answer.denied_response.status.code, json.loads(answer.denied_response.body)["error"]["code"]


def headers_of(answer: CheckResponse) -> dict[str, str]:
    """What a refusal brings."""
    return {option.header.key: option.header.value for option in answer.denied_response.headers}

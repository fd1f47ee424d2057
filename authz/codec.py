"""ext_authz on the wire: the one place in authz that knows Envoy's messages."""

from collections.abc import Mapping
from dataclasses import dataclass

from authz.check import Refusal
from headgate.contract import ANSWERED, CREDENTIAL_HEADERS, ERROR_SOURCE, REQUEST_ID, TENANT_HEADER
from headgate.error_shapes import VERSION_HEADER, Api, Problem, api_of_path, rendered
from headgate.snapshot import Key
from headgate.wire.ext_authz_pb2 import CheckRequest, CheckResponse
from headgate.wire.http_pb2 import HeaderValueOption

SERVICE, METHOD = "envoy.service.auth.v3.Authorization", "Check"

_UNAUTHENTICATED = 16  # google.rpc.Code
_OVERWRITE = HeaderValueOption.AppendAction.OVERWRITE_IF_EXISTS_OR_ADD


@dataclass(frozen=True, slots=True)
class Question:
    """What Envoy asks. Header names are lower case."""

    path: str
    headers: Mapping[str, str]
    request_id: str

    @property
    def api(self) -> Api:
        """Whose client asks."""
        return api_of_path(self.path, versioned=bool(self.headers.get(VERSION_HEADER)))


def decode(data: bytes) -> Question:
    """Reads a CheckRequest."""
    http = CheckRequest.FromString(data).attributes.request.http
    return Question(http.path, http.headers, http.headers.get(REQUEST_ID, ""))


def allow(key: Key, generation: int) -> bytes:
    """Lets the request go on as this key, without what it used to say so."""
    response = CheckResponse()
    response.ok_response.headers_to_remove.extend((*CREDENTIAL_HEADERS, TENANT_HEADER))
    response.dynamic_metadata.update({"tenant": key.tenant, "key_id": key.key_id, "generation": generation})
    return response.SerializeToString()


def deny(refusal: Refusal, question: Question) -> bytes:
    """Ends the request with an error in the shape of the client's API."""
    response = CheckResponse()
    response.status.code = _UNAUTHENTICATED
    denied = response.denied_response
    denied.status.code = refusal.status
    headers = {"content-type": "application/json", ERROR_SOURCE: "gateway"}
    if refusal.status == 401:
        headers["www-authenticate"] = "Bearer"  # RFC 9110, section 11.6.1
    for name, value in headers.items():
        option = denied.headers.add()
        option.header.key, option.header.value, option.append_action = name, value, _OVERWRITE
    problem = Problem(refusal.status, refusal.message, "invalid_request_error", refusal.param, refusal.code)
    denied.body = rendered(question.api, problem, question.request_id).decode()
    response.dynamic_metadata.update({ANSWERED: True})
    return response.SerializeToString()

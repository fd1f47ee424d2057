"""ext_authz on the wire: the one place in authz that knows Envoy's messages."""

from collections.abc import Mapping
from typing import Any

from authz.caller import Caller
from authz.refusal import Refusal
from headgate.contract import ANSWERED, CREDENTIAL_HEADERS, ERROR_SOURCE, IDENTITY_HEADER, REQUEST_ID, TENANT_HEADER
from headgate.error_shapes import VERSION_HEADER, Api, Problem, api_of_path, content_type_of, rendered
from headgate.wire.ext_authz_pb2 import AttributeContext, CheckRequest, CheckResponse
from headgate.wire.http_pb2 import HeaderValueOption

SERVICE, METHOD = "envoy.service.auth.v3.Authorization", "Check"

_UNAUTHENTICATED = 16  # google.rpc.Code
_OVERWRITE = HeaderValueOption.AppendAction.OVERWRITE_IF_EXISTS_OR_ADD
_REMOVED = (*CREDENTIAL_HEADERS, TENANT_HEADER)


class Question:
    """What Envoy asks. Header names are lower case. The path has the query."""

    __slots__ = ("_attributes", "headers", "path")

    def __init__(self, attributes: AttributeContext) -> None:
        http = attributes.request.http
        self._attributes = attributes
        self.path: str = http.path
        self.headers: Mapping[str, str] = http.headers

    @property
    def api(self) -> Api:
        """Whose client asks."""
        return api_of_path(self.path, versioned=bool(self.headers.get(VERSION_HEADER)))

    @property
    def method(self) -> str:
        """Upper case, as it came."""
        return self._attributes.request.http.method

    @property
    def request_id(self) -> str:
        """Ours; "" without one."""
        return self.headers.get(REQUEST_ID, "")

    @property
    def source_address(self) -> str:
        """Of the client's connection; "" of one that comes through the gateway itself."""
        return self._attributes.source.address.socket_address.address

    @property
    def certificate(self) -> str:
        """Of the client, verified by Envoy: PEM with percent signs; "" where it has shown none."""
        return self._attributes.source.certificate


def decode(data: bytes) -> Question:
    """Reads a CheckRequest."""
    return Question(CheckRequest.FromString(data).attributes)


def allow(caller: Caller, generation: int) -> bytes:
    """Lets the request go on as this caller, without what it used to say so."""
    response = CheckResponse()
    response.ok_response.headers_to_remove.extend(_REMOVED)
    said: dict[str, Any] = {"tenant": caller.tenant, "key_id": caller.id, "generation": generation}
    if caller.directory is not None:
        said["directory"] = caller.directory
    if caller.models is not None:
        said["key_models"] = list(caller.models)
    response.dynamic_metadata.update(said)
    return response.SerializeToString()


def allow_admin(identity: str | None) -> bytes:
    """Lets the request go on to control, which is told who asks; None where nobody needs to be."""
    response = CheckResponse()
    response.ok_response.headers_to_remove.extend(_REMOVED)
    if identity is None:
        response.ok_response.headers_to_remove.append(IDENTITY_HEADER)
    else:
        option = response.ok_response.headers.add()
        option.header.key, option.header.value, option.append_action = IDENTITY_HEADER, identity, _OVERWRITE
    return response.SerializeToString()


def deny(refusal: Refusal, question: Question) -> bytes:
    """Ends the request with an error in the shape of the client's API."""
    response = CheckResponse()
    response.status.code = _UNAUTHENTICATED
    denied = response.denied_response
    denied.status.code = refusal.status
    api = question.api
    headers = {"content-type": content_type_of(api), ERROR_SOURCE: "gateway"}
    if refusal.status == 401:
        headers["www-authenticate"] = "Bearer"  # RFC 9110, section 11.6.1
    if refusal.retry_after_s is not None:
        headers["retry-after"] = str(refusal.retry_after_s)
    for name, value in headers.items():
        option = denied.headers.add()
        option.header.key, option.header.value, option.append_action = name, value, _OVERWRITE
    problem = Problem(refusal.status, refusal.message, refusal.kind, None, refusal.code)
    denied.body = rendered(api, problem, question.request_id).decode()
    response.dynamic_metadata.update({ANSWERED: True})
    return response.SerializeToString()

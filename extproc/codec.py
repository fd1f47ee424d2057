"""ext_proc on the wire: the one place in extproc that knows Envoy's messages."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from extproc.exchange import Answer, Exchange, Incoming, Plan, Value
from extproc.refusal import Refusal
from extproc.surfaces import NONE
from headgate.contract import (
    ANSWERED,
    AUTHZ,
    ERROR_SOURCE,
    FALLBACK,
    HOSTS,
    LIMIT_HEADERS,
    LIMITER,
    MAX_TOKENS,
    PLAN,
    REQUEST,
    REQUEST_ID,
    RESERVED,
    ROUTE_PROFILE,
    TARGET,
)
from headgate.error_shapes import VERSION_HEADER, Problem, rendered
from headgate.limiting import Denied, Granted
from headgate.purses import written
from headgate.wire.ext_proc_pb2 import HeaderMutation, HeadersResponse, ProcessingRequest, ProcessingResponse
from headgate.wire.http_pb2 import HeaderValueOption

SERVICE, METHOD = "envoy.service.ext_proc.v3.ExternalProcessor", "Process"

_OVERWRITE = HeaderValueOption.AppendAction.OVERWRITE_IF_EXISTS_OR_ADD

CONTINUE = ProcessingResponse(request_headers=HeadersResponse()).SerializeToString()

Message = ProcessingRequest  # what the service passes on without looking inside

decode = ProcessingRequest.FromString


def body_of(message: ProcessingRequest) -> bytes:
    """The request's body."""
    return message.request_body.body


def ends_here(message: ProcessingRequest) -> bool:
    """Whether the headers are all there is of the request."""
    return message.request_headers.end_of_stream


def incoming(message: ProcessingRequest) -> Incoming:
    """The headers message, with what authz left in the metadata."""
    headers = {header.key: header.raw_value for header in message.request_headers.headers.headers}
    caller = message.metadata_context.filter_metadata[AUTHZ].fields
    directory, models = _of_directory(caller) if "directory" in caller else (0, None)
    return Incoming(
        method=_text(headers, ":method"),
        path=_text(headers, ":path"),
        content_type=_text(headers, "content-type"),
        content_encoding=_text(headers, "content-encoding"),
        traceparent=_text(headers, "traceparent"),
        request_id=_text(headers, REQUEST_ID),
        tenant=caller["tenant"].string_value,
        anthropic_version=_text(headers, VERSION_HEADER),
        wanted_target=_text(headers, TARGET),
        fallback=_text(headers, FALLBACK),
        directory=directory,
        key_models=models,
        key_id=caller["key_id"].string_value,
    )


def _of_directory(caller: Mapping[str, Any]) -> tuple[int, frozenset[str] | None]:
    """Which version of it authz went by, and the models to which the key is confined, if it is."""
    models = caller["key_models"].list_value.values if "key_models" in caller else None
    version = int(caller["directory"].number_value)
    return version, None if models is None else frozenset(one.string_value for one in models)


def planned(plan: Plan, granted: Granted, body: bytes, max_at: int | None = None, *, edited: bool = True) -> bytes:
    """The request goes on: with this body, to these clusters. `max_at`: of the field for the answer's limit.

    Without `edited`, Envoy keeps the body that it has: it may be large.
    """
    response = _begun(plan)
    common = response.request_body.response
    if edited:
        common.body_mutation.body = body
        _set(common.header_mutation, "content-length", str(len(body)))
    _write_own(response, plan, max_at)
    if lowest := [most for most in (plan.max_tokens, granted.max_tokens) if most is not None]:
        _set(common.header_mutation, MAX_TOKENS, str(min(lowest)))
    if len(plan.clusters) > 1:
        own = response.dynamic_metadata.fields[REQUEST].struct_value.fields
        own["length"].string_value = str(len(body))
    _write_limits(response, granted)
    return response.SerializeToString()


def planned_at_head(plan: Plan, granted: Granted) -> bytes:
    """The same for a request that is its head alone."""
    common, response = _begun(plan), ProcessingResponse()
    response.request_headers.response.CopyFrom(common.request_body.response)
    response.dynamic_metadata.CopyFrom(common.dynamic_metadata)
    _write_own(response, plan, None)
    _write_limits(response, granted)
    return response.SerializeToString()


def denied(plan: Plan, decision: Denied) -> bytes:
    """The request had a plan, and ends here: its line in the spool has all that was known."""
    response = _begun(plan)
    _write_own(response, plan, None)
    del response.dynamic_metadata.fields[PLAN]
    fields = response.dynamic_metadata.fields[LIMITER].struct_value.fields
    fields[ANSWERED].bool_value = True
    if decision.reserved is not None:
        fields[RESERVED].bool_value = decision.reserved
    _end(response, decision.status, decision.body, decision.headers, "limits")
    return response.SerializeToString()


def _begun(plan: Plan) -> ProcessingResponse:
    response = ProcessingResponse()
    response.ParseFromString(_planned(plan.clusters, plan.profile, plan.headers_ms, plan.hedge_ms, plan.metadata))
    return response


def _write_limits(response: ProcessingResponse, granted: Granted) -> None:
    """What envoy/module shows the client, a header in each line, and what the spool says of the reservation."""
    if granted.reserved is None and not granted.headers:
        return
    fields = response.dynamic_metadata.fields[LIMITER].struct_value.fields
    if granted.reserved is not None:
        fields[RESERVED].bool_value = granted.reserved
    if granted.headers:
        fields[LIMIT_HEADERS].string_value = "".join([f"{name}:{value}\n" for name, value in granted.headers])


def _write_own(response: ProcessingResponse, plan: Plan, max_at: int | None) -> None:
    own = response.dynamic_metadata.fields[REQUEST].struct_value.fields
    for name, value in plan.own:
        if isinstance(value, int):
            own[name].number_value = value
        elif value:
            own[name].string_value = value
    if plan.hosts:
        response.dynamic_metadata.fields[PLAN].struct_value.fields[HOSTS].string_value = ",".join(plan.hosts)
    if max_at is not None:
        own["max_at"].number_value = max_at


def answered(answer: Answer) -> bytes:
    """The request ends here, well."""
    return _immediate(200, answer.body, {}, {"surface": answer.surface.name})


def refused(refusal: Refusal, exchange: Exchange) -> bytes:
    """The request ends here with an error in the shape of the client's API."""
    incoming, surface = exchange.incoming, exchange.surface
    problem = Problem(refusal.status, refusal.message, refusal.kind, refusal.param, refusal.code)
    body = rendered(incoming.api, problem, incoming.request_id)
    headers = {ERROR_SOURCE: "gateway", **refusal.headers}
    metadata = {"surface": surface.name} if surface is not NONE else {}
    if exchange.held:  # its end gives it back
        metadata["budgets"] = written(None, exchange.held)
    return _immediate(refusal.status, body, headers, metadata)


@lru_cache(maxsize=4096)
def _planned(
    clusters: tuple[str, ...],
    profile: str,
    headers_ms: int | None,
    hedge_ms: int | None,
    metadata: tuple[tuple[str, Value], ...],
) -> bytes:
    """All of the answer that the requests for a model share."""
    response = ProcessingResponse()
    common = response.request_body.response
    common.clear_route_cache = True
    _set(common.header_mutation, ROUTE_PROFILE, profile)
    _set(common.header_mutation, "x-envoy-max-retries", str(len(clusters) - 1))
    if hedge_ms is not None:
        _set(common.header_mutation, "x-envoy-upstream-rq-per-try-timeout-ms", str(hedge_ms))
        _set(common.header_mutation, "x-envoy-hedge-on-per-try-timeout", "true")
    elif headers_ms is not None:
        _set(common.header_mutation, "x-envoy-upstream-rq-per-try-timeout-ms", str(headers_ms))
    groups: Any = [
        {"name": f"attempt-{number}", "clusters": [{"cluster_name": cluster, "weight": 1}]}
        for number, cluster in enumerate(clusters, 1)
    ]
    request: Any = {name: list(value) if isinstance(value, tuple) else value for name, value in metadata}
    response.dynamic_metadata.update({PLAN: {"priority_groups": groups}, REQUEST: request})
    return response.SerializeToString()


def _immediate(status: int, body: bytes, headers: Mapping[str, str], metadata: Mapping[str, str]) -> bytes:
    response = ProcessingResponse()
    _end(response, status, body, {"content-type": "application/json", **headers}.items(), "extproc")
    response.dynamic_metadata.update({REQUEST: {**metadata, ANSWERED: True}})
    return response.SerializeToString()


def _end(
    response: ProcessingResponse, status: int, body: bytes, headers: Iterable[tuple[str, str]], details: str
) -> None:
    immediate = response.immediate_response
    immediate.status.code = status
    immediate.body = body
    immediate.details = details
    for name, value in headers:
        _set(immediate.headers, name, value)


def _set(mutation: HeaderMutation, name: str, value: str) -> None:
    option = mutation.set_headers.add()
    option.header.key, option.header.raw_value, option.append_action = name, value.encode(), _OVERWRITE


def _text(headers: Mapping[str, bytes], name: str) -> str:
    value = headers.get(name)
    return value.decode("utf-8", "replace") if value else ""

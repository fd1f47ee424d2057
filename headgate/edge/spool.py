"""The spool: Envoy's access log as one JSON object per line, the record that the ledger reads.

`start` when an attempt reaches its provider, `progress` every five seconds, `end` when the stream is over, once per
request. docs/spool.md has the fields. Attempts that failed have a file of their own beside it, which is no record.
Prompts, answers and credentials have no place in either.

Envoy copies all metadata of a request for each piece of it that its JSON format names, and none for its text format.
So an `end` line is text, where envoy/module/line.c could make JSON of what is in metadata; otherwise it is Envoy's.
"""

import json
from collections.abc import Mapping
from typing import Any

from envoy_data_plane.envoy.config.accesslog.v3 import (
    AccessLog,
    AccessLogFilter,
    AndFilter,
    ComparisonFilter,
    ComparisonFilterOp,
    HeaderFilter,
    LogTypeFilter,
    MetadataFilter,
    OrFilter,
    ResponseFlagFilter,
    StatusCodeFilter,
)
from envoy_data_plane.envoy.config.core.v3 import DataSource, RuntimeUInt32, SubstitutionFormatString
from envoy_data_plane.envoy.config.route.v3 import HeaderMatcher
from envoy_data_plane.envoy.data.accesslog.v3 import AccessLogType
from envoy_data_plane.envoy.extensions.access_loggers.file.v3 import FileAccessLog
from envoy_data_plane.envoy.type.matcher.v3 import MetadataMatcher, MetadataMatcherPathSegment, ValueMatcher
from envoy_data_plane.google.protobuf import Struct

from headgate.contract import ADMIN_MARK, AUTHZ, LIMITER, LINE, REQUEST, RESERVED, RETRY, USAGE
from headgate.edge.messages import pack
from headgate.feed.attempts_file import attempts_file

VERSION = 1
_TIME = "%EMIT_TIME(%Y-%m-%dT%H:%M:%E3SZ)%"
_MEMBERS = "members"
TRIED_MODEL = "x-headgate-tried-model"  # on 429s, by envoy/module: the router's log knows no model by itself


# All that the router's log can say: it sees the attempt, not what was learned about the request.
_KNOWN_AT_START = ("v", "type", "time", "request_id", "target", "provider_key")


def _fields(line_type: str, *, traced: bool = False) -> dict[str, Any]:
    fields = {
        "v": VERSION,
        "type": line_type,
        "time": _TIME,
        # Cut: a request that is refused before it has an id of ours may have brought one of any length.
        "request_id": "%REQ(X-REQUEST-ID):36%",
        "trace_id": "%TRACE_ID%" if traced else f"%DYNAMIC_METADATA({REQUEST}:trace_id)%",
        "tenant": f"%DYNAMIC_METADATA({AUTHZ}:tenant)%",
        "key_id": f"%DYNAMIC_METADATA({AUTHZ}:key_id)%",
        "user": f"%DYNAMIC_METADATA({REQUEST}:user)%",
        "project": None,
        "surface": f"%DYNAMIC_METADATA({REQUEST}:surface)%",
        "model": f"%DYNAMIC_METADATA({REQUEST}:model)%",
        "base_model": f"%DYNAMIC_METADATA({REQUEST}:base_model)%",
        "engine": f"%DYNAMIC_METADATA({REQUEST}:engine)%",
        "target": "%CLUSTER_METADATA(headgate:provider)%",
        "provider_key": "%CLUSTER_METADATA(headgate:key)%",
        "upstream_model": f"%DYNAMIC_METADATA({REQUEST}:upstream_model)%",
        "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        "status": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "prompt_tokens": f"%DYNAMIC_METADATA({USAGE}:prompt)%",
        "completion_tokens": f"%DYNAMIC_METADATA({USAGE}:completion)%",
        "cached_tokens": f"%DYNAMIC_METADATA({USAGE}:cached)%",
        "cache_write_tokens": f"%DYNAMIC_METADATA({USAGE}:cache_write)%",
        "reasoning_tokens": f"%DYNAMIC_METADATA({USAGE}:reasoning)%",
        "estimated_tokens": f"%DYNAMIC_METADATA({REQUEST}:estimated)%",
        "estimated_completion_tokens": f"%DYNAMIC_METADATA({REQUEST}:estimated_output)%",
        "counted_tokens": f"%DYNAMIC_METADATA({REQUEST}:counted)%",
        "unit": f"%DYNAMIC_METADATA({REQUEST}:unit)%",
        "units": f"%DYNAMIC_METADATA({USAGE}:units)%",
        "estimated_units": f"%DYNAMIC_METADATA({REQUEST}:estimated_units)%",
        "content_events": f"%DYNAMIC_METADATA({USAGE}:events)%",
        "content_bytes": f"%DYNAMIC_METADATA({USAGE}:bytes)%",
        "bytes_in": "%BYTES_RECEIVED%",
        "bytes_out": "%BYTES_SENT%",
        "request_ms": "%REQUEST_DURATION%",
        "first_byte_ms": "%RESPONSE_DURATION%",
        "first_token_ms": f"%DYNAMIC_METADATA({USAGE}:first_ms)%",
        "duration_ms": "%DURATION%",
        "streamed": f"%DYNAMIC_METADATA({REQUEST}:streamed)%",
        "variant": f"%DYNAMIC_METADATA({REQUEST}:variant)%",
        "provider_left": f"%DYNAMIC_METADATA({REQUEST}:provider_left)%",
        "budgets": f"%DYNAMIC_METADATA({REQUEST}:budgets)%",
        "reserved": f"%DYNAMIC_METADATA({LIMITER}:{RESERVED})%",
        "config_generation": f"%DYNAMIC_METADATA({AUTHZ}:generation)%",
        # The terms and the prices that one worker has planned it with: another one may be a generation ahead.
        "price_generation": f"%DYNAMIC_METADATA({REQUEST}:generation)%",
        "price_factor": f"%DYNAMIC_METADATA({REQUEST}:price_factor)%",
    }
    if line_type == "start":
        return {name: value if name in _KNOWN_AT_START else None for name, value in fields.items()}
    return fields


def edge_logs(path: str, *, traced: bool = False) -> list[AccessLog]:
    """What the connection manager logs into the file `path` (Envoy opens it once): `progress` and `end`.

    When Envoy traces, it has a trace id for every request, the client's where there was one.
    """
    progress = json_log(path, "progress", AccessLogType.DownstreamPeriodic, _of_requests(), traced=traced)
    ended = AccessLogType.DownstreamEnd
    return [
        progress,
        _log("end", ended, FileAccessLog(path=path, log_format=_text("end")), _has_members(True)),
        json_log(path, "end", ended, _has_members(False), traced=traced),
    ]


def _of_requests() -> AccessLogFilter:
    """A WebSocket's connection makes no progress of its own: what it asks for does."""
    others = [_status(ComparisonFilterOp.LE, 100), _status(ComparisonFilterOp.GE, 102)]
    return AccessLogFilter(or_filter=OrFilter(filters=others))


def attempt_logs(path: str) -> list[AccessLog]:
    """What the router logs of attempts: `start` when one reaches its provider, and elsewhere those that failed."""
    return [
        json_log(path, "start", AccessLogType.UpstreamPoolReady),
        _failed_attempts(attempts_file(path)),
    ]


def _failed_attempts(path: str) -> AccessLog:
    """Of use for seconds and for people, so not among what is counted and kept. In the order of the attempts."""
    line = {
        "time": _TIME,
        "request_id": "%REQ(X-REQUEST-ID):36%",
        "target": "%CLUSTER_METADATA(headgate:provider)%",
        "provider_key": "%CLUSTER_METADATA(headgate:key)%",
        "cluster": "%UPSTREAM_CLUSTER_RAW%",
        "upstream_model": f"%RESP({TRIED_MODEL}):256%",
        "route": "%ROUTE_NAME%",
        "retry": f"%RESP({RETRY}):16%",
        "status": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
        "retry_after": "%RESP(RETRY-AFTER):64%",
        "retry_after_ms": "%RESP(RETRY-AFTER-MS):16%",  # Azure's
        "duration_ms": "%DURATION%",
    }
    return AccessLog(
        name="attempts.failed",
        filter=AccessLogFilter(
            and_filter=AndFilter(
                filters=[
                    AccessLogFilter(log_type_filter=LogTypeFilter(types=[AccessLogType.UpstreamEnd])),
                    _not_admin(),
                    AccessLogFilter(
                        or_filter=OrFilter(
                            filters=[
                                _status(ComparisonFilterOp.GE, 400),
                                _status(ComparisonFilterOp.EQ, 0),
                                AccessLogFilter(response_flag_filter=ResponseFlagFilter()),  # any
                            ]
                        )
                    ),
                ]
            )
        ),
        typed_config=pack(
            FileAccessLog(path=path, log_format=SubstitutionFormatString(json_format=Struct.from_dict(line)))
        ),
    )


def _status(op: ComparisonFilterOp, status: int) -> AccessLogFilter:
    # Envoy asks for a runtime key; nobody sets this one.
    value = RuntimeUInt32(default_value=status, runtime_key=f"headgate.attempts.status_{status}")
    return AccessLogFilter(status_code_filter=StatusCodeFilter(comparison=ComparisonFilter(op=op, value=value)))


def _not_admin() -> AccessLogFilter:
    """Requests to the admin API are nothing that is billed or counted."""
    marked = HeaderMatcher(name=ADMIN_MARK, present_match=True, invert_match=True)
    return AccessLogFilter(header_filter=HeaderFilter(header=marked))


def _has_members(wanted: bool) -> AccessLogFilter:
    """Whether envoy/module/line.c has made JSON of what is in metadata."""
    path = [MetadataMatcherPathSegment(key=_MEMBERS)]
    # The filter knows nothing of `invert`; what is to be present and not to be matches nothing that is there.
    matcher = MetadataMatcher(filter=LINE, path=path, value=ValueMatcher(present_match=wanted))
    return AccessLogFilter(metadata_filter=MetadataFilter(matcher=matcher, match_if_key_not_found=not wanted))


def _text(line_type: str) -> SubstitutionFormatString:
    """The line of `_fields` with what the module has made of metadata, in another order."""
    times = {"request_ms": "REQUEST_DURATION", "first_byte_ms": "RESPONSE_DURATION", "duration_ms": "DURATION"}
    members = [
        members_of({"v": VERSION, "type": line_type, "project": None}),
        f'"time":"{_TIME}"',
        f"%DYNAMIC_METADATA({LINE}:{_MEMBERS})%",
        _first_of(("CLUSTER_METADATA", "headgate:line"), ("DYNAMIC_METADATA", f"{LINE}:no_target")),
        '"attempts":%UPSTREAM_REQUEST_ATTEMPT_COUNT%',
        '"status":%RESPONSE_CODE%',
        '"flags":"%RESPONSE_FLAGS%"',
        '"bytes_in":%BYTES_RECEIVED%',
        '"bytes_out":%BYTES_SENT%',
        *(f'"{name}":{_first_of((time, ""), ("DYNAMIC_METADATA", f"{LINE}:null"))}' for name, time in times.items()),
    ]
    line = "{" + ",".join(members) + "}\n"
    return SubstitutionFormatString(text_format_source=DataSource(inline_string=line))


def _first_of(*commands: tuple[str, str]) -> str:
    """Of Envoy's commands, with their parameters, the first one that has a value."""
    operators = [{"command": command, **({"param": param} if param else {})} for command, param in commands]
    return f"%COALESCE({json.dumps({'operators': operators})})%"


def members_of(members: Mapping[str, Any]) -> str:
    """JSON's text of an object without its braces."""
    return json.dumps(members, separators=(",", ":"))[1:-1]


def json_log(
    path: str, line_type: str, logged: AccessLogType, *more: AccessLogFilter, traced: bool = False
) -> AccessLog:
    """Lines of that type as Envoy's own JSON: all that is known, whatever it is."""
    line = SubstitutionFormatString(json_format=Struct.from_dict(_fields(line_type, traced=traced)))
    return _log(line_type, logged, FileAccessLog(path=path, log_format=line), *more)


def _log(name: str, logged: AccessLogType, file: FileAccessLog, *more: AccessLogFilter) -> AccessLog:
    of_type = AccessLogFilter(log_type_filter=LogTypeFilter(types=[logged]))
    return AccessLog(
        name=f"spool.{name}",
        filter=AccessLogFilter(and_filter=AndFilter(filters=[of_type, _not_admin(), *more])),
        typed_config=pack(file),
    )

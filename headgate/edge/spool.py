"""The spool: Envoy's access log as one JSON object per line, the record that the ledger reads.

`start` when an attempt reaches its provider, `progress` every five seconds, `end` when the stream is over, once per
request. docs/spool.md has the fields. Prompts, answers and credentials have no place in it.
"""

from typing import Any

from envoy_data_plane.envoy.config.accesslog.v3 import AccessLog, AccessLogFilter, LogTypeFilter
from envoy_data_plane.envoy.config.core.v3 import SubstitutionFormatString
from envoy_data_plane.envoy.data.accesslog.v3 import AccessLogType
from envoy_data_plane.envoy.extensions.access_loggers.file.v3 import FileAccessLog
from envoy_data_plane.google.protobuf import Struct

from headgate.contract import AUTHZ, LIMITER, REQUEST, RESERVED, USAGE
from headgate.edge.messages import pack

VERSION = 1


# All that the router's log can say: it sees the attempt, not what was learned about the request.
_KNOWN_AT_START = ("v", "type", "time", "request_id", "target")


def _fields(line_type: str, *, traced: bool = False) -> dict[str, Any]:
    fields = {
        "v": VERSION,
        "type": line_type,
        "time": "%EMIT_TIME(%Y-%m-%dT%H:%M:%E3SZ)%",
        # Cut: a request that is refused before it has an id of ours may have brought one of any length.
        "request_id": "%REQ(X-REQUEST-ID):36%",
        "trace_id": "%TRACE_ID%" if traced else f"%DYNAMIC_METADATA({REQUEST}:trace_id)%",
        "tenant": f"%DYNAMIC_METADATA({AUTHZ}:tenant)%",
        "key_id": f"%DYNAMIC_METADATA({AUTHZ}:key_id)%",
        "user": f"%DYNAMIC_METADATA({REQUEST}:user)%",
        "project": None,
        "surface": f"%DYNAMIC_METADATA({REQUEST}:surface)%",
        "model": f"%DYNAMIC_METADATA({REQUEST}:model)%",
        "target": "%CLUSTER_METADATA(headgate:provider)%",
        "upstream_model": f"%DYNAMIC_METADATA({REQUEST}:upstream_model)%",
        "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        "status": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "prompt_tokens": f"%DYNAMIC_METADATA({USAGE}:prompt)%",
        "completion_tokens": f"%DYNAMIC_METADATA({USAGE}:completion)%",
        "cached_tokens": f"%DYNAMIC_METADATA({USAGE}:cached)%",
        "reasoning_tokens": f"%DYNAMIC_METADATA({USAGE}:reasoning)%",
        "estimated_tokens": None,
        "content_events": f"%DYNAMIC_METADATA({USAGE}:events)%",
        "content_bytes": f"%DYNAMIC_METADATA({USAGE}:bytes)%",
        "bytes_in": "%BYTES_RECEIVED%",
        "bytes_out": "%BYTES_SENT%",
        "first_byte_ms": "%RESPONSE_DURATION%",
        "duration_ms": "%DURATION%",
        "reserved": f"%DYNAMIC_METADATA({LIMITER}:{RESERVED})%",
        "config_generation": f"%DYNAMIC_METADATA({AUTHZ}:generation)%",
        "price_generation": f"%DYNAMIC_METADATA({AUTHZ}:generation)%",
    }
    if line_type == "start":
        return {name: value if name in _KNOWN_AT_START else None for name, value in fields.items()}
    return fields


def edge_logs(path: str, *, traced: bool = False) -> list[AccessLog]:
    """What the connection manager logs into the file `path` (Envoy opens it once): `progress` and `end`.

    When Envoy traces, it has a trace id for every request, the client's where there was one.
    """
    types = {"progress": AccessLogType.DownstreamPeriodic, "end": AccessLogType.DownstreamEnd}
    return [_log(path, name, logged, traced=traced) for name, logged in types.items()]


def attempt_logs(path: str) -> list[AccessLog]:
    """What the router logs when an attempt reaches its provider: `start`."""
    return [_log(path, "start", AccessLogType.UpstreamPoolReady)]


def _log(path: str, line_type: str, logged: AccessLogType, *, traced: bool = False) -> AccessLog:
    line = SubstitutionFormatString(json_format=Struct.from_dict(_fields(line_type, traced=traced)))
    return AccessLog(
        name=f"spool.{line_type}",
        filter=AccessLogFilter(log_type_filter=LogTypeFilter(types=[logged])),
        typed_config=pack(FileAccessLog(path=path, log_format=line)),
    )

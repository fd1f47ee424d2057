"""ext_proc on the wire for the watch: whose answer begins, and what its head may say besides.

Beside `extproc.codec` and `extproc.attempt_codec` the one place in extproc that knows Envoy's messages.
"""

from dataclasses import dataclass

from headgate.contract import AUTHZ, REQUEST, STORED, TARGET, UPSTREAM_ADDRESS
from headgate.wire.ext_proc_pb2 import ProcessingRequest, ProcessingResponse
from headgate.wire.http_pb2 import HeaderValueOption

_ATTRIBUTES = "envoy.filters.http.ext_proc"  # Envoy's name for those that this filter asked for


@dataclass(frozen=True, slots=True)
class Watched:
    """Whose answer a head begins, and which target's; `providers` are those that keep what they make.

    `is_chat`: it is a completion. `is_listed`: it bears the tenant's mark. `key` is the name of the key that the
    request went with, where its provider has several. `replica` is the address that answers.
    """

    tenant: str
    model: str
    provider: str
    upstream_model: str
    providers: str
    is_chat: bool = False
    is_listed: bool = True
    key: str = ""
    replica: str = ""


def watched(message: ProcessingRequest) -> Watched:
    """The head's message, with the plan from the metadata."""
    headers = {header.key: header.raw_value for header in message.response_headers.headers.headers}
    namespaces = message.metadata_context.filter_metadata
    request = namespaces[REQUEST].fields
    return Watched(
        tenant=namespaces[AUTHZ].fields["tenant"].string_value,
        model=request["model"].string_value,
        provider=headers.get(TARGET, b"").decode("utf-8", "replace"),
        upstream_model=request["upstream_model"].string_value,
        providers=request["watch"].string_value,
        is_chat=request["surface"].string_value == "chat",
        is_listed=not request["unlisted"].string_value,
        key=request["key"].string_value,
        replica=message.attributes[_ATTRIBUTES].fields[UPSTREAM_ADDRESS].string_value,
    )


def stored(how: str) -> bytes:
    """A head that goes on, and says how what its provider keeps will be known here: "false" for not at all."""
    response = ProcessingResponse()
    option = response.response_headers.response.header_mutation.set_headers.add()
    option.header.key, option.header.raw_value = STORED, how.encode()
    option.append_action = HeaderValueOption.AppendAction.OVERWRITE_IF_EXISTS_OR_ADD
    return response.SerializeToString()

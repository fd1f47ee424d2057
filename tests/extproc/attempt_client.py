"""Asks for one attempt as Envoy's ext_proc filters do: with the kept body, then with the provider's answer.

The answer goes into the same call, or, of a stream, into a call of its own in front of the router. The plan comes
from the same service, as it comes from another worker in life. What goes back is FULL_DUPLEX_STREAMED.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ext_proc_client import JSON, SNAPSHOT, ask
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct

from extproc.service import services
from headgate.contract import ANSWER_ROLE, ATTEMPT_ROLE, ROLE
from headgate.feed.states import TargetStates
from headgate.snapshot import Snapshot
from headgate.tables import Holder
from headgate.wire.ext_proc_pb2 import ProcessingRequest, ProcessingResponse

STREAM = "text/event-stream"


class Call:
    """The gRPC call of an attempt as the handler sees it."""

    def __init__(self, role: str) -> None:
        self._role = role

    def header(self, name: str) -> str | None:
        return self._role if name == ROLE else None


@dataclass
class Answered:
    """What the client's side of Envoy gets. `status` is None while the head is held."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    body: bytes = b""
    pieces: list[bytes] = field(default_factory=list)
    ended: bool = False  # the body
    trailers: bool = False


class Attempt:
    """One call, checked for what Envoy holds it to."""

    def __init__(self, plan: dict[str, Any], number: int = 1, snapshot: Snapshot = SNAPSHOT) -> None:
        (method,) = services(Holder(snapshot), TargetStates())
        self._method, self._call = method, method.handler(Call(ATTEMPT_ROLE))
        self._plan, self._number = plan, number
        self._kept: Struct | None = None  # of a stream, for the other call
        self.closed = False
        self.answered = Answered()

    def request(self, body: bytes, **headers: str) -> ProcessingResponse:
        """The answer to the request's body."""
        start = ProcessingRequest()
        given = {"x-request-id": "r-1", "x-envoy-attempt-count": str(self._number), "content-type": JSON}
        for name, value in (given | headers).items():
            start.request_headers.headers.headers.add(key=name, raw_value=value.encode())
        ParseDict(self._plan, start.metadata_context.filter_metadata["hg.request"])
        (head,) = self._send(start)
        assert head == ProcessingResponse(request_headers=head.request_headers)
        if self.closed:
            return head
        following = ProcessingRequest()
        following.request_body.body, following.request_body.end_of_stream = body, True
        (answer,) = self._send(following)
        if self.closed and answer.HasField("dynamic_metadata"):
            self._kept = answer.dynamic_metadata.fields["hg.attempt"].struct_value
        return answer

    def head(self, status: int = 200, kind: str = JSON, *, ends: bool = False, **headers: str) -> "Attempt":
        """The head of the provider's answer."""
        message = ProcessingRequest()
        given = {":status": str(status)} | ({"content-type": kind} if kind else {})
        for name, value in (given | {name.replace("_", "-"): value for name, value in headers.items()}).items():
            message.response_headers.headers.headers.add(key=name, raw_value=value.encode())
        message.response_headers.end_of_stream = ends
        if self._kept is not None:
            self._call, self.closed = self._method.handler(Call(ANSWER_ROLE)), False
            ParseDict(self._plan, message.metadata_context.filter_metadata["hg.request"])
            message.metadata_context.filter_metadata["hg.attempt"].CopyFrom(self._kept)
        return self._take(message)

    def pieces(self, pieces: Iterable[bytes], *, last: bool = True) -> "Attempt":
        """The body; as Envoy has it, with an end on its own. Envoy stops when the call is closed."""
        for piece in pieces:
            self._piece(piece, last=False)
        return self._piece(b"", last=True) if last else self

    def piece(self, data: bytes, *, last: bool) -> "Attempt":
        """One piece of the body."""
        return self._piece(data, last=last)

    def trailers(self) -> "Attempt":
        """The end of an answer whose body has not said so."""
        message = ProcessingRequest()
        message.response_trailers.SetInParent()
        return self._take(message)

    def _piece(self, data: bytes, *, last: bool) -> "Attempt":
        if self.closed:
            return self
        message = ProcessingRequest()
        message.response_body.body, message.response_body.end_of_stream = data, last
        return self._take(message)

    def _send(self, message: ProcessingRequest) -> list[ProcessingResponse]:
        assert not self.closed
        decoded = self._method.decode(message.SerializeToString())
        replies, self.closed = self._call.on_message(decoded)
        listed = [replies] if isinstance(replies, bytes) else replies or []
        return [ProcessingResponse.FromString(reply) for reply in listed]

    def _take(self, message: ProcessingRequest) -> "Attempt":
        for reply in self._send(message):
            self._took(reply)
        if self.closed:  # Envoy would wait for ever, or fail the attempt
            assert self.answered.ended
        return self

    def _took(self, reply: ProcessingResponse) -> None:
        getattr(self, f"_on_{reply.WhichOneof('response')}")(reply)

    def _on_response_headers(self, reply: ProcessingResponse) -> None:
        assert self.answered.status is None
        common = reply.response_headers.response
        self.answered.headers = headers = headers_of(common.header_mutation)
        self.answered.status = int(headers.pop(":status"))
        self.answered.removed = set(common.header_mutation.remove_headers)
        if common.status == common.CONTINUE_AND_REPLACE:
            self.answered.body, self.answered.ended = common.body_mutation.body, True
            assert headers.pop("content-length") == str(len(self.answered.body))
        else:
            assert not common.HasField("body_mutation")
            assert {"content-length", "content-encoding"} <= self.answered.removed

    def _on_response_body(self, reply: ProcessingResponse) -> None:
        assert self.answered.status is not None
        assert not self.answered.ended
        streamed = reply.response_body.response.body_mutation.streamed_response
        self.answered.body += streamed.body
        self.answered.pieces.append(streamed.body)
        self.answered.ended = streamed.end_of_stream

    def _on_response_trailers(self, _: ProcessingResponse) -> None:
        assert not self.answered.ended  # the trailers are the end
        self.answered.trailers = self.answered.ended = True


def headers_of(mutation: Any) -> dict[str, str]:
    """What is set; each replaces what was there."""
    assert all(option.append_action == 2 for option in mutation.set_headers)
    return {option.header.key: option.header.raw_value.decode() for option in mutation.set_headers}


def sent_of(answer: ProcessingResponse) -> tuple[bytes, dict[str, str]]:
    """Body and headers of the attempt; its length is right."""
    common = answer.request_body.response
    body, headers = common.body_mutation.body, headers_of(common.header_mutation)
    assert headers.pop("content-length") == str(len(body))
    return body, headers


def planned(url: str, body: bytes, snapshot: Snapshot = SNAPSHOT, number: int = 1) -> tuple[Attempt, bytes]:
    """An attempt of a request's plan, and the body that Envoy keeps for it."""
    reply = ask(url, body, snapshot=snapshot)
    assert reply.status is None, reply.body
    return Attempt(reply.metadata["hg.request"], number, snapshot), reply.body


def cut(data: bytes, size: int) -> Iterator[bytes]:
    """The data in pieces."""
    return (data[at : at + size] for at in range(0, len(data), size))

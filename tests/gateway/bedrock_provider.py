"""A scripted Amazon Bedrock that checks each signature over the bytes that it got, as botocore would have made it.

The model's id decides: `…way.NAME` answers in that way, all others answer well. `…way.thinks` calls a tool, and takes
the tool's result only behind the thinking that it called it with.
"""

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import h11
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from recorder import Received, Recorder, recorder

from tests.translate.bedrock_frames import (
    ENDED,
    START,
    delta,
    event,
    exception,
    stop,
)

REGION = "eu-central-1"
STREAM = "application/vnd.amazon.eventstream"
USAGE = {"inputTokens": 12, "outputTokens": 3, "totalTokens": 1015, "cacheReadInputTokens": 1000}
OWN_HEADERS = [("x-amzn-requestid", "1"), ("x-amzn-bedrock-invocation-latency", "5"), ("x-amz-x", "y")]
# The status, the name in the header, and what is said.
ERRORS: dict[str, tuple[int, str, str]] = {
    "throttled": (429, "ThrottlingException", "Too many requests, please wait before trying again."),
    "throttled-400": (400, "ThrottlingException:http://internal.amazon.com/", "Rate exceeded"),
    "quota": (400, "ServiceQuotaExceededException", "Your account has used it up."),
    "timeout": (408, "ModelTimeoutException", "Model took too long."),
    "model": (424, "ModelErrorException", "The model failed."),
    "unavailable": (503, "ServiceUnavailableException", "Bedrock is unable to process your request."),
    "denied": (403, "AccessDeniedException", "User: arn:aws:iam::123456789012:user/me is not authorized to perform"),
    "expired": (400, "ExpiredTokenException", "The security token included in the request is expired"),
    "long": (400, "ValidationException", "Input is too long for requested model."),
    "invalid": (400, "ValidationException", "1 validation error detected."),
}
_SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, "
    r"SignedHeaders=([^,]+), Signature=([0-9a-f]{64})"
)


@dataclass(frozen=True)
class Signature:
    """Whose a signature is, if it is right."""

    access_key_id: str
    region: str
    service: str
    headers: tuple[str, ...]
    is_right: bool


def signature_of(one: Received, keys: dict[str, Credentials]) -> Signature | None:
    """What the request's signature is; None where there is none."""
    headers = dict(one.headers)
    match = _SIGNED.fullmatch(headers.get("authorization", ""))
    if match is None:
        return None
    key, _, region, service, names, made = match.groups()
    signed = tuple(names.split(";"))
    request = AWSRequest(
        method=one.method,
        url=f"http://{headers['host']}{one.target}",
        data=one.body,
        headers={name: headers[name] for name in signed if name != "host"},
    )
    request.context["timestamp"] = headers["x-amz-date"]
    signer = SigV4Auth(keys[key], service, region)
    right = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    token = keys[key].token
    is_right = (right, token) == (made, headers.get("x-amz-security-token"))
    return Signature(key, region, service, signed, is_right)


def model_of(target: str) -> tuple[str, str]:
    """The model's id and the method that a path names."""
    _, root, model, method = target.split("/")
    assert root == "model", target
    return unquote(model), method


def frames_of(way: str, name: str) -> Iterator[bytes | float]:
    """A stream, and the pauses in it."""
    words = [delta(text="Hello"), delta(text=f" from {name}.")]
    if way == "throttled-frame":
        yield START + exception("throttlingException", message="Too many tokens, please wait.")
    elif way == "failed-frame":
        yield from (START, 0.05, exception("serviceUnavailableException", message="Try again."))
    elif way == "failed-middle":
        yield from (START + words[0], 0.05, exception("modelStreamErrorException", message="It broke."))
    elif way == "cut":
        yield START + b"".join(words) + stop()
    elif way == "cut-frame":
        yield START + b"".join(words)[:-7]
    elif way == "cut-early":
        yield START
    else:
        last = words[1] + stop() + ENDED + event("metadata", usage=USAGE, metrics={"latencyMs": 5})
        yield from (START + words[0], 0.02, last[:50], 0.02, last[50:])


def whole_of(name: str, blocks: list[dict[str, Any]] | None) -> dict[str, Any]:
    message = {"role": "assistant", "content": blocks or [{"text": f"Hello from {name}."}]}
    return {"output": {"message": message}, "stopReason": "end_turn", "usage": USAGE, "metrics": {"latencyMs": 5}}


THOUGHT = {"reasoningText": {"text": "I will look.", "signature": "EqQBAA=="}}
CALL = {"toolUseId": "tooluse_1", "name": "get_weather", "input": {"city": "Oslo"}}


def thinking_of(body: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The blocks of the answer; None where the request lacks thinking of an earlier one."""
    *_, before, last = ({"content": [{}]}, *body["messages"])
    if "toolResult" not in last["content"][0]:
        return [{"reasoningContent": THOUGHT}, {"toolUse": CALL}]
    return [{"text": "It rains."}] if before["content"][0] == {"reasoningContent": THOUGHT} else None


def frames_of_blocks(blocks: list[dict[str, Any]]) -> Iterator[bytes]:
    """A stream of whole blocks."""
    yield START
    for index, block in enumerate(blocks):
        if "toolUse" in block:
            call = {name: block["toolUse"][name] for name in ("toolUseId", "name")}
            yield event("contentBlockStart", contentBlockIndex=index, start={"toolUse": call})
            yield delta(index, toolUse={"input": json.dumps(block["toolUse"]["input"])})
        elif "reasoningContent" in block:
            yield delta(index, reasoningContent={"text": THOUGHT["reasoningText"]["text"]})
            yield delta(index, reasoningContent={"signature": THOUGHT["reasoningText"]["signature"]})
        else:
            yield delta(index, **block)
        yield stop(index)
    reason = "tool_use" if "toolUse" in blocks[-1] else "end_turn"
    yield event("messageStop", stopReason=reason) + event("metadata", usage=USAGE, metrics={"latencyMs": 5})


@contextmanager
def bedrock_provider(name: str) -> Iterator[Recorder]:
    """Run one on loopback."""

    def answer(
        peer: socket.socket, connection: h11.Connection, request: Received, _: Recorder, __: threading.Event
    ) -> None:
        model, method = model_of(request.target)
        way = model.partition("way.")[2]

        def send(status: int, kind: str, pieces: Iterator[bytes | float], *more: tuple[str, str]) -> None:
            head = h11.Response(status_code=status, headers=[("content-type", kind), *OWN_HEADERS, *more])
            peer.sendall(connection.send(head) or b"")
            for piece in pieces:
                if isinstance(piece, bytes):
                    peer.sendall(connection.send(h11.Data(piece)) or b"")
                else:
                    time.sleep(piece)
            peer.sendall(connection.send(h11.EndOfMessage()) or b"")

        blocks = thinking_of(json.loads(request.body)) if way == "thinks" else []
        way = "invalid" if blocks is None else way
        if way in ERRORS:
            status, kind, said = ERRORS[way]
            body = json.dumps({"message": said}).encode()
            send(status, "application/json", iter([body]), ("x-amzn-errortype", kind))
        elif method == "converse-stream":
            send(200, STREAM, frames_of_blocks(blocks) if blocks else frames_of(way, name))
        elif method == "invoke":
            texts = json.loads(request.body)["texts"]
            body = json.dumps({"embeddings": {"float": [[0.5, -1]] * len(texts)}}).encode()
            send(200, "application/json", iter([body]), ("x-amzn-bedrock-input-token-count", "7"))
        else:
            send(200, "application/json", iter([json.dumps(whole_of(name, blocks)).encode()]))

    with recorder(answer) as found:
        yield found

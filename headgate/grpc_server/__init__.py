"""A gRPC server for Envoy's filters: HTTP/2 and gRPC framing in one thread, handlers called in line.

    server.py       sockets
    calls.py        gRPC calls, handlers
    messages.py     gRPC messages and status
    connection.py   HTTP/2: frames read            outgoing.py   frames sent        stream.py
    frames.py       the bytes of frames            headers.py    HPACK

It serves what Envoy's filters ask and is no general server: no compression, no deadlines (Envoy resets).
"""

from headgate.grpc_server.calls import Conversation, Metadata, Method, Reply
from headgate.grpc_server.messages import CallFailed, Status
from headgate.grpc_server.outgoing import Limits
from headgate.grpc_server.server import Server

__all__ = ["CallFailed", "Conversation", "Limits", "Metadata", "Method", "Reply", "Server", "Status"]

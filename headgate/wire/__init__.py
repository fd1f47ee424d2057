"""The part of Envoy's gRPC messages that we read and write, as C-backed protobuf.

`*_pb2.py` are compiled from the `.proto` files beside this one when the package is installed. Field numbers
are Envoy's; the proto packages are ours, so that no other distribution's copy of Envoy's API can clash.
Only `authz/codec.py` and `extproc/codec.py` may import these messages.
"""

"""Envoy messages: packing, and the types of Envoy 1.40 that envoy-data-plane 2.2 does not have yet.

Own types carry Envoy's full names and field numbers, so `headgate render` prints what Envoy documents.
"""

import datetime as dt
from typing import Any

import betterproto2
from betterproto2 import Message
from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    HeaderValue,
    HeaderValueOption,
    HeaderValueOptionHeaderAppendAction,
    Pipe,
    SocketAddress,
    SocketAddressProtocol,
    TypedExtensionConfig,
)
from envoy_data_plane.envoy.config.route.v3 import RetryPolicyRetryHostPredicate
from envoy_data_plane.envoy.extensions.retry.host.previous_hosts.v3 import PreviousHostsPredicate
from envoy_data_plane.google.protobuf import Any as ProtobufAny
from envoy_data_plane.message_pool import default_message_pool
from pydantic.dataclasses import dataclass

_PRIORITY_GROUP = "envoy.extensions.router.cluster_specifiers.priority_group.v3"


@dataclass(eq=False, repr=False, config={"extra": "forbid"})
class ClusterWeight(Message):
    """One cluster of a priority group and its weight among the others."""

    cluster_name: str = betterproto2.field(1, betterproto2.TYPE_STRING)
    weight: int = betterproto2.field(2, betterproto2.TYPE_UINT32)


@dataclass(eq=False, repr=False, config={"extra": "forbid"})
class PriorityGroup(Message):
    """The clusters that one attempt may go to."""

    name: str = betterproto2.field(1, betterproto2.TYPE_STRING)
    clusters: "list[ClusterWeight]" = betterproto2.field(2, betterproto2.TYPE_MESSAGE, repeated=True)


@dataclass(eq=False, repr=False, config={"extra": "forbid"})
class PriorityGroupClusterSpecifier(Message):
    """Attempt n goes to group n; the groups come from dynamic metadata where a request brings its own."""

    priority_groups: "list[PriorityGroup]" = betterproto2.field(1, betterproto2.TYPE_MESSAGE, repeated=True)
    override_metadata_namespace: str = betterproto2.field(2, betterproto2.TYPE_STRING)


default_message_pool.register_message(_PRIORITY_GROUP, "PriorityGroupClusterSpecifier", PriorityGroupClusterSpecifier)


class Packed(ProtobufAny):
    """An Any that still has its message: made into bytes and read again for JSON, messages took two thirds longer."""

    message: Message

    def to_dict(self, **options: Any) -> dict[str, Any]:
        """As of any Any: the type's URL and the message's own fields."""
        own = self.message.to_dict(**options)
        # Those with a JSON form of their own, as durations have, stand in a field of the Any.
        usual = type(self.message).to_dict == Message.to_dict
        return {"@type": self.type_url, **(own if usual else {"value": own})}

    def __bytes__(self) -> bytes:
        return bytes(ProtobufAny.pack(self.message))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Packed) and (self.type_url, self.message) == (other.type_url, other.message)

    __hash__ = None  # type: ignore[assignment]  # as of all messages: they can be changed


def pack(message: Message) -> ProtobufAny:
    """The message as protobuf's Any, its type URL taken from the message itself."""
    packed = Packed(type_url=default_message_pool.type_to_url[type(message)])
    packed.message = message
    return packed


def extension(name: str, message: Message) -> TypedExtensionConfig:
    """A named extension with its configuration."""
    return TypedExtensionConfig(name=name, typed_config=pack(message))


def seconds(value: float) -> dt.timedelta:
    """A duration, from seconds."""
    return dt.timedelta(seconds=value)


def set_header(name: str, value: str) -> HeaderValueOption:
    """Sets a header, replacing what is there; left out where a formatted value turns out empty."""
    return HeaderValueOption(
        header=HeaderValue(key=name, value=value),
        append_action=HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
    )


def another_host() -> RetryPolicyRetryHostPredicate:
    """A retry's host is one that has not been tried yet, if there is any."""
    return RetryPolicyRetryHostPredicate(
        name="envoy.retry_host_predicates.previous_hosts", typed_config=pack(PreviousHostsPredicate())
    )


def tcp(host: str, port: int) -> Address:
    """A TCP address."""
    return Address(socket_address=SocketAddress(address=host, port_value=port))


def udp(host: str, port: int) -> Address:
    """A UDP address."""
    return Address(socket_address=SocketAddress(protocol=SocketAddressProtocol.UDP, address=host, port_value=port))


def unix(path: str) -> Address:
    """A Unix socket, relative to Envoy's working directory: the state directory."""
    return Address(pipe=Pipe(path=path))


def document(message: Message) -> dict[str, Any]:
    """Proto-JSON with the field names of Envoy's documentation (`consecutive_5xx`), which protobuf accepts too."""
    as_written: Any = str  # Casing.SNAKE turns 5xx into 5_xx
    plain: dict[str, Any] = message.to_dict(casing=as_written)
    return plain

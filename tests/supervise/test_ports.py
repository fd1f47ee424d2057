"""Addresses are free, taken or impossible, and the operator is told which."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from headgate.config.addresses import Address
from headgate.supervise import Refusal, ports
from headgate.supervise.ports import Listen

ANYWHERE = "0.0.0.0"  # noqa: S104 - for a moment, and nothing answers there


@pytest.fixture
def holder() -> Iterator[socket.socket]:
    """Listens as Envoy does: another one with SO_REUSEPORT could share its port."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder


def _http(holder: socket.socket, host: str = "127.0.0.1") -> Listen:
    return Listen("listen.http", Address(host, holder.getsockname()[1]))


@pytest.mark.parametrize("host", ["127.0.0.1", ANYWHERE, "localhost"])
def test_an_address_that_another_process_holds_is_refused(holder: socket.socket, host: str) -> None:
    listen = _http(holder, host)
    with pytest.raises(Refusal) as refusal:
        ports.require_free(listen)
    assert str(refusal.value) == (
        f"listen.http: {host}:{listen.address.port} is taken by another process; stop it or change listen.http"
    )


def test_a_port_that_was_just_in_use_is_free(holder: socket.socket) -> None:
    listen = _http(holder)
    with socket.create_connection(holder.getsockname()) as client, holder.accept()[0] as served:
        holder.close()
        served.close()  # first, so that this side goes to TIME_WAIT
        client.recv(1)
    ports.require_free(listen)


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(Refusal, match=r"listen\.http: 192\.0\.2\.1:8080: Cannot assign requested address"):
        ports.require_free(Listen("listen.http", Address("192.0.2.1", 8080)))


async def test_an_address_that_becomes_free_is_waited_for(holder: socket.socket) -> None:
    listen = _http(holder)
    with pytest.raises(Refusal):
        await ports.until_free(listen, 0.1)
    asyncio.get_running_loop().call_later(0.2, holder.close)
    await ports.until_free(listen, 5)


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:80"), (ANYWHERE, "http://127.0.0.1:80"), ("::", "http://[::1]:80")],
)
def test_urls_reach_the_address_from_here(host: str, url: str) -> None:
    assert Listen("listen.http", Address(host, 80)).url("http") == url

"""What the supervisor asks control on its own socket: how it is, and for the first admin key.

One request per connection. Envoy leads nobody to these paths.
"""

from pathlib import Path

import msgspec

from headgate.standing import Standing
from headgate.supervise.asking import asking

HEALTH, FIRST_KEY = "/health", "/first-key"


class Unreadable(Exception):  # noqa: N818 - what came instead of an answer
    """Not an answer of control's."""


class FirstKey(msgspec.Struct, frozen=True):
    """The admin key that was just made."""

    key: str


async def control_standing(socket: Path) -> Standing:
    """Raises OSError or Unreadable."""
    status, body = await _ask(socket, "GET", HEALTH)
    if status != 200:
        raise Unreadable
    try:
        return msgspec.json.decode(body, type=Standing)
    except msgspec.DecodeError:
        raise Unreadable from None


async def make_first_key(socket: Path) -> FirstKey | None:
    """Has the first admin key made; None where there is one already. Raises OSError or Unreadable."""
    status, body = await _ask(socket, "POST", FIRST_KEY)
    if status == 204:
        return None
    if status != 201:
        raise Unreadable
    try:
        return msgspec.json.decode(body, type=FirstKey)
    except msgspec.DecodeError:
        raise Unreadable from None


async def _ask(socket: Path, method: str, path: str) -> tuple[int, bytes]:
    question = f"{method} {path} HTTP/1.1\r\nhost: control\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    async with asking(socket, question.encode()) as answer:
        said = await answer.whole()
    head, separator, body = said.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    if not separator or not status or not status[0].isdigit():
        raise Unreadable
    return int(status[0]), body

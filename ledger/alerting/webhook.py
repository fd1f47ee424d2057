"""One webhook on its way: signed, sent once, within its time. Who receives it is the operator's choice, and trusted
with nothing: no redirect is followed, nothing of the answer but its status is read.
"""

import time
from pathlib import Path

import aiohttp

from headgate import __version__
from headgate.snapshot import AlertsRow
from ledger.alerting.alert_event import signature

TIMEOUT_S = 10.0
_HEADERS = {"content-type": "application/json", "user-agent": f"headgate/{__version__}"}


class Undelivered(Exception):  # noqa: N818 - what happened, not what went wrong
    """It did not arrive; the text says why, without the URL, which may hold a secret."""


def session() -> aiohttp.ClientSession:
    """What webhooks are sent with: TLS is verified, no proxy of the environment is used, no cookie kept."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    return aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), headers=_HEADERS)


async def send(client: aiohttp.ClientSession, receiver: AlertsRow, message_id: str, body: bytes) -> None:
    """Returns when the receiver has said that it has it. Raises Undelivered."""
    headers = _signed(Path(receiver.secret), message_id, body)
    try:
        async with client.post(receiver.webhook, data=body, headers=headers, allow_redirects=False) as reply:
            status = reply.status
            reply.close()  # whatever its body is, or does not end to be
    except TimeoutError:
        raise Undelivered(f"no answer within {TIMEOUT_S:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise Undelivered(type(error).__name__) from None
    if not 200 <= status < 300:
        raise Undelivered(f"answers {status}")


def _signed(secret: Path, message_id: str, body: bytes) -> dict[str, str]:
    """Its headers, by the secret as it is now: a file that a reload or the operator may have just replaced."""
    now = int(time.time())
    try:
        signed = signature(secret.read_bytes(), message_id, now, body)
    except OSError:
        raise Undelivered("the secret can't be read") from None
    except ValueError as error:
        raise Undelivered(f"the secret {error}") from None
    return {"webhook-id": message_id, "webhook-timestamp": str(now), "webhook-signature": signed}

"""The supervisor's way to Vault: who waits for it is never the event loop, and never an end.

What asks Vault (hvac) is imported only where gateway.yaml has one.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from headgate import contract
from headgate.config.model import Gateway
from headgate.config.secret_places import vault_places
from headgate.config.vault import Secrets
from headgate.sealing import KmsSettings, Sealing
from headgate.supervise.files import write_atomic
from headgate.supervise.refusal import Refusal

if TYPE_CHECKING:
    from headgate.vault.following import Following, Problems

T = TypeVar("T")


async def begin(gateway: Gateway, base: Path) -> "Following | None":
    """Read what the gateway refers to; None without a Vault. Raises Refusal for what is known from nowhere."""
    secrets = gateway.services.secrets
    kms = kms_of(secrets) if secrets else None
    if secrets is None or secrets.vault is None:
        write_atomic(contract.SEALING, msgspec.json.encode(Sealing(kms)) if kms else b"")
        return None
    from headgate.vault.following import Following
    from headgate.vault.settings import credentials_of, server_of, transit_of

    transit = transit_of(secrets, base)
    write_atomic(contract.SEALING, msgspec.json.encode(Sealing(kms, transit)) if transit else b"")
    following = Following(
        server_of(secrets, base),
        credentials_of(secrets, base, os.environ),
        contract.SECRETS,
        secrets.refresh_s,
        shares_token=transit is not None,
    )
    places = vault_places(gateway)
    _require(await _aside(partial(following.first, places)), gateway)
    return following


async def require(following: "Following | None", gateway: Gateway) -> None:
    """Have what an edit refers to. Raises Refusal for what is not known and cannot be read."""
    if following:
        _require(await _aside(partial(following.want, vault_places(gateway))), gateway)


def kms_of(secrets: Secrets) -> KmsSettings | None:
    """The key of AWS KMS that wraps data keys; None for another kind."""
    if secrets.kms is None:
        return None
    endpoint = str(secrets.kms.endpoint) if secrets.kms.endpoint else None
    return KmsSettings(secrets.kms.key, secrets.kms.asked_in, endpoint)


def _require(problems: "Problems", gateway: Gateway) -> None:
    keys = vault_places(gateway)
    if problems:
        raise Refusal(*(f"{keys[place]}: {problem}" for place, problem in problems.items()))


async def _aside(work: Callable[[], T]) -> T:
    """In a thread that nothing waits for when it is not wanted any more."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def tell(set_it: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(lambda: None if future.done() else set_it())

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - it is the waiting one's
            tell(partial(future.set_exception, error))
        else:
            tell(partial(future.set_result, result))

    threading.Thread(target=run, name="vault-once", daemon=True).start()
    return await future

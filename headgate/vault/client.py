"""The connection to Vault, through hvac: what waits is bounded, what fails is a VaultError.

The only module that imports hvac, and only processes that use a Vault import this one. Nothing of the environment
counts (VAULT_TOKEN, VAULT_ADDR, proxies): gateway.yaml says everything.
"""

import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import hvac  # type: ignore[import-untyped]
import hvac.exceptions  # type: ignore[import-untyped]
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from headgate.vault.errors import VaultAway, VaultDenied, VaultError, VaultRefused
from headgate.vault.server import Server

logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # who asks says what failed, once

CONNECT_S = 2.0
ANSWER_S = 4.0
# What is asked again at once: connections that were not made, and reads that Vault says it could not answer yet (412:
# a replica is behind, https://developer.hashicorp.com/vault/api-docs#http-status-codes). Nothing that hangs.
_RETRIES = 2
_NOT_YET = (412, 429, 500, 502)


_MALFORMED = (KeyError, TypeError, ValueError, AttributeError)


def client_of(server: Server, token: str = "") -> Any:
    """An hvac client. Nothing is asked yet."""
    session = requests.Session()
    session.trust_env = False
    retry = Retry(
        total=_RETRIES, read=False, status_forcelist=_NOT_YET, backoff_factor=0.1,
        respect_retry_after_header=False, raise_on_status=False,
    )  # fmt: skip
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    session.verify = server.ca or ssl.get_default_verify_paths().cafile or True
    return hvac.Client(
        url=server.url,
        token=token,
        verify=session.verify,
        timeout=(CONNECT_S, ANSWER_S),
        session=session,
        namespace=server.namespace,
        allow_redirects=False,  # requests would take the token along, wherever that leads
    )


_SAID: tuple[tuple[type[Exception], type[VaultError], str], ...] = (
    (hvac.exceptions.Forbidden, VaultDenied, "permission denied"),
    (hvac.exceptions.InvalidPath, VaultRefused, "there is none"),
    (hvac.exceptions.VaultDown, VaultAway, "Vault is sealed, or not ready"),
    (hvac.exceptions.VaultNotInitialized, VaultAway, "Vault is not initialized"),
    (hvac.exceptions.RateLimitExceeded, VaultAway, "Vault is overloaded"),
    (hvac.exceptions.InternalServerError, VaultAway, "Vault is broken"),
    (hvac.exceptions.BadGateway, VaultAway, "Vault is broken"),
    (hvac.exceptions.VaultError, VaultRefused, "Vault refuses it"),
    (requests.exceptions.SSLError, VaultAway, "Vault's certificate is not valid for us (services.secrets.ca)"),
    (requests.exceptions.Timeout, VaultAway, "Vault does not answer in time"),
    (requests.exceptions.ConnectionError, VaultAway, "Vault cannot be reached"),
    # hvac hands out what is no JSON as it is: a redirect, a page of some proxy.
    (Exception, VaultAway, "what answers is no Vault, or sends us elsewhere"),
)


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Turns whatever goes wrong into a VaultError about `what`."""
    try:
        yield
    except VaultError:
        raise
    except (hvac.exceptions.VaultError, requests.exceptions.RequestException, *_MALFORMED) as error:
        _, kind, text = next(row for row in _SAID if isinstance(error, row[0]))
        raise kind(f"{what}: {text}") from None

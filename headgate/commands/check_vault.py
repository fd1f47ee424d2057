"""What `headgate check --vault` does more: reads every reference into Vault, and keeps nothing."""

import os
from pathlib import Path

from headgate.config.model import Gateway
from headgate.config.secret_places import vault_places
from headgate.vault.errors import VaultAway, VaultError
from headgate.vault.files import split
from headgate.vault.login import Session
from headgate.vault.reading import Reader
from headgate.vault.settings import credentials_of, server_of


def unread(gateway: Gateway, base: Path) -> dict[str, str]:
    """By the key of gateway.yaml, why what it refers to cannot be read. Blocks while Vault does not answer."""
    secrets, places = gateway.services.secrets, vault_places(gateway)
    if secrets is None or not places:
        return {}
    session, reader = Session(server_of(secrets, base), credentials_of(secrets, base, os.environ)), Reader()
    try:
        session.sign_in()
    except VaultError as error:
        return {"services.secrets": str(error)}
    found: dict[str, str] = {}
    for place, key in places.items():
        path, field = split(place)
        try:
            reader.read(session.client, path, [field])
        except VaultError as error:
            found[key] = str(error)
            if isinstance(error, VaultAway):
                break
    return found

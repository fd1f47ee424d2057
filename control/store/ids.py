"""Ids of what the database makes: a word for the kind and 100 random bits, as `key_` and 20 base32 characters."""

import secrets
from base64 import b32encode
from typing import Literal

Kind = Literal["key", "user", "dk", "del", "host", "credit"]
OF_KEYS = "key_"  # how keys of the database are told from those of gateway.yaml, where both are named


def new_id(kind: Kind) -> str:
    """Never one that there was before."""
    return f"{kind}_{b32encode(secrets.token_bytes(15)).decode().lower()[:20]}"

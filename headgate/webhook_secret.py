"""What webhooks are signed with, as Standard Webhooks has it: read alike by who checks it and who signs. Pure."""

import base64
import binascii

PREFIX = b"whsec_"


def signing_key(secret: bytes) -> bytes:
    """`whsec_…` is base64, as libraries for receivers want it; anything else is the key itself. Raises ValueError."""
    if not secret.startswith(PREFIX):
        return secret
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("is no base64 after whsec_") from None
    if not key:
        raise ValueError("has nothing after whsec_")
    return key

"""Which files hold the peppers and the service key: for who writes them, and for the tables, which tell the readers.

Those of gateway.yaml are in `secrets`, a file for each reference: as long as the tables name the old one, it stays
beside the new one. Without a reference it is a file that this host has made once, in `identity`.
"""

import hashlib
from pathlib import Path

from headgate.config.auth import Auth
from headgate.config.secret_refs import SecretRef
from headgate.contract import PEPPER, SECRETS, SERVICE_KEY
from headgate.snapshot import AuthRow


def auth_file(reference: SecretRef) -> Path:
    """Below the state directory. A provider has no + in its name, so none of its files is called like this."""
    text = f"{reference.kind}:{reference.place}"
    return SECRETS / f"auth+{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def auth_row(auth: Auth | None) -> AuthRow:
    """What the tables say of them."""
    auth = auth or Auth()
    return AuthRow(
        str(auth_file(auth.pepper) if auth.pepper else PEPPER),
        tuple(str(auth_file(pepper)) for pepper in auth.previous_peppers),
        str(auth_file(auth.service_key) if auth.service_key else SERVICE_KEY),
    )

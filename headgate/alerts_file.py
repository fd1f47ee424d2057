"""Where the secret is that alerts are signed with: a file for each `alerts` that gateway.yaml has said.

As long as the tables name the old webhook, its secret stays beside the new one. Used by both sides: by who writes the
file, and for the snapshot, which tells the ledger.
"""

import hashlib
from pathlib import Path

from headgate.config.model import Alerts
from headgate.contract import SECRETS


def alerts_file(alerts: Alerts) -> Path:
    """Below the state directory. A provider has no + in its name, so none of its files is called like this."""
    text = f"{alerts.webhook}\n{alerts.secret.kind}:{alerts.secret.place}"
    return SECRETS / f"alerts+{hashlib.sha256(text.encode()).hexdigest()[:10]}"

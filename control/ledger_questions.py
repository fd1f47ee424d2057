"""Questions to the ledger, on its socket: a JSON line for a JSON line."""

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from control.tools import LedgerAway

ANSWER_WITHIN_S = 5.0


class LedgerQuestions:
    """Asks the ledger of this host."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """Its answer. Raises LedgerAway."""
        try:
            with socket.socket(socket.AF_UNIX) as asked:
                asked.settimeout(ANSWER_WITHIN_S)
                asked.connect(str(self._path))
                asked.sendall(json.dumps(question).encode() + b"\n")
                with asked.makefile("rb") as lines:
                    line = lines.readline()
        except OSError as error:
            raise LedgerAway("the ledger does not answer") from error
        if not line.endswith(b"\n"):
            raise LedgerAway("the ledger ended meanwhile")
        answer: Mapping[str, Any] = json.loads(line)
        return answer

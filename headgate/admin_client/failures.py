"""Why a command of the admin API did not do what it was asked.

AdminError       its text is what the operator reads: one line, no secret
├── NotAsked     nothing was sent: no address, no key, a name that can't be one
├── NoAnswer     nobody answers there, or the answer was cut off
└── Refused      the gateway answered, and said no
"""

from typing import Any


class AdminError(Exception):
    """The text of what went wrong, and what to do about it."""


class NotAsked(AdminError):  # noqa: N818 - says what happened
    """Nothing was sent."""


class NoAnswer(AdminError):  # noqa: N818 - says what happened
    """No whole answer came."""


class Refused(AdminError):  # noqa: N818 - says what happened
    """The gateway's answer was no: its status, and the problem document if there was one."""

    def __init__(self, text: str, status: int, problem: dict[str, Any]) -> None:
        super().__init__(text)
        self.status, self.problem = status, problem

"""How a part stands with what it keeps things in, as it says on its own socket: control, the usage store's part.

It names no address and no password.
"""

from typing import Literal

import msgspec

State = Literal["opening", "up", "behind", "away", "unusable"]


class Standing(msgspec.Struct, frozen=True):
    """`since` is in seconds since the epoch. `detail` says what is wrong.

    `opening` is before the first answer, of the usage store before something is to be kept; `unusable` is a database
    that this version must not work on; `behind`: it answers, and the workers of this host are not told what is new,
    or something that was kept in it is lost.
    """

    state: State
    since: float
    detail: str | None = None


ASK_STANDING = b'{"ask":"standing"}\n'  # what the usage store's part answers with its Standing, a line

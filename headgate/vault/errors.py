"""What can go wrong with Vault.

    VaultError
    ├── VaultAway      does not answer, is sealed or overloaded: later it may be well
    ├── VaultDenied    the token is not valid (any more), or may not do this
    └── VaultRefused   there is no such thing, or it is not of the right kind

Texts name what was asked for. They quote nothing that Vault has said, and hold no token and no secret.
"""


class VaultError(Exception):
    """Any of these."""


class VaultAway(VaultError):  # noqa: N818 - a state of another process
    """It cannot be asked now."""


class VaultDenied(VaultError):  # noqa: N818 - what it said
    """Not with this token."""


class VaultRefused(VaultError):  # noqa: N818 - what it said
    """Not this."""

"""Where Vault is, and which of its keys wraps data keys. Asks nothing, and imports nothing that could."""

import msgspec


class Server(msgspec.Struct, frozen=True):
    """Where Vault is. `ca` is the path of a file; None for the machine's own CAs."""

    url: str
    namespace: str | None = None
    ca: str | None = None


class TransitSettings(msgspec.Struct, frozen=True):
    """Which key: of which Vault, at which mount. Without a name it only opens what others of that Vault wrapped."""

    server: Server
    mount: str = ""
    key: str = ""

"""Where one replica is, and how it is reached and asked."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from headgate.engine_rows import EngineRow


@dataclass(frozen=True, slots=True)
class Place:
    """`host` and `port` are what is connected to, `name` whom we ask for; the same unless it was looked up.

    `host` is None while `name` has no address. `path` is the root that all else is below. The files are below the
    state directory's `secrets`: of what /v1/models may want, and what TLS takes.
    """

    scheme: str
    name: str
    port: int
    path: str = ""
    host: str | None = None
    health: str = "/health"
    key_file: str | None = None
    ca_file: str | None = None
    pair_file: str | None = None

    @property
    def address(self) -> str:
        """As Envoy calls it: `10.0.0.5:8000`, `[::1]:8000`; by its name where there is no address."""
        return authority(self.host or self.name, self.port)

    @property
    def authority(self) -> str:
        """What requests name as their host."""
        return authority(self.name, self.port)

    @property
    def root(self) -> str | None:
        """Where its URLs begin; None while there is no address."""
        return f"{self.scheme}://{authority(self.host, self.port)}{self.path}" if self.host else None


def authority(host: str, port: int) -> str:
    """`host:port`, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def places_of(row: EngineRow, url: str, hosts: tuple[str, ...]) -> list[Place]:
    """The replicas behind one of an engine's URLs, whose name has these addresses."""
    parts = urlsplit(url)
    name, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    return [
        Place(
            scheme=parts.scheme,
            name=name,
            port=port,
            path=parts.path,
            host=host,
            health=row.health,
            key_file=row.key_file,
            ca_file=row.ca_file if parts.scheme == "https" else None,
            pair_file=row.pair_file if parts.scheme == "https" else None,
        )
        for host in (hosts or (None,))
    ]

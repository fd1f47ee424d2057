"""Engines as the tables have them: what the part `engines` has to know to watch their replicas."""

import msgspec


class EngineRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """An engine. `cluster` is Envoy's, `urls` are where its replicas are, names included.

    `served` is what its base model has to be called, None where that is its own affair. `capacity`: how many requests
    one replica runs at once. The files are in the state directory's `secrets`. `managed`: this gateway starts it, as
    processes of this host that are given `gpus` each. `longest_wait_s`: how long a request may have waited for it in
    the gateway, for the version of an adapter that it was planned for.
    """

    cluster: str
    urls: tuple[str, ...]
    capacity: int
    served: str | None = None
    max_loras: int = 0
    adapters_dir: str | None = None
    adapters_path: str | None = None
    health: str = "/health"
    key_file: str | None = None
    ca_file: str | None = None
    pair_file: str | None = None
    managed: bool = False
    gpus: int = 0
    longest_wait_s: float = 0.0

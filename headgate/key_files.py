"""Where the key of a provider's cluster is: a file that the supervisor writes and envoy/attempt.lua reads."""

from headgate.contract import cluster_name


def key_file(cluster: str) -> str:
    """The file's name in the `secrets` folder; no provider, and no key, has a colon in its name."""
    return f"{cluster.removeprefix(cluster_name('')).replace('/', ':')}.key"
